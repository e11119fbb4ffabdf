"""The random numbers of a step, which depend only on seed, purpose, step and sample; there is no state to save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from framework.models import derive_seed, sample_latents
from framework.models.architectures.prior import keep_mask, uniforms
from framework.models.condition import Condition
from framework.training.steps.augment import NUMBERS, Augmentation
from framework.training.workers import Shard

Kind = Literal["latents", "mask", "augmentation", "codes"]


@dataclass(frozen=True)
class Numbers:
    """All random numbers of one step and worker, so that they can be drawn and copied before the step begins.

    The codes of the conditions of real images, which are not random, are among them.

    Attributes:
        drawn: (kind, purpose) -> the numbers of the shard's samples.
        shards: Purpose -> this worker's shard.
    """

    drawn: Mapping[tuple[Kind, str], Tensor]
    shards: Mapping[str, Shard]

    def pinned(self) -> "Numbers":
        """A copy in pinned memory, from which a GPU can copy asynchronously."""
        return Numbers({key: numbers.pin_memory() for key, numbers in self.drawn.items()}, self.shards)

    def to(self, device: torch.device | str) -> "Numbers":
        """A copy on a device, asynchronous if the numbers are pinned."""
        return Numbers({key: each.to(device, non_blocking=True) for key, each in self.drawn.items()}, self.shards)

    def with_codes(self, purpose: str, codes: Tensor) -> "Numbers":
        """The same numbers with the codes [n, size] of the shard's samples."""
        return Numbers({**self.drawn, ("codes", purpose): codes}, self.shards)

    def latents(self, purpose: str, part: Shard) -> Tensor:
        """Standard normal latents [part.count, latent_size], each followed by its code if there is a condition."""
        return self._part("latents", purpose, part)

    def codes(self, purpose: str, part: Shard) -> Tensor:
        """The codes [part.count, size] of the conditions."""
        return self._part("codes", purpose, part)

    def mask(self, purpose: str, part: Shard) -> Tensor | None:
        """Dropout mask [part.count, features] bool, True for kept features; None without dropout."""
        return self._part("mask", purpose, part) if ("mask", purpose) in self.drawn else None

    def augmentation(self, purpose: str, part: Shard) -> Tensor:
        """The numbers of each image for its augmentation [part.count, numbers], as `Augmentation` takes them."""
        return self._part("augmentation", purpose, part)

    def _part(self, kind: Kind, purpose: str, part: Shard) -> Tensor:
        return self.shards[purpose].of(self.drawn[kind, purpose], part)


class StepRandom:
    """Draws latents, dropout masks and augmentation numbers on the CPU, the same for any number of workers.

    Args:
        seed: The seed of the experiment.
        latent_size: Number of entries of a latent.
        features: Number of the discriminator's features before its logit.
        dropout: Probability of dropping a feature; 0 draws no masks.
        dtype: Type of latents and augmentation numbers.
        more_numbers: Uniform numbers for the augmentation of an image, after the first 7.
        noise_numbers: Standard normal numbers for the augmentation of an image, after the uniform ones.
        condition: Gives each latent the code of a condition, as training images have it; None for no codes.
    """

    def __init__(
        self,
        *,
        seed: int,
        latent_size: int,
        features: int,
        dropout: float,
        dtype: torch.dtype,
        more_numbers: int = 0,
        noise_numbers: int = 0,
        condition: Condition | None = None,
    ) -> None:
        self._seed, self._latent_size, self._features, self._dropout = seed, latent_size, features, dropout
        self._dtype, self._more_numbers, self._noise_numbers = dtype, more_numbers, noise_numbers
        self._condition = condition

    def of_step(
        self, step: int, shards: Mapping[str, Shard], *, latents: Sequence[str], augmented: Sequence[str] = ()
    ) -> Numbers:
        """Draws all random numbers of a step; thread-safe.

        With dropout, masks are drawn for all purposes.

        Args:
            step: The index of the step.
            shards: Purpose -> this worker's shard.
            latents: Purposes for which latents are drawn.
            augmented: Purposes for which augmentation numbers are drawn.
        """
        drawn: dict[tuple[Kind, str], Tensor] = {}
        for purpose, shard in shards.items():
            if purpose in latents:
                drawn["latents", purpose] = self.latents(purpose, step, shard)
                if self._condition is not None:
                    drawn["codes", purpose] = drawn["latents", purpose][:, self._latent_size :]
            if purpose in augmented:
                drawn["augmentation", purpose] = self.augmentation(purpose, step, shard)
            mask = self.mask(purpose, step, shard)
            if mask is not None:
                drawn["mask", purpose] = mask
        return Numbers(drawn, shards)

    def latents(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """Standard normal latents [shard.count, latent_size], each followed by its code if there is a condition."""
        seed = derive_seed(self._seed, "latents", purpose, step)
        latents = sample_latents(shard.count, self._latent_size, seed=seed, start=shard.start)
        if self._condition is not None:
            seed = derive_seed(self._seed, "condition", purpose, step)
            codes = self._condition.draw(shard.count, seed=seed, start=shard.start)
            latents = np.concatenate([latents, codes], axis=1)
        return self._typed(latents)

    def mask(self, purpose: str, step: int, shard: Shard) -> Tensor | None:
        """Dropout mask [shard.count, features] bool, True for kept features; None without dropout."""
        if self._dropout == 0.0:
            return None
        seed = derive_seed(self._seed, "dropout", purpose, step)
        kept = keep_mask(shard.count, self._features, dropout=self._dropout, seed=seed, start=shard.start)
        return torch.from_numpy(kept)

    def augmentation(self, purpose: str, step: int, shard: Shard) -> Tensor:
        """Numbers [shard.count, 7 + more_numbers + noise_numbers]; the uniform ones are in [0, 1).

        The first 7 are a stream of their own, so that they do not depend on which others are needed.
        """
        seed = derive_seed(self._seed, "augmentation", purpose, step)
        numbers = [self._typed(uniforms(shard.count, NUMBERS, seed=seed, start=shard.start))]
        if self._more_numbers:
            seed = derive_seed(self._seed, "augmentation-more", purpose, step)
            more = self._typed(uniforms(shard.count, self._more_numbers, seed=seed, start=shard.start))
            # Rounding may have made a 1 of them, with which an operation of probability 1 would be left out.
            numbers.append(more.clamp(max=1.0 - torch.finfo(self._dtype).eps / 2))
        if self._noise_numbers:
            seed = derive_seed(self._seed, "augmentation-noise", purpose, step)
            numbers.append(self._typed(sample_latents(shard.count, self._noise_numbers, seed=seed, start=shard.start)))
        return numbers[0] if len(numbers) == 1 else torch.cat(numbers, dim=1)

    def _typed(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._dtype)


def augmentation_numbers(augment: Augmentation, shape: Sequence[int], *, seed: int, purpose: str, step: int) -> Tensor:
    """The numbers with which a step of this seed augments images [n, h, w, c] of this shape."""
    count, resolution, _, channels = shape
    draws = StepRandom(
        seed=seed,
        latent_size=1,
        features=1,
        dropout=0.0,
        dtype=torch.float32,
        more_numbers=augment.more_numbers,
        noise_numbers=augment.noise_numbers(resolution=resolution, channels=channels),
    )
    return draws.augmentation(purpose, step, Shard(0, count, count))
