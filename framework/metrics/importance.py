"""How much of the ranking of trials each searched key explains, and whether that could be chance.

Scores and the values of a key are replaced by their ranks, so that neither a logarithmic scale nor a single outlier
matters. Numeric keys are fitted by a parabola over their ranks, since the best learning rate is often in the middle;
categories by the mean of each, for which the explained share is Kruskal and Wallis's H divided by n - 1. The share is
adjusted for the number of free parameters, and compared with that of shuffled scores (Good, Permutation Tests, 2000).
Forests and fANOVA could find interactions, but with so few trials these cannot be distinguished from noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FEWEST_TRIALS = 8
LEVEL = 0.05
_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Importance:
    """The importance of one key.

    Attributes:
        share: Share of the variance of the scores' ranks that it explains, adjusted for free parameters, in [0, 1].
        p: Share of shuffles in which as much is explained, corrected for the number of keys (Holm 1979).
    """

    key: str
    share: float
    p: float

    @property
    def could_be_chance(self) -> bool:
        """Whether shuffled scores are explained as well in more than one of 20 cases."""
        return self.p > LEVEL


def importances(columns: Mapping[str, Sequence[float | str]], scores: Sequence[float]) -> list[Importance]:
    """The importance of each key, the largest share first.

    Args:
        columns: Key -> its value in each trial, all numbers or all categories (text).
        scores: The score of each trial; it does not matter whether higher or lower is better.

    Returns:
        An empty list for fewer than `FEWEST_TRIALS` trials or equal scores. Keys with one value, or with too many
        categories for the number of trials, are left out.
    """
    ranked = ranks(scores)
    centred = ranked - ranked.mean()
    if len(scores) < FEWEST_TRIALS or not centred.any():
        return []
    bases = {key: basis for key, values in columns.items() if (basis := _basis(values)) is not None}
    rng = np.random.default_rng(0)  # the same files give the same page
    shuffled = rng.permuted(np.tile(centred, (_PERMUTATIONS, 1)), axis=1)
    found = []
    for key, basis in bases.items():
        share = float(explained(basis, centred[None])[0])
        beaten = int(np.sum(explained(basis, shuffled) >= share - 1e-12))
        found.append((key, _adjusted(share, len(scores), basis.shape[1]), (beaten + 1) / (_PERMUTATIONS + 1)))
    corrected = holm([p for _, _, p in found])
    every = [Importance(key, share, p) for (key, share, _), p in zip(found, corrected, strict=True)]
    return sorted(every, key=lambda one: (-one.share, one.p))


def ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks starting at 1; equal values get their mean rank.

    >>> ranks([30.0, 10.0, 20.0, 10.0]).tolist()
    [4.0, 1.5, 3.0, 1.5]
    """
    _, inverse, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def trend_basis(values: Sequence[float], *, degree: int = 2) -> np.ndarray:
    """Orthonormal polynomials of the ranks without the constant, [n, k] with k at most `degree`."""
    centred = ranks(values) - (len(values) + 1) / 2
    return _orthonormal(np.stack([centred**power for power in range(1, degree + 1)], axis=1))


def group_basis(values: Sequence[float | str]) -> np.ndarray:
    """Orthonormal contrasts between categories, [n, categories - 1]."""
    names = sorted(set(values), key=str)
    return _orthonormal(np.array([[value == name for name in names[1:]] for value in values], dtype=float))


def explained(basis: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """Share [m] of the variance of each row of `centred` [m, n] that the basis [n, k] explains."""
    return np.sum((centred @ basis) ** 2, axis=1) / np.sum(centred**2, axis=1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number by Holm's method.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[int(index)] = round(largest, 12)
    return corrected


def _basis(values: Sequence[float | str]) -> np.ndarray | None:
    distinct = set(values)
    # A parabola through three values is their three means, so that numbers as few are categories all the same.
    categories = any(isinstance(value, str) for value in distinct) or len(distinct) <= 3
    if len(distinct) < 2 or (categories and 3 * (len(distinct) - 1) > len(values)):
        return None
    return group_basis(values) if categories else trend_basis([float(value) for value in values])


def _adjusted(share: float, trials: int, freedom: int) -> float:
    return max(0.0, 1 - (1 - share) * (trials - 1) / (trials - 1 - freedom))


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the span of the centred columns."""
    centred = columns - columns.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, sizes > 1e-9 * sizes[0]]
