"""The random numbers of a step: a pure function of (seed, purpose, step, sample), so there is no state to save."""

import numpy as np
import torch
from torch import Tensor

from framework.models import derive_seed, sample_latents
from framework.models.prior import keep_mask, uniforms
from framework.training.augment import NUMBERS
from framework.training.workers import Shard


class Draws:
    """Latents, dropout masks and augmentation numbers, the same whatever worker asks.

    Args:
        seed: The experiment's.
        latent_size: Numbers in a latent.
        features: The discriminator's before its logit.
        dropout: Probability with which a feature is dropped; 0 makes no masks.
        device: Where they are wanted.
        dtype: Of latents and augmentation numbers.
    """

    def __init__(
        self,
        *,
        seed: int,
        latent_size: int,
        features: int,
        dropout: float,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        self._seed, self._latent_size, self._features, self._dropout = seed, latent_size, features, dropout
        self._device, self._dtype = device, dtype

    def latents(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """[shard.count, latent_size], standard normal."""
        seed = derive_seed(self._seed, "latents", purpose, step)
        return self._placed(sample_latents(shard.count, self._latent_size, seed=seed, start=shard.start))

    def mask(self, purpose: str, step: int, shard: Shard) -> Tensor | None:
        """[shard.count, features] bool, True for what stays; None without dropout."""
        if self._dropout == 0.0:
            return None
        seed = derive_seed(self._seed, "dropout", purpose, step)
        kept = keep_mask(shard.count, self._features, dropout=self._dropout, seed=seed, start=shard.start)
        return torch.from_numpy(kept).to(self._device)

    def augmentation(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """[shard.count, NUMBERS] in [0, 1)."""
        seed = derive_seed(self._seed, "augmentation", purpose, step)
        return self._placed(uniforms(shard.count, NUMBERS, seed=seed, start=shard.start))

    def _placed(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._device, self._dtype)
