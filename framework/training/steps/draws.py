"""The random numbers of a step: a pure function of (seed, purpose, step, sample), so there is no state to save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from framework.models import derive_seed, sample_latents
from framework.models.architectures.prior import keep_mask, uniforms
from framework.training.steps.augment import NUMBERS
from framework.training.workers import Shard

Kind = Literal["latents", "mask", "augmentation"]


@dataclass(frozen=True)
class Numbers:
    """What one step draws for one worker: all of it at once, so that it can be made and sent before the step begins.

    Args:
        drawn: (kind, purpose) -> the numbers of the shard's samples.
        shards: The shard of each purpose.
    """

    drawn: Mapping[tuple[Kind, str], Tensor]
    shards: Mapping[str, Shard]

    def pinned(self) -> "Numbers":
        """In memory that a GPU copies from while the CPU goes on."""
        return Numbers({key: numbers.pin_memory() for key, numbers in self.drawn.items()}, self.shards)

    def to(self, device: torch.device | str) -> "Numbers":
        """On a device, without a wait where they are pinned."""
        return Numbers({key: each.to(device, non_blocking=True) for key, each in self.drawn.items()}, self.shards)

    def latents(self, purpose: str, part: Shard) -> Tensor:
        """[part.count, latent_size], standard normal."""
        return self._part("latents", purpose, part)

    def mask(self, purpose: str, part: Shard) -> Tensor | None:
        """[part.count, features] bool, True for what stays; None without dropout."""
        return self._part("mask", purpose, part) if ("mask", purpose) in self.drawn else None

    def augmentation(self, purpose: str, part: Shard) -> Tensor:
        """[part.count, 7] in [0, 1)."""
        return self._part("augmentation", purpose, part)

    def _part(self, kind: Kind, purpose: str, part: Shard) -> Tensor:
        return self.shards[purpose].of(self.drawn[kind, purpose], part)


class StepRandom:
    """Latents, dropout masks and augmentation numbers on the CPU, the same whatever worker asks.

    Args:
        seed: The experiment's.
        latent_size: Numbers in a latent.
        features: The discriminator's before its logit.
        dropout: Probability with which a feature is dropped; 0 makes no masks.
        dtype: Of latents and augmentation numbers.
    """

    def __init__(self, *, seed: int, latent_size: int, features: int, dropout: float, dtype: torch.dtype) -> None:
        self._seed, self._latent_size, self._features, self._dropout = seed, latent_size, features, dropout
        self._dtype = dtype

    def of_step(
        self, step: int, shards: Mapping[str, Shard], *, latents: Sequence[str], augmented: Sequence[str] = ()
    ) -> Numbers:
        """All that a step draws; any thread may ask.

        Args:
            step: Its number.
            shards: This worker's part, by purpose.
            latents: Purposes that want latents.
            augmented: Purposes that want augmentation. All want a dropout mask, where there is dropout.
        """
        drawn: dict[tuple[Kind, str], Tensor] = {}
        for purpose, shard in shards.items():
            if purpose in latents:
                drawn["latents", purpose] = self.latents(purpose, step, shard)
            if purpose in augmented:
                drawn["augmentation", purpose] = self.augmentation(purpose, step, shard)
            mask = self.mask(purpose, step, shard)
            if mask is not None:
                drawn["mask", purpose] = mask
        return Numbers(drawn, shards)

    def latents(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """[shard.count, latent_size], standard normal."""
        seed = derive_seed(self._seed, "latents", purpose, step)
        return self._typed(sample_latents(shard.count, self._latent_size, seed=seed, start=shard.start))

    def mask(self, purpose: str, step: int, shard: Shard) -> Tensor | None:
        """[shard.count, features] bool, True for what stays; None without dropout."""
        if self._dropout == 0.0:
            return None
        seed = derive_seed(self._seed, "dropout", purpose, step)
        kept = keep_mask(shard.count, self._features, dropout=self._dropout, seed=seed, start=shard.start)
        return torch.from_numpy(kept)

    def augmentation(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """[shard.count, 7] in [0, 1)."""
        seed = derive_seed(self._seed, "augmentation", purpose, step)
        return self._typed(uniforms(shard.count, NUMBERS, seed=seed, start=shard.start))

    def _typed(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._dtype)
