"""Converts arrays in Keras's layout to the states of our networks.

`models/architectures/dcgan.py` describes the layouts. They hold for other networks too, except for the rotation of the
discriminator, which only `dcgan` uses.
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
    """The state of each layer, with torch's names and layouts."""
    return [
        {_NAMES.get(name, name): _laid(layer, name, array) for name, array in arrays.items()}
        for layer, arrays in zip(model.layers, model.arrays, strict=True)
    ]


def _laid(layer: plain.Layer, name: str, array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(array)
    if name != "kernel":
        return tensor
    return (tensor.T if isinstance(layer, plain.Dense) else tensor.permute(3, 2, 0, 1)).contiguous()


def step_names(states: Sequence[Mapping[str, Tensor]], *, first: int = 0) -> dict[str, Tensor]:
    """Names the states as `described` names its layers, starting at index `first`."""
    return {
        f"steps.{index}.{name}": value for index, state in enumerate(states, first) for name, value in state.items()
    }


def pair_names(states: Sequence[dict[str, Tensor]], *, ends: tuple[str, str, str]) -> dict[str, Tensor]:
    """Names the non-empty states as `dcgan` names its modules: the first, a list in the middle, and the last."""
    head, middle, tail = ends
    first, *between, last = [state for state in states if state]
    named = {f"{head}.{name}": value for name, value in first.items()}
    for index, state in enumerate(between):
        named |= {f"{middle}.{index}.{name}": value for name, value in state.items()}
    return named | {f"{tail}.{name}": value for name, value in last.items()}


def turned(states: Sequence[dict[str, Tensor]], stem: int, width: int) -> dict[str, Tensor]:
    """The state of `dcgan`'s discriminator, which works on images rotated by 180 degrees."""
    named = pair_names(states, ends=("from_image", "downs", "dense"))
    for name, value in named.items():
        if value.ndim == 4:
            named[name] = value.flip(2, 3)
    dense = named["dense.weight"].reshape(stem, stem, width).flip(0, 1)
    return named | {"dense.weight": dense.reshape(1, -1).contiguous()}
