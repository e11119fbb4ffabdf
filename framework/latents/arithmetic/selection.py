"""Chooses the samples of a group: the surest ones for the picture, and random other ones for each repeat."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from framework.errors import LatentsError
from framework.latents.attributes.groups import Condition
from framework.latents.protocols import Assess, Assessed, GeneratorLike, merge_assessed

SURE = 0.9  # minimum assessor probability of a surely assessed sample
FIRST_CANDIDATES = 512
# The pool of the repeats holds at least this many samples more than a group, less sure ones if necessary.
POOL_SPARE = 3


@dataclass(frozen=True)
class Candidates:
    """Random samples that both assessors have assessed; row k is the sample numbered k + 1.

    Attributes:
        latents: [n, z] float32.
        assessed: Both assessors' scores of the images.
    """

    latents: np.ndarray
    assessed: Assessed

    def __len__(self) -> int:
        return len(self.latents)


@dataclass(frozen=True)
class RepeatedDraws:
    """The members drawn for each repeat of one group, and the pool they were drawn from.

    Attributes:
        pool: [p] indices of candidates, the surest first; the samples in the picture are excluded.
        least_sureness: The lowest finder probability in the pool.
        drawn: [repeats, size] indices of candidates.
        most_uses: The number of repeats that use the most used sample; 1 if no two repeats share a sample.
    """

    pool: np.ndarray
    least_sureness: float
    drawn: np.ndarray
    most_uses: int


def require_candidates(candidates: int, *, groups: int, group_size: int) -> None:
    """Checks that there are enough candidates for the picture and the repeats.

    Raises:
        LatentsError: There are too few candidates for groups of this size.
    """
    needed = (groups + 1) * group_size + POOL_SPARE
    if needed > candidates:
        raise LatentsError(
            f"latents.arithmetic.candidates: {candidates} samples are too few for {groups} groups of {group_size}; "
            f"use at least {needed}, or a smaller latents.arithmetic.group_size"
        )


def gather(
    generator: GeneratorLike, assess: Assess, conditions: Sequence[Condition], *, seed: int, needed: int, most: int
) -> Candidates:
    """Assesses the first samples of a seed, doubling their number until each condition has enough sure ones.

    Args:
        needed: Number of surely assessed samples that each condition should have.
        most: Maximum number of samples; conditions may then have fewer than `needed`.
    """
    count = min(FIRST_CANDIDATES, most)
    latents = generator.sample_latents(count, seed)
    candidates = Candidates(latents, assess(latents))
    while len(candidates) < most and min(sure_count(candidates, condition) for condition in conditions) < needed:
        more = generator.sample_latents(min(len(candidates), most - len(candidates)), seed, start=len(candidates))
        assessed = merge_assessed([candidates.assessed, assess(more)])
        candidates = Candidates(np.concatenate([candidates.latents, more]), assessed)
    return candidates


def sure_count(candidates: Candidates, condition: Condition) -> int:
    """Number of candidates for which the finder's probability of the condition is at least `SURE`."""
    return int((condition.probability(candidates.assessed.finder) >= SURE).sum())


def choose(candidates: Candidates, conditions: Mapping[str, Condition], *, size: int) -> dict[str, list[int]]:
    """Chooses the surest candidates of each group; the rarest group chooses first, and no sample is in two groups.

    Returns:
        Group -> indices of its candidates, the surest first.
    """
    taken: set[int] = set()
    chosen: dict[str, list[int]] = {}
    for name in sorted(conditions, key=lambda group: (sure_count(candidates, conditions[group]), group)):
        order = _surest_first(candidates, conditions[name])
        chosen[name] = [index for index in order.tolist() if index not in taken][:size]
        taken.update(chosen[name])
    return chosen


def deal(
    candidates: Candidates,
    conditions: Mapping[str, Condition],
    *,
    size: int,
    repeats: int,
    without: Sequence[int],
    seed: int,
) -> dict[str, RepeatedDraws]:
    """Draws random members for each repeat from the candidates of which the finder is sure.

    The least used samples of a group are drawn first, so that two repeats share a sample only after all samples have
    been used, and all are used equally often. Within a repeat a sample is in two groups only if no other is left.

    Args:
        conditions: Group -> the condition that its members fulfil.
        without: Indices to exclude: the members in the picture.
    """
    pools: dict[str, _Shuffled] = {}
    for position, name in enumerate(sorted(conditions, key=lambda g: (sure_count(candidates, conditions[g]), g))):
        pool = _pool(candidates, conditions[name], size=size, without=without)
        pools[name] = _Shuffled(pool.tolist(), np.random.default_rng([seed, position]))
    drawn: dict[str, list[list[int]]] = {name: [] for name in pools}
    for _ in range(repeats):
        taken: set[int] = set()
        for name, shuffled in pools.items():
            drawn[name].append(shuffled.draw(size, avoiding=taken))
            taken.update(drawn[name][-1])
    return {name: _draws_of(candidates, conditions[name], pools[name], rows) for name, rows in drawn.items()}


def _draws_of(
    candidates: Candidates, condition: Condition, shuffled: "_Shuffled", drawn: list[list[int]]
) -> RepeatedDraws:
    pool = np.array(shuffled.members)
    least = float(condition.probability(candidates.assessed.finder)[pool].min())
    return RepeatedDraws(pool=pool, least_sureness=least, drawn=np.array(drawn), most_uses=max(shuffled.uses.values()))


def _surest_first(candidates: Candidates, condition: Condition) -> np.ndarray:
    return np.argsort(-condition.probability(candidates.assessed.finder), kind="stable")


def _pool(candidates: Candidates, condition: Condition, *, size: int, without: Sequence[int]) -> np.ndarray:
    order = _surest_first(candidates, condition)
    remaining = order[~np.isin(order, list(without))]
    sure = int((condition.probability(candidates.assessed.finder)[remaining] >= SURE).sum())
    return remaining[: max(sure, size + POOL_SPARE)]


class _Shuffled:
    """Members that are drawn in random order, the least used ones first."""

    def __init__(self, members: list[int], random: np.random.Generator) -> None:
        self.members = members
        self.uses: Counter[int] = Counter()
        self._random = random

    def draw(self, count: int, *, avoiding: set[int]) -> list[int]:
        """Draws `count` different members; those in `avoiding` only if no others are left."""
        shuffled = self._random.permutation(self.members).tolist()
        drawn = sorted(shuffled, key=lambda member: (member in avoiding, self.uses[member]))[:count]
        self.uses.update(drawn)
        return drawn
