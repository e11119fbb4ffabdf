"""A moving average of a network's weights, its memory given in images."""

import copy

import torch
from torch import Tensor, nn

_RAMP_SHARE = 0.05  # StyleGAN2-ADA's ema_rampup (Karras et al. 2020)


class Ema:
    """Keeps `network`, a copy of the tracked one whose weights are averaged over the training.

    Args:
        tracked: The network in training.
        half_life_images: After so many images an old weight counts half, but never after more than a twentieth of those
            seen, so that a young average is not mostly the weights it began with; 0: the copy simply follows.
    """

    def __init__(self, tracked: nn.Module, *, half_life_images: int) -> None:
        self.half_life_images = half_life_images
        self.network = copy.deepcopy(tracked).eval().requires_grad_(False)
        self._tracked = tracked
        # Kept, for a walk through the modules takes as long as some steps of a small network do on a GPU.
        self._averages: list[Tensor] = list(self.network.parameters())
        self._weights: list[Tensor] = list(tracked.parameters())

    @torch.no_grad()
    def update(self, images: int, *, images_seen: int) -> None:
        """Takes the tracked weights in, `images` after the last update, `images_seen` (over 0) in all."""
        half_life = min(self.half_life_images, _RAMP_SHARE * images_seen)
        decay = 0.5 ** (images / half_life) if half_life else 0.0
        averages, weights = self._averages, self._weights
        if decay:
            torch._foreach_lerp_(averages, weights, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]
        else:
            torch._foreach_copy_(averages, weights)  # pyright: ignore[reportPrivateImportUsage]
        for average, value in zip(self.network.buffers(), self._tracked.buffers(), strict=True):
            average.copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged network's tensors by name."""
        return self.network.state_dict()

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Takes back what `state_dict` gave."""
        self.network.load_state_dict(tensors)
