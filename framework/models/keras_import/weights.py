"""Arrays as Keras keeps them -> the states of our networks.

How a kernel lies here and there is told in `models/architectures/dcgan.py`; beyond its pair the same holds, but for the
discriminator's half turn: layers as data look at images upright.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from framework.models.architectures import described_layers as plain
from framework.models.keras_import.model import KerasModel

_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "variance",
}


def states_of(model: KerasModel) -> list[dict[str, Tensor]]:
    """For each layer torch's names and layouts."""
    return [
        {_NAMES.get(name, name): _laid(layer, name, array) for name, array in arrays.items()}
        for layer, arrays in zip(model.layers, model.arrays, strict=True)
    ]


def _laid(layer: plain.Layer, name: str, array: np.ndarray) -> Tensor:
    found = torch.from_numpy(array)
    if name != "kernel":
        return found
    return (found.T if isinstance(layer, plain.Dense) else found.permute(3, 2, 0, 1)).contiguous()


def step_names(states: Sequence[Mapping[str, Tensor]], *, first: int = 0) -> dict[str, Tensor]:
    """The states as those of layers that are data, the first of them standing at `first`."""
    return {
        f"steps.{index}.{name}": value for index, state in enumerate(states, first) for name, value in state.items()
    }


def pair_names(states: Sequence[dict[str, Tensor]], *, ends: tuple[str, str, str]) -> dict[str, Tensor]:
    """The states of the layers that have one as the pair's modules: one, several in a list, one."""
    head, middle, tail = ends
    first, *between, last = [state for state in states if state]
    named = {f"{head}.{name}": value for name, value in first.items()}
    for index, state in enumerate(between):
        named |= {f"{middle}.{index}.{name}": value for name, value in state.items()}
    return named | {f"{tail}.{name}": value for name, value in last.items()}


def turned(states: Sequence[dict[str, Tensor]], stem: int, width: int) -> dict[str, Tensor]:
    """The discriminator's, which looks at images turned by half a turn."""
    named = pair_names(states, ends=("from_image", "downs", "dense"))
    for name, value in named.items():
        if value.ndim == 4:
            named[name] = value.flip(2, 3)
    dense = named["dense.weight"].reshape(stem, stem, width).flip(0, 1)
    return named | {"dense.weight": dense.reshape(1, -1).contiguous()}
