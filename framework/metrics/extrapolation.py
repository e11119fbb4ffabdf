"""Extrapolates a distance to infinitely many samples.

Chong & Forsyth 2020, "Effectively unbiased FID and Inception Score".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Extrapolation:
    """A line fitted to distances as a function of 1/count.

    Attributes:
        value: The line's value at 1/count = 0, that is, for infinitely many samples.
        slope: The slope with respect to 1/count.
        r_squared: Share of the distances' variance that the line explains.
        distances: The distance for each number of samples.
    """

    value: float
    slope: float
    r_squared: float
    counts: tuple[int, ...]
    distances: tuple[float, ...]


def extrapolate(counts: Sequence[int], distances: Sequence[float]) -> Extrapolation:
    """Fits distance = a + b/count by least squares; FID decreases with the number of samples in this way.

    Raises:
        ValueError: There are fewer than 3 different counts, or a distance is not finite.
    """
    if len(set(counts)) < 3 or len(counts) != len(distances):
        raise ValueError(f"a line needs distances at 3 or more counts of samples, not at {len(set(counts))}")
    if not np.isfinite(distances).all() or min(counts) < 1:
        raise ValueError("a line needs distances that are finite, of at least 1 sample")
    x, y = 1 / np.asarray(counts, float), np.asarray(distances, float)
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    value = float(y.mean() - slope * x.mean())
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - value - slope * x) ** 2).sum())
    r_squared = 1 - left / spread if spread else 1.0
    return Extrapolation(value, slope, r_squared, tuple(map(int, counts)), tuple(map(float, distances)))
