"""Records the input of a network's first layers by intercepting torch operations.

This works whatever the layers are called and whether or not they are torch's modules: a dense layer is recognised as a
matrix product and a convolution as a convolution, even if the network calls the functions directly.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from framework.models.architectures.base import GeneratorNetwork

_aten = torch.ops.aten
_ALIKE = 1 - 1e-4  # cosine from which an input counts as a multiple of the latent


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer or convolution at the moment it is computed.

    Attributes:
        input: [n,…].
        linear: The layer as a function of another input, without its bias.
    """

    input: Tensor
    linear: Callable[[Tensor], Tensor]


def first_matrix(network: nn.Module, latents: Tensor) -> Tensor | None:
    """The matrix [out,z] of the first layer whose input is the latents [n,z], possibly scaled; None if none is.

    Of a conditional generator the columns of the code are 0.
    """
    layer = _first(network, latents, _takes_latents)
    if layer is None:
        return None
    units = torch.eye(latents.shape[1], dtype=layer.input.dtype, device=layer.input.device)
    if isinstance(network, GeneratorNetwork):
        units[len(units) - network.code_size :] = 0
    with torch.no_grad():
        return layer.linear(units.reshape(-1, *layer.input.shape[1:])).flatten(1).T


def early_activations(network: nn.Module, latents: Tensor) -> Tensor | None:
    """The input [n,f] of the layer after the first one, for at least two latents [n,z]; None without such a layer."""
    layer = _first(network, latents, _takes_activations)
    return None if layer is None else layer.input.flatten(1)


def _takes_latents(layer: Layer, latents: Tensor) -> bool:
    inputs = layer.input.flatten(1)
    if inputs.shape != latents.shape:
        return False
    return bool((torch.cosine_similarity(inputs.double(), latents.double()).abs() >= _ALIKE).all())


def _takes_activations(layer: Layer, latents: Tensor) -> bool:
    """Whether the input differs between latents and is not the latents themselves."""
    inputs = layer.input
    return len(inputs) == len(latents) and not _takes_latents(layer, latents) and not bool((inputs == inputs[:1]).all())


def _first(network: nn.Module, latents: Tensor, matches: Callable[[Layer, Tensor], bool]) -> Layer | None:
    """The first layer for which `matches` is true, found by one forward pass that stops there."""
    device = next((parameter.device for parameter in network.parameters()), latents.device)
    latents = latents.to(device)
    search = _LayerSearch(lambda layer: matches(layer, latents))
    with torch.no_grad(), search, contextlib.suppress(_FoundLayer):
        network(latents)
    return search.layer


class _FoundLayer(BaseException):
    """Ends the forward pass. It is not an Exception, because a network may catch those."""


class _LayerSearch(TorchDispatchMode):
    """Examines each layer as it is computed, and stops at the first match."""

    def __init__(self, matches: Callable[[Layer], bool]) -> None:
        super().__init__()
        self.layer: Layer | None = None
        self._matches = matches

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        layer = _layer(func, args)
        if layer is not None and self._matches(layer):
            self.layer = layer
            raise _FoundLayer
        return func(*args, **(kwargs or {}))


def _layer(function: Any, args: tuple) -> Layer | None:
    """The operation as a layer; None if it is neither a matrix product nor a convolution."""
    if function is _aten.addmm.default:
        return Layer(args[1], lambda x: x @ args[2])
    if function is _aten.mm.default:
        return Layer(args[0], lambda x: x @ args[1])
    if function is _aten.linear.default:
        return Layer(args[0], lambda x: x @ args[1].T)
    if function is _aten.convolution.default:
        return Layer(args[0], lambda x: _aten.convolution(x, args[1], None, *args[3:]))
    return None
