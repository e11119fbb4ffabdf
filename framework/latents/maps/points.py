"""The latents that a map decodes: codes, points between them, midpoints within and between classes, prior samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.errors import LatentsError
from framework.metrics.latent_space import hole_share
from framework.models import derive_seed, sample_latents

RECONSTRUCTIONS, BETWEEN, PRIOR = "reconstructions", "between_codes", "prior_samples"
WITHIN, ACROSS = "within_class", "between_classes"


@dataclass(frozen=True, eq=False)
class Trials:
    """Pairs of images between whose codes latents are decoded, the same pairs for every map.

    Attributes:
        anywhere: [m, 2] indices of pairs regardless of class.
        way: [m] position between the first and the second of these, from 0 to 1.
        within: [m, 2] indices of pairs of one class.
        across: [m, 2] indices of pairs of two classes.
        seed: The seed of the prior samples.
    """

    anywhere: np.ndarray
    way: np.ndarray
    within: np.ndarray
    across: np.ndarray
    seed: int

    def points(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """Kind of point -> latents [m, z] float32 to decode, for codes [n, z]."""
        first, second = codes[self.anywhere[:, 0]], codes[self.anywhere[:, 1]]
        way = self.way[:, None]
        points = {
            RECONSTRUCTIONS: codes,
            BETWEEN: (1 - way) * first + way * second,
            PRIOR: sample_latents(len(way), codes.shape[1], seed=self.seed),
            WITHIN: midpoints(codes, self.within),
            ACROSS: midpoints(codes, self.across),
        }
        return {kind: latents.astype(np.float32) for kind, latents in points.items()}


def make_trials(labels: np.ndarray, *, count: int, seed: int) -> Trials:
    """Draws pairs of images by their labels [n].

    Raises:
        LatentsError: There are fewer than two classes, or no class has two images.
    """
    sizes = np.unique(labels, return_counts=True)[1]
    if len(sizes) < 2 or sizes.max() < 2:
        raise LatentsError("latents.maps.images: a map needs images of two classes, and two images of one of them")
    numbers = np.random.Generator(np.random.Philox(derive_seed(seed, "latent_map")))
    first = numbers.integers(len(labels), size=count)
    second = numbers.integers(len(labels) - 1, size=count)
    return Trials(
        anywhere=np.stack([first, second + (second >= first)], axis=1),
        way=numbers.random(count),
        within=_pairs_within(labels, count, numbers),
        across=_pairs_across(labels, count, numbers),
        seed=derive_seed(seed, "prior"),
    )


def _pairs_within(labels: np.ndarray, count: int, numbers: np.random.Generator) -> np.ndarray:
    """[count, 2] indices: a uniform image of a class with at least two, then a uniform other image of that class."""
    order, starts, sizes = _by_class(labels)
    places = numbers.choice(np.flatnonzero(sizes > 1), size=count)  # positions in `order`
    others = np.floor(numbers.random(count) * (sizes[places] - 1)).astype(int)
    others += others >= places - starts[places]
    return np.stack([order[places], order[starts[places] + others]], axis=1)


def _pairs_across(labels: np.ndarray, count: int, numbers: np.random.Generator) -> np.ndarray:
    """[count, 2] indices: a uniform image, then a uniform image of the other classes."""
    order, starts, sizes = _by_class(labels)
    places = numbers.integers(len(labels), size=count)
    others = np.floor(numbers.random(count) * (len(labels) - sizes[places])).astype(int)
    others += np.where(others >= starts[places], sizes[places], 0)
    return np.stack([order[places], order[others]], axis=1)


def _by_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The indices [n] sorted by class, and for each position [n] the start and the size of its class."""
    order = np.argsort(labels, kind="stable")
    _, which, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    return order, starts[which], sizes[which]


def midpoints(codes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The midpoints [m, z] between the codes [n, z] of pairs [m, 2].

    >>> midpoints(np.array([[0.0, 0.0], [2.0, 4.0]]), np.array([[0, 1]]))
    array([[1., 2.]])
    """
    return (codes[pairs[:, 0]] + codes[pairs[:, 1]]) / 2


def midpoint_confidence(confidence: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean probability of the most likely class at midpoints, for pairs within a class and of two classes."""
    return {kind: float(np.mean(confidence[kind], dtype=np.float64)) for kind in (WITHIN, ACROSS)}


def trial_figures(confidence: Mapping[str, np.ndarray], *, sure_from: float) -> dict[str, Any]:
    """Hole shares and midpoint confidence, from the classifier's confidence [m] at each kind of point."""
    holes = {kind: hole_share(confidence[kind], sure_from=sure_from) for kind in (RECONSTRUCTIONS, BETWEEN, PRIOR)}
    return {"hole_share": holes, "midpoint_confidence": midpoint_confidence(confidence)}
