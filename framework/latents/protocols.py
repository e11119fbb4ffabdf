"""What a study works on: anything that makes images of latents, and anything that judges images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Protocol

import numpy as np

AT_A_TIME = 256  # images held in memory at once; a whole number of the blocks of 32 that generators compute in

Scores = Mapping[str, np.ndarray]
"""Attribute -> probabilities: [n] that it is there, or [n, classes]."""


class GeneratorLike(Protocol):
    """Makes images; `framework.load_generator` and `as_generator` give one."""

    @property
    def latent_size(self) -> int:
        """Numbers in a latent."""
        ...

    @property
    def resolution(self) -> int:
        """Side of its images, in pixels."""
        ...

    @property
    def channels(self) -> int:
        """1 or 3."""
        ...

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """[n, z] float32, the samples start … start + n of a seed."""
        ...

    def images(self, latents: np.ndarray) -> np.ndarray:
        """[n, z] -> [n, h, w, c] uint8."""
        ...


class AttributeLike(Protocol):
    """A label: binary, or one of several classes."""

    @property
    def name(self) -> str:
        """As in the data."""
        ...

    @property
    def classes(self) -> Sequence[str] | None:
        """None for a binary one."""
        ...


class AssessorLike(Protocol):
    """Judges images by their labels."""

    @property
    def attributes(self) -> Sequence[AttributeLike]:
        """What it judges."""
        ...

    @property
    def digest(self) -> str:
        """Tells it from any other."""
        ...

    def predict(self, images: np.ndarray) -> Scores:
        """[n, h, w, c] uint8 -> probabilities of each attribute."""
        ...


class Assessors(Protocol):
    """Two assessors trained on disjoint halves: one finds, the other measures what was found."""

    @property
    def finder(self) -> AssessorLike:
        """Chooses samples."""
        ...

    @property
    def measurer(self) -> AssessorLike:
        """Says what results show."""
        ...


@dataclass(frozen=True)
class Assessed:
    """What both assessors say of the same images."""

    finder: Scores
    measurer: Scores

    def last(self) -> "Assessed":
        """What they say of the last image alone."""
        return Assessed(
            {name: found[-1:] for name, found in self.finder.items()},
            {name: found[-1:] for name, found in self.measurer.items()},
        )


Assess = Callable[[np.ndarray], Assessed]
"""Latents [n, z] -> what both assessors say of their images; whoever provides one may share the latents out."""


def assess_latents(generator: GeneratorLike, judges: Assessors, latents: np.ndarray) -> Assessed:
    """Make the images of latents and have both assessors judge them; the images are not kept.

    A pure function of each latent: parts of the latents, in slices of whole 256s, may be assessed anywhere, and
    `merge_assessed` puts them together to the same result.

    Args:
        generator: Makes the images.
        judges: The two assessors.
        latents: [n, z], n at least 1.
    """
    parts = []
    for start in range(0, len(latents), AT_A_TIME):
        images = generator.images(latents[start : start + AT_A_TIME])
        parts.append(Assessed(judges.finder.predict(images), judges.measurer.predict(images)))
    return merge_assessed(parts)


def merge_assessed(parts: Sequence[Assessed]) -> Assessed:
    """Assessments of slices, in the latents' order, as one."""
    first = parts[0]
    return Assessed(
        {name: np.concatenate([part.finder[name] for part in parts]) for name in first.finder},
        {name: np.concatenate([part.measurer[name] for part in parts]) for name in first.measurer},
    )


def typical_norm(latent_size: int) -> float:
    """The mean norm of a standard normal latent: about the square root of its size.

    >>> round(typical_norm(1), 4), round(typical_norm(100), 3)
    (0.7979, 9.975)
    """
    return exp(0.5 * log(2) + lgamma((latent_size + 1) / 2) - lgamma(latent_size / 2))
