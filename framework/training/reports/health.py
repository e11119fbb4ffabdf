"""Warnings that a training fails, each given once.

The discriminator has won, the generator has collapsed, or a gradient penalty and the loss are out of balance.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from framework.metrics import cost, higher_is_better
from framework.training.reports.report import Scored
from framework.training.steps.objectives import Objective

WON_ACCURACY = 0.99
WON_IMAGES = 50_000
WON_REPORTS = 5
THIN_SPREAD = 0.5
COLLAPSED_SPREAD = 0.2
NO_PENALTY = 1 / 1_000
RISING_FACTOR = 2.0
STALLED_SCORES = 5
WON, COLLAPSED, THIN, DOMINATED, UNPENALISED, WORSE, STALLED = WARNINGS = (
    "the discriminator has won",
    "the generator has collapsed",
    "the generator generates very similar images",
    "the gradient penalty dominates the discriminator's loss",
    "the gradient penalty has no effect",
    "the score is half as good as the best",
    "the score has stopped improving",
)
"""How each warning begins."""


class Health:
    """Checks the metrics of one training.

    Args:
        total_images: Length of the training. A condition lasts "long" after a quarter of it, or 50,000 images.
        notes: State of the checks, which the caller saves with checkpoints.
        objective: The losses of a GAN; None for other families.
    """

    def __init__(self, *, total_images: int, notes: dict[str, Any], objective: Objective | None = None) -> None:
        self._long_images = min(WON_IMAGES, total_images // 4)
        self._notes = notes
        self._objective = objective

    def after_report(self, row: dict[str, Any]) -> list[str]:
        """New warnings from the metrics of a report."""
        return [*self._of_accuracies(row), *self._of_penalties(row)]

    def _of_accuracies(self, row: dict[str, Any]) -> list[str]:
        notes, clock = self._notes, int(row["images_seen"])
        if min(row["accuracy_real"], row["accuracy_fake"]) <= WON_ACCURACY:
            notes["won_since"], notes["won_reports"] = None, 0
            return []
        if notes.get("won_since") is None:
            notes["won_since"] = clock
        notes["won_reports"] = notes.get("won_reports", 0) + 1
        lasted = clock - notes["won_since"]
        if lasted < self._long_images or notes["won_reports"] < WON_REPORTS:
            return []
        return self._once(
            "won",
            f"{WON}: it tells real from generated images in over {WON_ACCURACY:.0%} of both since "
            f"{notes['won_since']:,} images; a smaller optimizer.discriminator_lr or objective.r1_gamma may help",
        )

    def _of_penalties(self, row: dict[str, Any]) -> list[str]:
        """Compares the penalties with the loss, averaged over parts of the training that are "long".

        The measure is what the discriminator gains over one that gives every image the same logit, which has no slopes
        and costs `constant_loss`. A penalty that is larger than the loss and than this gain dominates: the constant
        would be better. At a discriminator that no scaling of its logits improves, the penalty is at most half the gain
        and of its order (the loss is convex in the scale, the penalty quadratic), so a thousandth of it is no hold.
        """
        found = {name: row[f"{name}_penalty"] for name in ("r1", "r2") if f"{name}_penalty" in row}
        if self._objective is None or not found:
            return []
        clock, part = int(row["images_seen"]), self._notes.get("balance")
        if part is None:
            self._notes["balance"] = _new_part(clock)
            return []
        images = clock - part["at"]
        part["at"], part["reports"] = clock, part["reports"] + 1
        part["loss"] += images * self._objective.total(row["discriminator_loss"])
        part["penalty"] += images * sum(found.values())
        lasted = clock - part["since"]
        if lasted < self._long_images or part["reports"] < WON_REPORTS:
            return []
        self._notes["balance"] = _new_part(clock)
        loss, penalty, constant = part["loss"] / lasted, part["penalty"] / lasted, self._objective.constant_loss
        keys = " and ".join(f"objective.{name}_gamma" for name in found)
        means = f"from {part['since']:,} to {clock:,} images it is {penalty:.2g} and the loss {loss:.2g}"
        same = f"a discriminator that gives every image the same answer has a loss of {constant:.2g}"
        if penalty > loss and loss + penalty > constant:
            return self._once("dominated", f"{DOMINATED}: {means}, but {same}; a quarter of {keys} may help")
        if 0.0 < penalty < NO_PENALTY * (constant - loss):
            return self._once("unpenalised", f"{UNPENALISED}: {means}, and {same}; four times {keys} may help")
        return []

    def after_samples(self, spread: float, *, images_seen: int) -> list[str]:
        """New warnings from the spread of samples.

        Args:
            spread: `mutual_distance` of samples divided by that of real images.
        """
        notes = self._notes
        # All samples of a new generator are grey, so a small spread is a warning only after a larger one or much later.
        notes["spread_seen"] = notes.get("spread_seen", False) or spread >= THIN_SPREAD
        if not notes["spread_seen"] and images_seen < self._long_images:
            return []
        where = f"samples at {images_seen:,} images are {spread:.2f} times as far apart as real images"
        if self._is_collapsed(spread, images_seen):
            return self._once("collapsed", f"{COLLAPSED}: {where}")
        if spread < THIN_SPREAD:
            return self._once("thin", f"{THIN}: {where}")
        return []

    def after_score(self, scored: Scored) -> str | None:
        """A new alarm from a score that arrived, the same on all ranks.

        A score that is not finite is passed over, and so is one that was known before.
        """
        document = scored.document
        self.recall([(scored.images_seen, document["metric"], document["value"])])
        alarm = self._of_scores()
        said = [] if alarm is None else self._once(*alarm)
        return said[0] if said else None

    def recall(self, scores: Iterable[tuple[int, str, float | None]]) -> None:
        """Adds scores as (images seen, metric, value) to those that the alarms compare, oldest first."""
        for images_seen, metric, value in sorted(scores):
            curve = self._notes.setdefault("curve", {"metric": metric, "best": None, "since": []})
            if curve["metric"] != metric:  # scores of two metrics cannot be compared
                curve |= {"metric": metric, "best": None, "since": []}
            known, best = [*filter(None, [curve["best"]]), *curve["since"]], curve["best"]
            if value is None or not math.isfinite(value) or any(images_seen <= seen for seen, _ in known):
                continue
            if best is None or cost(metric, value) < cost(metric, best[1]):
                curve["best"], curve["since"] = [images_seen, value], []
            else:
                curve["since"].append([images_seen, value])

    @property
    def best_images_seen(self) -> int | None:
        """Where the best score was; None before the first."""
        best = self._notes.get("curve", {}).get("best")
        return None if best is None else int(best[0])

    def collapsed_samples(self, spread: float, *, images_seen: int) -> str | None:
        """Why samples of this spread are a sign of a collapse, in words; None if they are not."""
        if not self._is_collapsed(spread, images_seen):
            return None
        return f"{COLLAPSED}: samples are {spread:.2f} times as far apart as real images"

    def collapsed_scores(self) -> str | None:
        """Why the scores since the last rewind are a sign of a collapse, in words; None if they are not."""
        alarm = self._of_scores()
        return None if alarm is None else alarm[1]

    def rewound(self, *, images_seen: int) -> None:
        """Forgets what was observed of the weights that a rewind replaced; only later scores count from now on."""
        self._notes["rewound_at"] = images_seen
        self._notes["won_since"], self._notes["won_reports"] = None, 0
        self._notes.pop("balance", None)
        self._notes["said"] = [sign for sign in self._notes.get("said", []) if sign not in _OF_COLLAPSE]

    def _of_scores(self) -> tuple[str, str] | None:
        """The alarm that the newest score is a reason for, as its sign and text, if there is one."""
        curve = self._notes.get("curve")
        if curve is None or curve["best"] is None:
            return None
        metric, (best_at, best) = curve["metric"], curve["best"]
        later = [point for point in curve["since"] if point[0] > self._notes.get("rewound_at", -1)]
        if not later:
            return None
        at, value = later[-1]
        told = f"{metric} is {value:.4g} at {at:,} images, and its best is {best:.4g} at {best_at:,} images"
        bad, good = (best, value) if higher_is_better(metric) else (value, best)
        if best > 0 and bad >= RISING_FACTOR * good:
            return "worse", f"{WORSE}: {told}"
        if len(later) >= STALLED_SCORES:
            return "stalled", f"{STALLED} for {len(later)} scores: {told}"
        return None

    def _is_collapsed(self, spread: float, images_seen: int) -> bool:
        """Whether samples are alike. Those of a new generator are, which counts only after others or much later."""
        seen = self._notes.get("spread_seen", False)
        return spread < COLLAPSED_SPREAD and (seen or images_seen >= self._long_images)

    def _once(self, sign: str, text: str) -> list[str]:
        if sign in self._notes.setdefault("said", []):
            return []
        self._notes["said"].append(sign)
        return [text]


_OF_COLLAPSE = ("collapsed", "thin", "worse", "stalled")


def _new_part(clock: int) -> dict[str, Any]:
    """Sums of loss and penalty, weighted by images, over the reports of a part of the training."""
    return {"since": clock, "at": clock, "reports": 0, "loss": 0.0, "penalty": 0.0}


def mutual_distance(images: np.ndarray) -> float:
    """The mean over pairs of images of their root mean squared pixel difference, on the scale from 0 to 255.

    Args:
        images: [n, h, w, c] uint8, n at least 2.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    norms = (flat**2).sum(axis=1)
    squares = np.maximum(norms[:, None] + norms[None, :] - 2.0 * flat @ flat.T, 0.0)
    pairs = np.triu_indices(len(flat), k=1)
    return float(np.sqrt(squares[pairs] / flat.shape[1]).mean())
