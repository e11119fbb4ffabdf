"""How often results show the expected attributes, compared with random samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from framework.latents.attributes.expression import SignedGroup
from framework.latents.attributes.groups import Condition
from framework.latents.protocols import Scores

_Z_95 = 1.959963984540054  # the normal distribution's 97.5% point


@dataclass(frozen=True)
class Share:
    """A share of a count, with its 95% confidence interval."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share, from 0 to 1."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (1927), which is accurate for few repeats and for shares near 0 and 1.

        >>> [round(end, 4) for end in Share(10, 10).interval]
        [0.7225, 1.0]
        """
        p, n, z = self.value, self.of, _Z_95
        middle = p + z * z / (2 * n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        whole = 1 + z * z / n
        return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def expected(terms: Sequence[SignedGroup], conditions: Mapping[str, Condition]) -> list[Condition]:
    """The conditions that a result should fulfil: those of the groups added with +, each once."""
    return list(dict.fromkeys(conditions[t.group] for t in terms if t.sign == "+" and t.group in conditions))


def combine(terms: Sequence[SignedGroup], means: Mapping[str, np.ndarray]) -> np.ndarray:
    """The signed sum of group means, each [..., z], without normalisation as in Radford et al. (2016).

    The sum is not scaled back to the typical norm of a latent. A mean of k normal latents is shorter than a latent by
    √k, and a sum of m means is longer by √m. For three groups of three the two cancel; otherwise, compare the norms.
    """
    total = np.zeros_like(next(iter(means.values())))
    for term in terms:
        total = total + means[term.group] if term.sign == "+" else total - means[term.group]
    return total


def measured_rows(conditions: Sequence[Condition], results: Scores, random: Scores) -> list[dict[str, Any]]:
    """The share of results that fulfil all conditions, then each condition alone, next to the share by chance.

    Args:
        conditions: The conditions that a result should fulfil, at least one.
        results: The measurer's scores of the results, one per repeat.
        random: The measurer's scores of random samples.

    Returns:
        Rows with the keys attribute, conditions, share, count, repeats, interval, random_share, random_count,
        random_samples and random_interval.
    """
    sets = [list(conditions), *([c] for c in conditions)] if len(conditions) > 1 else [list(conditions)]
    return [_row(together, results, random) for together in sets]


def _row(together: Sequence[Condition], results: Scores, random: Scores) -> dict[str, Any]:
    share, chance = _share(together, results), _share(together, random)
    return {
        "attribute": " and ".join(condition.text for condition in together),
        "conditions": [condition.to_json() for condition in together],
        "share": share.value,
        "count": share.count,
        "repeats": share.of,
        "interval": _rounded(share),
        "random_share": chance.value,
        "random_count": chance.count,
        "random_samples": chance.of,
        "random_interval": _rounded(chance),
    }


def _share(together: Sequence[Condition], scores: Scores) -> Share:
    all_hold = np.logical_and.reduce([condition.holds(scores) for condition in together])
    return Share(count=int(all_hold.sum()), of=len(all_hold))


def _rounded(share: Share) -> list[float]:
    return [round(end, 4) for end in share.interval]
