"""Memorisation: whether samples are nearer to training images than held-out images are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Memorisation:
    """A comparison of distances to the nearest training image.

    Attributes:
        nearer_share: Share of the pairs (sample, held-out image) in which the sample is nearer, with ties counted half.
            It is 0.5 if samples are as near as held-out images, and approaches 1 if they are copies.
        copy_share: Share of samples that are nearer than `copy_distance`.
        copy_distance: The 1% quantile of the distances of held-out images.
        closest: [n] int64, indices of the nearest samples, the nearest first.
    """

    nearer_share: float
    copy_share: float
    copy_distance: float
    closest: np.ndarray


def memorisation(samples: np.ndarray, held_out: np.ndarray, *, closest: int = 16) -> Memorisation:
    """Compares distances to the nearest training image (Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test").

    Pairs are counted by ranks (Mann & Whitney 1947).

    Args:
        samples: [n] distances of generated images.
        held_out: [m] distances of real images that were not used for training.
        closest: Number of nearest samples to return.

    Raises:
        ValueError: A side is empty, or a distance is not finite.
    """
    if not (len(samples) and len(held_out)):
        raise ValueError(f"memorisation needs samples and held-out images, not {len(samples)} and {len(held_out)}")
    if not (np.isfinite(samples).all() and np.isfinite(held_out).all()):
        raise ValueError("distances that are not finite cannot be compared")
    ordered = np.sort(held_out)
    further = len(ordered) - np.searchsorted(ordered, samples, side="right")
    ties = np.searchsorted(ordered, samples, side="right") - np.searchsorted(ordered, samples, side="left")
    near = float(np.quantile(ordered, 0.01))
    return Memorisation(
        float((further + 0.5 * ties).mean() / len(ordered)),
        float((samples < near).mean()),
        near,
        np.argsort(samples, kind="stable")[:closest],
    )
