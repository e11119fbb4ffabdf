"""Repeats: the best settings trained again with other seeds, and which differences between settings are noise."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

from framework.config import Experiment
from framework.metrics import cost
from framework.search.registry import TrialRecord, TrialRegistry

NOISE_LEVEL = 0.05
"""Level of the t test. A difference that is not significant at this level counts as noise."""


def repeats_due(experiment: Experiment, registry: TrialRegistry) -> list[TrialRecord]:
    """The repeats of the best settings that have not ended, one for each further seed and of the same length."""
    search = experiment.search
    ranked = sorted(
        (record for record in registry.settings() if record.ended and record.best is not None),
        key=lambda record: (record.best, record.trial),
    )
    due = []
    for record in ranked[: search.repeat_best] if search.seeds > 1 else []:
        known = {repeat.trial: repeat for repeat in registry.repeats(record.trial)}
        for seed in range(experiment.seed + 1, experiment.seed + search.seeds):
            name = f"{record.trial}-seed{seed}"
            repeat = known.get(name) or TrialRecord(name, {**record.parameters, "seed": seed}, repeat_of=record.trial)
            if not repeat.ended:
                due.append(dataclasses.replace(repeat, total_images=record.images_seen))
    return due


@dataclass(frozen=True)
class Spread:
    """The scores of one setting over its seeds."""

    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the scores."""
        return math.fsum(self.scores) / len(self.scores)

    @property
    def sd(self) -> float | None:
        """The standard deviation of the scores (divisor n − 1); None for a single score."""
        if len(self.scores) < 2:
            return None
        return math.sqrt(math.fsum((score - self.mean) ** 2 for score in self.scores) / (len(self.scores) - 1))


def within_noise(first: Spread, spreads: Mapping[str, Spread]) -> dict[str, bool]:
    """Which settings do not differ significantly from the first one in their means.

    The noise is the standard deviation pooled over all repeated settings. The test is a two-sided t test at NOISE_LEVEL
    (Fisher's least significant difference). It is also applied to settings with a single seed.

    Returns:
        One entry per setting; {} if no setting was repeated.
    """
    freedom = sum(len(spread.scores) - 1 for spread in spreads.values())
    if freedom == 0:
        return {}
    squares = math.fsum((score - spread.mean) ** 2 for spread in spreads.values() for score in spread.scores)
    pooled = math.sqrt(squares / freedom)
    critical = float(stdtrit(freedom, 1 - NOISE_LEVEL / 2))
    return {
        name: abs(spread.mean - first.mean)
        < critical * pooled * math.sqrt(1 / len(spread.scores) + 1 / len(first.scores))
        or spread is first
        for name, spread in spreads.items()
    }


def rank(rows: Sequence[dict[str, Any]], repeat_of: Mapping[str, str], *, metric: str) -> list[dict[str, Any]]:
    """Sets the rank of each row of a leaderboard, in place, and returns the rows in order.

    Repeated settings come first, ordered by the mean over their seeds, each followed by its repeats. The other settings
    follow, ordered by their score, with those without a score last. If there are repeats, the row of a setting gets the
    keys `seeds`, `score_mean`, `score_sd` and `within_noise`, which compares it with the first.

    Args:
        rows: The rows; each has `trial` and `score`.
        repeat_of: Repeat -> the trial whose setting it repeats.
        metric: The metric of the scores.
    """
    by_trial = {row["trial"]: row for row in rows}
    members = {row["trial"]: [row] for row in rows if row["trial"] not in repeat_of}
    for repeat, first in repeat_of.items():
        if repeat in by_trial and first in members:
            members[first].append(by_trial[repeat])
    spreads = {
        trial: Spread(tuple(float(row["score"]) for row in group if row["score"] is not None))
        for trial, group in members.items()
    }
    repeated = {trial for trial, spread in spreads.items() if len(spread.scores) > 1}

    def order(trial: str) -> tuple:
        spread = spreads[trial]
        mean = cost(metric, spread.mean) if spread.scores else 0.0
        return (trial not in repeated, not spread.scores, mean, trial)

    ordered = sorted(members, key=order)
    if repeated:
        scored = {trial: spread for trial, spread in spreads.items() if spread.scores}
        noise = within_noise(spreads[ordered[0]], scored)
        for trial in ordered:
            spread = spreads[trial]
            by_trial[trial] |= {
                "seeds": len(spread.scores),
                "score_mean": spread.mean if spread.scores else None,
                "score_sd": spread.sd,
                "within_noise": "yes" if noise.get(trial) else "no" if spread.scores else None,
            }
    ranked = []
    for number, trial in enumerate(ordered, start=1):
        for row in sorted(members[trial], key=lambda row: (row["trial"] != trial, row["trial"])):
            row["rank"] = number
            ranked.append(row)
    return ranked
