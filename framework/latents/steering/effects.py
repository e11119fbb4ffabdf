"""The measured effect of a direction: how attributes respond to strength, compared with random directions.

Attributes are measured as logits, in which equal steps mean the same near 0 and near 1. The measurer assesses them,
which did not find the direction, on latents that were not used to find it. Everything here is computed from arrays; the
images may have been generated and assessed elsewhere.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from framework.errors import LatentsError
from framework.latents.steering.reach import Reach

LEAST_LATENTS = 1_000
RANDOM_DIRECTIONS = 100


@dataclass(frozen=True, eq=False)
class Slopes:
    """The response of one attribute to a direction.

    Attributes:
        mean: Mean slope over the latents, in logits per unit of strength.
        interval: 95% confidence interval of the mean (Student's t).
        right_share: Share of latents whose slope is above 0.
        each: [n] slope of each latent.
    """

    mean: float
    interval: tuple[float, float]
    right_share: float
    each: np.ndarray

    @classmethod
    def of(cls, each: np.ndarray) -> "Slopes":
        """Summarises the slopes [n] of the latents.

        Raises:
            LatentsError: There are fewer than 2.
        """
        if len(each) < 2:
            raise LatentsError(f"a confidence interval needs at least 2 latents, not {len(each)}")
        mean, error = float(each.mean()), float(each.std(ddof=1)) / math.sqrt(len(each))
        half = float(stdtrit(len(each) - 1, 0.975)) * error
        return cls(mean, (mean - half, mean + half), float((each > 0).mean()), each)


def latent_slopes(values: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    """Least-squares slopes [n] of each latent's values [s,n] against the strengths [s].

    Raises:
        LatentsError: The strengths are all the same.
    """
    x = np.asarray(strengths, np.float64)
    apart = x - x.mean()
    if not apart.any():
        raise LatentsError("latents.steering.strengths: a slope needs at least two different strengths")
    return apart @ (values - values.mean(axis=0)) / (apart @ apart)


@dataclass(frozen=True, eq=False)
class Effect:
    """The effect of a direction on each attribute and on the images.

    Attributes:
        slopes: Attribute -> response to the direction.
        random: Attribute -> [k] mean slopes of random directions of the same length.
        image_change: [s] mean absolute change of a pixel, on the scale from 0 to 255.
        data_strengths: [t] strengths at which distances to real images were measured, including 0.
        data_distance: [t] increase of the mean distance between an image's features and those of the nearest real
            image, in standard deviations of that distance at strength 0.
        reach: How much of its edit a steerable direction achieves.
    """

    strengths: Sequence[float]
    latents: int
    slopes: Mapping[str, Slopes]
    random: Mapping[str, np.ndarray]
    image_change: np.ndarray | None = None
    data_strengths: Sequence[float] = ()
    data_distance: np.ndarray | None = None
    reach: Reach | None = None

    def random_rank(self, attribute: str) -> float:
        """Share of random directions whose mean slope is nearer to 0 than this direction's.

        Absolute values are compared, since a random direction and its opposite are equally likely.
        """
        others = np.abs(self.random[attribute])
        return float((others < abs(self.slopes[attribute].mean)).mean())

    def leakage(self, attribute: str) -> dict[str, float]:
        """Other attribute -> its mean slope divided by that of `attribute`.

        Raises:
            LatentsError: The mean slope of `attribute` is 0.
        """
        slope = self.slopes[attribute].mean
        if slope == 0:
            raise LatentsError(f"{attribute}: does not respond to the direction, so leakage is undefined")
        return {other: slopes.mean / slope for other, slopes in self.slopes.items() if other != attribute}

    def leaves_data_at(self, *, deviations: float = 1.0) -> float | None:
        """The smallest absolute strength at which `data_distance` reaches so many standard deviations.

        At one standard deviation the mean moved sample is as far from real images as the farthest sixth of unmoved
        samples. The value is interpolated between measured strengths; None if no measured strength reaches it.
        """
        if self.data_distance is None:
            return None
        crossings = []
        for sense in (1, -1):
            sized = zip((sense * strength for strength in self.data_strengths), self.data_distance, strict=True)
            pairs = sorted(pair for pair in sized if pair[0] >= 0)
            for (x0, d0), (x1, d1) in itertools.pairwise(pairs):
                if d0 < deviations <= d1:
                    crossings.append(float(x0 + (deviations - d0) / (d1 - d0) * (x1 - x0)))
                    break
        return min(crossings, default=None)

    def document(self) -> dict[str, Any]:
        """The entry of `effects.json`."""
        document: dict[str, Any] = {
            "strengths": list(self.strengths),
            "latents": self.latents,
            "attributes": {
                name: {
                    "slope": slopes.mean,
                    "interval": list(slopes.interval),
                    "right_share": slopes.right_share,
                    "random_rank": self.random_rank(name),
                    "random_99th": float(np.quantile(np.abs(self.random[name]), 0.99)),
                    "random_directions": len(self.random[name]),
                }
                for name, slopes in self.slopes.items()
            },
            "leaves_data_at": self.leaves_data_at(),
        }
        for name in ("image_change", "data_distance"):
            values = getattr(self, name)
            if values is not None:
                document[name] = [float(value) for value in values]
        if self.data_distance is not None:
            document["data_strengths"] = list(self.data_strengths)
        if self.reach is not None:
            document["reach"] = dataclasses.asdict(self.reach)
        return document


def random_directions(size: int, *, count: int = RANDOM_DIRECTIONS, seed: int) -> np.ndarray:
    """Random directions [count,z] float32, uniform on the unit sphere."""
    drawn = np.random.default_rng(seed).normal(size=(count, size))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
