"""Whether samples lie nearer to the training images than new photographs do."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Memorisation:
    """What distances to the nearest training image say.

    Attributes:
        nearer_share: Share of the pairs (sample, held-out image) in which the sample is the nearer one, ties half:
            0.5 where samples are as near as new photographs, towards 1 where they copy.
        copy_share: Share of samples nearer than the nearest 1% of the held-out images are.
        copy_distance: How near that is.
        closest: [n] int64, numbers of the samples that are nearest, nearest first.
    """

    nearer_share: float
    copy_share: float
    copy_distance: float
    closest: np.ndarray


def memorisation(samples: np.ndarray, held_out: np.ndarray, *, closest: int = 16) -> Memorisation:
    """Compares distances to the nearest training image (Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test").

    The pairs are counted by ranks (Mann & Whitney 1947).

    Args:
        samples: [n], of generated images.
        held_out: [m], of real images that training never saw.
        closest: How many of the nearest samples to name.

    Raises:
        ValueError: A side is empty, or not finite.
    """
    if not (len(samples) and len(held_out)):
        raise ValueError(f"memorisation wants samples and held-out images, not {len(samples)} and {len(held_out)}")
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
