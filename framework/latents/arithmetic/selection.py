"""Which samples stand for a group: the surest for the picture, others dealt out for the repeats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from framework.errors import LatentsError
from framework.latents.attributes.groups import Condition
from framework.latents.protocols import Assess, Assessed, GeneratorLike, merge_assessed

SURE = 0.9  # an assessor's probability from which a sample counts as surely assessed
FIRST_CANDIDATES = 512
POOL_SPARE = 3  # the repeats draw from at least so many samples more than a group's size, less sure ones if need be


@dataclass(frozen=True)
class Candidates:
    """Random samples that both assessors have judged: sample k is number k + 1.

    Attributes:
        latents: [n, z] float32.
        assessed: What the assessors say of their images.
    """

    latents: np.ndarray
    assessed: Assessed

    def __len__(self) -> int:
        return len(self.latents)


@dataclass(frozen=True)
class RepeatedDraws:
    """What the repeats draw from, for one group, and what they drew.

    Attributes:
        pool: [p] indices of candidates, the surest first, none of them in the picture.
        least_sureness: The finder's probability of the least sure of them.
        drawn: [repeats, size] indices of candidates.
        most_uses: How many repeats the most used sample is in; 1 where no two repeats share any.
    """

    pool: np.ndarray
    least_sureness: float
    drawn: np.ndarray
    most_uses: int


def require_candidates(candidates: int, *, groups: int, group_size: int) -> None:
    """Check that there is something to choose from.

    Raises:
        LatentsError: The groups are too large for so few candidates.
    """
    needed = (groups + 1) * group_size + POOL_SPARE
    if needed > candidates:
        raise LatentsError(
            f"latents.candidates: {candidates} samples are too few for {groups} groups of {group_size}; "
            f"want {needed} or more, or a smaller latents.group_size"
        )


def gather(
    generator: GeneratorLike, assess: Assess, conditions: Sequence[Condition], *, seed: int, wanted: int, most: int
) -> Candidates:
    """Samples of a seed from its first on, doubled until each condition has enough that the finder is sure of.

    Args:
        generator: Gives the latents.
        assess: Judges them.
        conditions: What is looked for.
        seed: Of the samples.
        wanted: Surely assessed samples for each condition.
        most: Samples at most.
    """
    count = min(FIRST_CANDIDATES, most)
    latents = generator.sample_latents(count, seed)
    found = Candidates(latents, assess(latents))
    while len(found) < most and min(sure_count(found, condition) for condition in conditions) < wanted:
        more = generator.sample_latents(min(len(found), most - len(found)), seed, start=len(found))
        found = Candidates(np.concatenate([found.latents, more]), merge_assessed([found.assessed, assess(more)]))
    return found


def sure_count(candidates: Candidates, condition: Condition) -> int:
    """How many candidates the finder is sure of."""
    return int((condition.probability(candidates.assessed.finder) >= SURE).sum())


def choose(candidates: Candidates, conditions: Mapping[str, Condition], *, size: int) -> dict[str, list[int]]:
    """The surest candidates of each group, the rarest group first, no sample in two groups.

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
    """Members for each repeat: random ones of those that the finder is sure of.

    The least used of a group are dealt first, so that two repeats share no sample until all have been used, and then
    each is used as often as any other; within a repeat no sample is in two groups while there are others.

    Args:
        candidates: To draw from.
        conditions: Group -> what its members are to show.
        size: Members a group.
        repeats: How often.
        without: Indices left out, which are the picture's.
        seed: Of the shuffles.
    """
    decks: dict[str, _Shuffled] = {}
    for position, name in enumerate(sorted(conditions, key=lambda g: (sure_count(candidates, conditions[g]), g))):
        pool = _pool(candidates, conditions[name], size=size, without=without)
        decks[name] = _Shuffled(pool.tolist(), np.random.default_rng([seed, position]))
    drawn: dict[str, list[list[int]]] = {name: [] for name in decks}
    for _ in range(repeats):
        taken: set[int] = set()
        for name, deck in decks.items():
            drawn[name].append(deck.deal(size, avoiding=taken))
            taken.update(drawn[name][-1])
    return {name: _hands(candidates, conditions[name], decks[name], hands) for name, hands in drawn.items()}


def _hands(candidates: Candidates, condition: Condition, deck: "_Shuffled", hands: list[list[int]]) -> RepeatedDraws:
    pool = np.array(deck.members)
    least = float(condition.probability(candidates.assessed.finder)[pool].min())
    return RepeatedDraws(pool=pool, least_sureness=least, drawn=np.array(hands), most_uses=max(deck.uses.values()))


def _surest_first(candidates: Candidates, condition: Condition) -> np.ndarray:
    return np.argsort(-condition.probability(candidates.assessed.finder), kind="stable")


def _pool(candidates: Candidates, condition: Condition, *, size: int, without: Sequence[int]) -> np.ndarray:
    order = _surest_first(candidates, condition)
    left = order[~np.isin(order, list(without))]
    sure = int((condition.probability(candidates.assessed.finder)[left] >= SURE).sum())
    return left[: max(sure, size + POOL_SPARE)]


class _Shuffled:
    """Members, of which the least used are dealt first, in a random order."""

    def __init__(self, members: list[int], random: np.random.Generator) -> None:
        self.members = members
        self.uses: Counter[int] = Counter()
        self._random = random

    def deal(self, count: int, *, avoiding: set[int]) -> list[int]:
        """So many different members; one to avoid only where nothing else is left."""
        shuffled = self._random.permutation(self.members).tolist()
        hand = sorted(shuffled, key=lambda member: (member in avoiding, self.uses[member]))[:count]
        self.uses.update(hand)
        return hand
