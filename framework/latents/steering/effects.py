"""What a direction does, measured: how each attribute answers to strength, beside random directions as long.

Attributes are taken as logits, in which equal steps mean the same near 0 and near 1, by the assessor that did not find
the direction, on latents it was not found on. All is a function of arrays; whoever has a cluster shares the images out.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from framework.errors import LatentsError
from framework.latents.steering.reach import Reach

LEAST_LATENTS = 1_000
RANDOM_DIRECTIONS = 100


@dataclass(frozen=True, eq=False)
class Slopes:
    """How one attribute answers to a direction.

    Attributes:
        mean: Logits a unit of strength, over the latents.
        interval: That holds the true mean in 95% of such measurements (Student's t).
        right_share: Share of latents whose own slope is above 0.
        each: [n] slope of each latent.
    """

    mean: float
    interval: tuple[float, float]
    right_share: float
    each: np.ndarray

    @classmethod
    def of(cls, each: np.ndarray) -> "Slopes":
        """From each latent's own slope [n].

        Raises:
            LatentsError: There are fewer than 2.
        """
        if len(each) < 2:
            raise LatentsError(f"an interval wants at least 2 latents, not {len(each)}")
        mean, error = float(each.mean()), float(each.std(ddof=1)) / math.sqrt(len(each))
        half = float(scipy.stats.t.ppf(0.975, len(each) - 1)) * error
        return cls(mean, (mean - half, mean + half), float((each > 0).mean()), each)


def latent_slopes(values: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    """Least-squares slope of each latent's values [s,n] against the strengths [s]: [n].

    Raises:
        LatentsError: The strengths are all the same.
    """
    x = np.asarray(strengths, np.float64)
    apart = x - x.mean()
    if not apart.any():
        raise LatentsError("latents.strengths: a slope wants at least two different strengths")
    return apart @ (values - values.mean(axis=0)) / (apart @ apart)


@dataclass(frozen=True, eq=False)
class Effect:
    """What a direction does to each attribute, and to the images.

    Attributes:
        strengths: That were measured.
        latents: How many.
        slopes: Attribute -> how it answers.
        random: Attribute -> [k] mean slopes of random directions of the same length.
        image_change: [s] mean absolute change of a pixel, of the range from 0 to 255.
        data_strengths: [t] at which distances to real images were taken, 0 among them.
        data_distance: [t] how much farther the images' features lie from the nearest real one than unmoved ones do, in
            standard deviations of the distances of these.
        reach: How much of its edit a steerable direction reaches.
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
        """Share of random directions whose mean slope is nearer to 0 than this one's.

        A random direction and its opposite are as likely, so sizes are compared.
        """
        others = np.abs(self.random[attribute])
        return float((others < abs(self.slopes[attribute].mean)).mean())

    def leakage(self, attribute: str) -> dict[str, float]:
        """Other attribute -> its mean slope over that of `attribute`.

        Raises:
            LatentsError: The attribute does not answer at all.
        """
        own = self.slopes[attribute].mean
        if own == 0:
            raise LatentsError(f"{attribute}: does not answer to the direction, so nothing leaks from it")
        return {other: slopes.mean / own for other, slopes in self.slopes.items() if other != attribute}

    def leaves_data_at(self, *, deviations: float = 1.0) -> float | None:
        """The least size of strength from which samples lie so much farther from real images than unmoved ones do.

        A standard deviation: the mean moved sample is then as far as the farthest sixth of the unmoved ones. Between
        two strengths that were measured it is interpolated; None where none of them goes so far.
        """
        if self.data_distance is None:
            return None
        found = []
        for sense in (1, -1):
            sized = zip((sense * strength for strength in self.data_strengths), self.data_distance, strict=True)
            pairs = sorted(pair for pair in sized if pair[0] >= 0)
            for (x0, d0), (x1, d1) in itertools.pairwise(pairs):
                if d0 < deviations <= d1:
                    found.append(float(x0 + (deviations - d0) / (d1 - d0) * (x1 - x0)))
                    break
        return min(found, default=None)

    def document(self) -> dict[str, Any]:
        """As effects.json holds it."""
        found: dict[str, Any] = {
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
                found[name] = [float(value) for value in values]
        if self.data_distance is not None:
            found["data_strengths"] = list(self.data_strengths)
        if self.reach is not None:
            found["reach"] = dataclasses.asdict(self.reach)
        return found


def random_directions(size: int, *, count: int = RANDOM_DIRECTIONS, seed: int) -> np.ndarray:
    """[count,z] float32, uniform on the sphere of length 1."""
    drawn = np.random.default_rng(seed).normal(size=(count, size))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
