"""Which trials are not worth going on with: asynchronous successive halving, and the median rule, by images seen.

Ray's own schedulers keep what they have seen in memory and count reports; these ask the ledger, so that a search that
was killed goes on deciding as before, and count images. The tests hold them to Ray's decisions.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from framework.config import Experiment
from framework.search.registry import Curve

_MEDIAN_LEAST_TRIALS = 3


class Rule(Protocol):
    """Decides at an evaluation of a trial, which is the newest of its curve, whether that was its last."""

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """Whether the trial ends here; a pure function of all curves."""
        ...


class SuccessiveHalving:
    """ASHA's stopping variant (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

    At each rung, `grace_images` times a power of `reduction_factor`, a trial goes on if its best score so far is
    within the best 1/`reduction_factor` of those that other trials had there; the first to come always does.

    Args:
        grace_images: The first rung.
        reduction_factor: One in so many goes on.
        total_images: No rung lies at or past the end.
    """

    def __init__(self, *, grace_images: int, reduction_factor: int, total_images: int) -> None:
        self._factor = reduction_factor
        self._rungs = []
        rung = grace_images
        while rung < total_images:
            self._rungs.append(rung)
            rung *= reduction_factor

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """See Rule."""
        curve = curves[trial]
        now, before = curve[-1][0], curve[-2][0] if len(curve) > 1 else 0
        rung = max((rung for rung in self._rungs if before < rung <= now), default=None)
        if rung is None:
            return False
        mine = _best_at(curve, rung)
        others = [_best_at(other, rung) for name, other in curves.items() if name != trial]
        there = [score for score in others if score is not None]
        if mine is None or not there:
            return False
        # of negated scores, as Ray's: a trial that ties with the cutoff is rounded the same way
        return -mine < np.percentile(np.negative(there), (1 - 1 / self._factor) * 100)


class MedianStopping:
    """The median rule (Golovin et al. 2017, "Google Vizier", 3.2.2).

    A trial ends where its best score is worse than the median, over the other trials that have come as far, of the
    mean of their scores up to there.

    Args:
        grace_images: No trial ends before, and no earlier score counts.
    """

    def __init__(self, *, grace_images: int) -> None:
        self._grace = grace_images

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """See Rule."""
        now = curves[trial][-1][0]
        if now < self._grace:
            return False
        means = []
        for name, curve in curves.items():
            scores = [score for seen, score in curve if self._grace <= seen <= now]
            if name != trial and scores and curve[-1][0] >= now:
                means.append(float(np.mean(scores)))
        if len(means) < _MEDIAN_LEAST_TRIALS:
            return False
        return min(score for _, score in curves[trial]) > float(np.median(means))


def rule_of(experiment: Experiment) -> Rule | None:
    """The rule that an experiment's `search.scheduler` names."""
    search, total = experiment.search, experiment.training.total_images
    grace = search.grace_images or experiment.evaluation.every_images
    if search.scheduler == "median":
        return MedianStopping(grace_images=grace)
    if search.scheduler == "asha":
        return SuccessiveHalving(grace_images=grace, reduction_factor=search.reduction_factor, total_images=total)
    return None


def _best_at(curve: Curve, rung: int) -> float | None:
    """The best score up to the first evaluation at or past a rung; None for a trial that has not come so far."""
    best = None
    for seen, score in curve:
        best = score if best is None else min(best, score)
        if seen >= rung:
            return best
    return None
