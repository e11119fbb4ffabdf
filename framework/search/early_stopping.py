"""Rules that stop bad trials early: asynchronous successive halving and the median rule.

Ray's own schedulers keep scores in memory and count reports. These rules read the trial registry, so a search that was
killed decides as before when it resumes, and they count images seen. Tests check that they decide as Ray's do.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from framework.config import Experiment
from framework.search.registry import Curve

_MEDIAN_LEAST_TRIALS = 3


class Rule(Protocol):
    """Decides after each evaluation of a trial whether the trial is stopped."""

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """Whether to stop the trial at the last point of its curve; a pure function of all curves."""
        ...


class SuccessiveHalving:
    """ASHA's stopping variant (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

    Rungs are at `grace_images` times the powers of `reduction_factor`. At each rung a trial continues if its best score
    so far is within the best 1/`reduction_factor` of those that other trials had there. The first trial to reach a rung
    always continues.

    Args:
        grace_images: Images seen at the first rung.
        reduction_factor: One in this many trials continues.
        total_images: Length of the training; all rungs are below it.
    """

    def __init__(self, *, grace_images: int, reduction_factor: int, total_images: int) -> None:
        self._factor = reduction_factor
        self._rungs = []
        rung = grace_images
        while rung < total_images:
            self._rungs.append(rung)
            rung *= reduction_factor

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """Whether the trial is stopped at the rung that it has just reached, if any."""
        curve = curves[trial]
        now, before = curve[-1][0], curve[-2][0] if len(curve) > 1 else 0
        rung = max((rung for rung in self._rungs if before < rung <= now), default=None)
        if rung is None:
            return False
        mine = _best_at(curve, rung)
        others = [_best_at(other, rung) for name, other in curves.items() if name != trial]
        scores = [score for score in others if score is not None]
        if mine is None or not scores:
            return False
        # Scores are negated as in Ray, so that the percentile is rounded in the same way for a trial at the cutoff.
        return -mine < np.percentile(np.negative(scores), (1 - 1 / self._factor) * 100)


class MedianStopping:
    """The median rule (Golovin et al. 2017, "Google Vizier", 3.2.2).

    A trial is stopped if its best score is worse than the median of the mean scores of the other trials. Each mean is
    taken over the scores up to the same number of images seen; trials that have not reached it do not count.

    Args:
        grace_images: Trials are not stopped before this many images seen, and earlier scores of others do not count.
    """

    def __init__(self, *, grace_images: int) -> None:
        self._grace = grace_images

    def ends(self, trial: str, curves: Mapping[str, Curve]) -> bool:
        """Whether the trial is worse than the median of the others."""
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
    """The rule that `search.scheduler` selects; None if trials are not stopped early."""
    search, total = experiment.search, experiment.training.total_images
    grace = search.grace_images or experiment.evaluation.every_images
    if search.scheduler == "median":
        return MedianStopping(grace_images=grace)
    if search.scheduler == "asha":
        return SuccessiveHalving(grace_images=grace, reduction_factor=search.reduction_factor, total_images=total)
    return None


def _best_at(curve: Curve, rung: int) -> float | None:
    """The best score up to the first evaluation at or after a rung; None if the trial has not reached it."""
    best = None
    for seen, score in curve:
        best = score if best is None else min(best, score)
        if seen >= rung:
            return best
    return None
