"""The samples of a training: always of the same latents, by the averaged network."""

import functools

import numpy as np
import torch

from framework.data import PackedStore
from framework.images import to_pixels
from framework.models import derive_seed
from framework.training.conditions import sample_latents_of
from framework.training.precision import Precision
from framework.training.reports.health import mutual_distance
from framework.training.state import State

SAMPLES = 64
_REAL_IMAGES = 256
_CHUNK_IMAGES = 16


class Sampler:
    """Draws the samples of one training; only rank 0 does.

    Args:
        state: The state with the averaged network.
        images: The training images, some of which the samples are compared with.
        precision: The precision of the latents.
        device: The device of the network.
    """

    def __init__(self, state: State, images: PackedStore, *, precision: Precision, device: torch.device) -> None:
        self._state, self._images, self._precision, self._device = state, images, precision, device

    @functools.cached_property
    def _real_distance(self) -> float:
        return mutual_distance(_spread_out(self._images, _REAL_IMAGES))

    @torch.no_grad()
    def draw(self) -> tuple[np.ndarray, float]:
        """Samples [64, h, w, c] uint8, and their spread: `mutual_distance` divided by that of real images."""
        self._state.prepare_for_sampling(self._images)
        experiment = self._state.experiment
        seed = derive_seed(experiment.seed, "samples")
        size = experiment.model.latent_size
        latents = torch.from_numpy(sample_latents_of(self._state.condition, SAMPLES, size, seed=seed))
        latents = latents.to(self._device, self._precision.dtype)
        network = self._state.ema.network
        pictures = np.concatenate([to_pixels(network(chunk)) for chunk in latents.split(_CHUNK_IMAGES)])
        return pictures, mutual_distance(pictures) / max(self._real_distance, 1e-9)


def _spread_out(images: PackedStore, count: int) -> np.ndarray:
    """About `count` evenly spaced training images, since the store may be sorted by content."""
    indices = images.training_indices
    return images.images[indices[:: max(1, len(indices) // count)]]
