"""Exponential moving average of a network's weights, with a half-life in images."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from framework.config.schedule import value_at

_RAMP_SHARE = 0.05  # StyleGAN2-ADA's ema_rampup (Karras et al. 2020)


class Ema:
    """Maintains `network`, a copy of the trained network with averaged weights.

    Args:
        tracked: The network in training.
        half_life_images: The number of images after which a weight's influence has halved, or its schedule. At most a
            twentieth of the images seen is used, so that the initial weights do not dominate an early average. 0 copies
            the weights.
    """

    def __init__(self, tracked: nn.Module, *, half_life_images: float | Mapping[str, Any]) -> None:
        self.half_life_images = half_life_images
        self.network = copy.deepcopy(tracked).eval().requires_grad_(False)
        self._tracked = tracked
        # Kept, because iterating over the modules can take as long as a training step of a small network on a GPU.
        self._averages: list[Tensor] = list(self.network.parameters())
        self._weights: list[Tensor] = list(tracked.parameters())

    @torch.no_grad()
    def update(self, images: int, *, images_seen: int) -> None:
        """Adds the tracked weights to the average.

        Args:
            images: Images since the last update.
            images_seen: Images since the start of the training, more than 0.
        """
        half_life = min(value_at(self.half_life_images, images_seen), _RAMP_SHARE * images_seen)
        decay = 0.5 ** (images / half_life) if half_life else 0.0
        averages, weights = self._averages, self._weights
        if decay:
            torch._foreach_lerp_(averages, weights, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]
        else:
            torch._foreach_copy_(averages, weights)  # pyright: ignore[reportPrivateImportUsage]
        for average, value in zip(self.network.buffers(), self._tracked.buffers(), strict=True):
            average.copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors of the averaged network by name."""
        return self.network.state_dict()

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Restores tensors from `state_dict`."""
        self.network.load_state_dict(tensors)
