"""Interfaces of the models that a study needs: a generator of images, and assessors of images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Protocol

import numpy as np

from framework.models.arithmetic.blocks import shards

Scores = Mapping[str, np.ndarray]
"""Attribute -> probabilities: [n] that a binary attribute is present, or [n, classes]."""


class GeneratorLike(Protocol):
    """Generates images from latents; `framework.load_generator` and `as_generator` return one."""

    @property
    def latent_size(self) -> int:
        """Numbers in a latent."""
        ...

    @property
    def resolution(self) -> int:
        """Width and height of its images in pixels."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        ...

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """Samples start … start + n - 1 of a seed, [n, z] float32."""
        ...

    def images(self, latents: np.ndarray) -> np.ndarray:
        """Generates images [n, h, w, c] uint8 from latents [n, z]."""
        ...


class AttributeLike(Protocol):
    """A label, binary or with several classes."""

    @property
    def name(self) -> str:
        """The label's name in the data."""
        ...

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes; None for a binary label."""
        ...


class AssessorLike(Protocol):
    """An attribute classifier."""

    @property
    def attributes(self) -> Sequence[AttributeLike]:
        """The labels that it predicts."""
        ...

    @property
    def digest(self) -> str:
        """Identifies the assessor by its weights and labels."""
        ...

    def predict(self, images: np.ndarray) -> Scores:
        """Probabilities of each attribute for images [n, h, w, c] uint8."""
        ...


class Assessors(Protocol):
    """Two assessors trained on disjoint halves of the data, so that results are not measured by what found them."""

    @property
    def finder(self) -> AssessorLike:
        """The assessor by which samples are chosen and directions found."""
        ...

    @property
    def measurer(self) -> AssessorLike:
        """The assessor by which results are measured."""
        ...


@dataclass(frozen=True)
class Assessed:
    """Both assessors' scores of the same images."""

    finder: Scores
    measurer: Scores

    def last(self) -> "Assessed":
        """The scores of the last image only."""
        return Assessed(
            {name: scores[-1:] for name, scores in self.finder.items()},
            {name: scores[-1:] for name, scores in self.measurer.items()},
        )


Assess = Callable[[np.ndarray], Assessed]
"""Latents [n, z] -> both assessors' scores of their images; an implementation may distribute the latents."""


def assess_latents(generator: GeneratorLike, assessors: Assessors, latents: np.ndarray) -> Assessed:
    """Generates the images of latents [n, z] and has both assessors score them; n must be at least 1.

    The scores depend on each latent alone: slices whose sizes are multiples of 256 may be assessed anywhere, and
    `merge_assessed` joins them to the same result.
    """
    parts = []
    for start, stop in shards(len(latents)):
        images = generator.images(latents[start:stop])
        parts.append(Assessed(assessors.finder.predict(images), assessors.measurer.predict(images)))
    return merge_assessed(parts)


def merge_assessed(parts: Sequence[Assessed]) -> Assessed:
    """Joins the scores of slices, which must be in the order of the latents."""
    first = parts[0]
    return Assessed(
        {name: np.concatenate([part.finder[name] for part in parts]) for name in first.finder},
        {name: np.concatenate([part.measurer[name] for part in parts]) for name in first.measurer},
    )


def normal_size(generator: GeneratorLike) -> int:
    """The numbers of a latent that are standard normal; what follows is the code of a conditional generator."""
    return getattr(generator, "normal_size", generator.latent_size)


def typical_norm(latent_size: int) -> float:
    """The mean norm of a standard normal latent: about the square root of its size.

    >>> round(typical_norm(1), 4), round(typical_norm(100), 3)
    (0.7979, 9.975)
    """
    return exp(0.5 * log(2) + lgamma((latent_size + 1) / 2) - lgamma(latent_size / 2))
