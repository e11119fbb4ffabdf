"""What a network's first layers are given, seen from within torch as they are computed.

So it matters neither what a network calls its layers nor whether they are modules of torch's own: a dense layer is a
matrix product, a convolution a convolution, also where a network calls the function itself.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_ALIKE = 1 - 1e-4  # cosine of a latent and what is but a multiple of it


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer or convolution at the moment it is computed.

    Attributes:
        given: [n,…] its input.
        linear: What it makes of another input, its bias left out.
    """

    given: Tensor
    linear: Callable[[Tensor], Tensor]


def first_matrix(network: nn.Module, latents: Tensor) -> Tensor | None:
    """The matrix [out,z] of the layer that latents [n,z] go into, as they are or scaled; None where there is none."""
    layer = _first(network, latents, _takes_latents)
    if layer is None:
        return None
    units = torch.eye(latents.shape[1], dtype=layer.given.dtype, device=layer.given.device)
    with torch.no_grad():
        return layer.linear(units.reshape(-1, *layer.given.shape[1:])).flatten(1).T


def early_activations(network: nn.Module, latents: Tensor) -> Tensor | None:
    """[n,f] what the layer behind the first one is given, of latents [n,z], two at least; None where there is none."""
    layer = _first(network, latents, _takes_activations)
    return None if layer is None else layer.given.flatten(1)


def _takes_latents(layer: Layer, latents: Tensor) -> bool:
    given = layer.given.flatten(1)
    if given.shape != latents.shape:
        return False
    return bool((torch.cosine_similarity(given.double(), latents.double()).abs() >= _ALIKE).all())


def _takes_activations(layer: Layer, latents: Tensor) -> bool:
    """Whether it is given something that differs from latent to latent and is none of the latents themselves."""
    given = layer.given
    return len(given) == len(latents) and not _takes_latents(layer, latents) and not bool((given == given[:1]).all())


def _first(network: nn.Module, latents: Tensor, wanted: Callable[[Layer, Tensor], bool]) -> Layer | None:
    device = next((parameter.device for parameter in network.parameters()), latents.device)
    latents = latents.to(device)
    watch = _Watch(lambda layer: wanted(layer, latents))
    with torch.no_grad(), watch, contextlib.suppress(_Enough):
        network(latents)
    return watch.found


class _Enough(BaseException):
    """The layer was found, the rest need not be computed; no Exception, for a network may catch those itself."""


class _Watch(TorchDispatchMode):
    """Looks at each layer as it comes, until one is wanted."""

    def __init__(self, wanted: Callable[[Layer], bool]) -> None:
        super().__init__()
        self.found: Layer | None = None
        self._wanted = wanted

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        layer = _layer(func, args)
        if layer is not None and self._wanted(layer):
            self.found = layer
            raise _Enough
        return func(*args, **(kwargs or {}))


def _layer(function: Any, args: tuple) -> Layer | None:
    """An operation as a layer, if it is one."""
    if function is _aten.addmm.default:
        return Layer(args[1], lambda given: given @ args[2])
    if function is _aten.mm.default:
        return Layer(args[0], lambda given: given @ args[1])
    if function is _aten.linear.default:
        return Layer(args[0], lambda given: given @ args[1].T)
    if function is _aten.convolution.default:
        return Layer(args[0], lambda given: _aten.convolution(given, args[1], None, *args[3:]))
    return None
