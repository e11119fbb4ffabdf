"""Warnings that a training fails, each given once: the discriminator has won, or the generator has collapsed."""

from typing import Any

import numpy as np

WON_ACCURACY = 0.99
WON_IMAGES = 50_000
WON_REPORTS = 5
THIN_SPREAD = 0.5
COLLAPSED_SPREAD = 0.2
WON, COLLAPSED, THIN = WARNINGS = (
    "the discriminator has won",
    "the generator has collapsed",
    "the generator generates very similar images",
)
"""How each warning begins."""


class Health:
    """Checks the metrics of one training.

    Args:
        total_images: Length of the training. A condition lasts "long" after a quarter of it, or 50,000 images.
        notes: State of the checks, which the caller saves with checkpoints.
    """

    def __init__(self, *, total_images: int, notes: dict[str, Any]) -> None:
        self._long_images = min(WON_IMAGES, total_images // 4)
        self._notes = notes

    def after_report(self, row: dict[str, Any]) -> list[str]:
        """New warnings from the metrics of a report."""
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
        if spread < COLLAPSED_SPREAD:
            return self._once("collapsed", f"{COLLAPSED}: {where}")
        if spread < THIN_SPREAD:
            return self._once("thin", f"{THIN}: {where}")
        return []

    def _once(self, sign: str, text: str) -> list[str]:
        if sign in self._notes.setdefault("said", []):
            return []
        self._notes["said"].append(sign)
        return [text]


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
