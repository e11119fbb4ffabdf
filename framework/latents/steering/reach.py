"""How much of its edit a steerable walk achieves, where that saturates, and how much real images vary.

Jahanian et al. 2020 measure with detectors how much of an edit a steered image shows, and compare it with the spread of
the training data, beyond which a generator cannot go far. Here no detectors are needed: the amount is found by search,
as that of the edited start image which is nearest to the steered image within the edit's mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.latents.directions.edits import Edit
from framework.models.arithmetic.blocks import SHARD_IMAGES

_SEARCHED = 1.5  # the search covers this multiple of the amounts with which walks are trained
_GRID = 61  # amounts that are tried
_FULL_RATE_SHARE = 0.5  # a walk counts as saturated below this share of its rate near the start


@dataclass(frozen=True, eq=False)
class Reach:
    """How much of its edit a walk achieves.

    Attributes:
        strengths: [s] the measured strengths.
        reached: [s] mean amount at each strength, in the edit's unit.
        saturates_at: Smallest absolute strength from which a further step adds less than half of what the first step
            does; None if the walk does not saturate.
        data_spread: Standard deviation of the amount over real images, relative to their mean; None without images.
    """

    strengths: list[float]
    reached: list[float]
    saturates_at: float | None
    data_spread: float | None


def nearest_amounts(start: Tensor, shown: Tensor, edit: Edit) -> np.ndarray:
    """The amount of the edit that makes each start image most similar to the shown image.

    The mean squared error within the edit's mask is computed on a grid of amounts; the result is the minimum of the
    parabola through the best amount and its neighbours.

    Args:
        start: Images [n,c,h,w] in [-1,1], or one image [1,c,h,w] for all.
        shown: Images [n,c,h,w] in [-1,1].

    Returns:
        [n] float64, between −1.5 and 1.5 times `edit.most`.
    """
    amounts = np.linspace(-_SEARCHED * edit.most, _SEARCHED * edit.most, _GRID)
    errors = np.empty((_GRID, len(shown)))
    with torch.no_grad():
        for row, amount in enumerate(amounts):
            target, mask = edit.apply(start, torch.full((len(start),), float(amount)))
            squares = ((shown - target) ** 2).mean(dim=1, keepdim=True) * mask
            errors[row] = (squares.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp_min(1)).numpy()
    best = errors.argmin(axis=0)
    inside = np.clip(best, 1, _GRID - 2)
    columns = np.arange(len(shown))
    left, middle, right = (errors[inside + offset, columns] for offset in (-1, 0, 1))
    bend = left - 2 * middle + right
    aside = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    aside = np.where(best == inside, np.clip(aside, -0.5, 0.5), 0.0)
    return amounts[best] + aside * (amounts[1] - amounts[0])


def reach_of(amounts: np.ndarray, strengths: Sequence[float], *, data_spread: float | None) -> Reach:
    """Summarises the amounts [s,n] that were found at each strength."""
    order = np.argsort(strengths)
    x, mean = np.asarray(strengths, np.float64)[order], amounts.mean(axis=1)[order]
    return Reach(
        strengths=[float(value) for value in strengths],
        reached=[float(value) for value in amounts.mean(axis=1)],
        saturates_at=_saturates_at(x, mean),
        data_spread=data_spread,
    )


def _saturates_at(strengths: np.ndarray, reached: np.ndarray) -> float | None:
    """The smallest absolute strength of saturation on either side of 0, from mean amounts at ascending strengths."""
    ends = []
    for sense in (1, -1):
        side = sense * strengths >= 0
        sizes = np.abs(strengths[side])[::sense]
        values = sense * reached[side][::sense]
        if len(sizes) < 3:
            continue
        rates = np.diff(values) / np.diff(sizes)
        slow = np.flatnonzero(rates[1:] < _FULL_RATE_SHARE * rates[0])
        if rates[0] > 0 and len(slow):
            ends.append(float(sizes[slow[0] + 1]))
    return min(ends, default=None)


def spread_of(images: Tensor, edit: Edit) -> float:
    """Standard deviation, over real images [n,c,h,w] in [-1,1], of the amount that makes their mean most similar."""
    mean = images.mean(dim=0, keepdim=True)
    amounts = [nearest_amounts(mean, part, edit) for part in images.split(SHARD_IMAGES)]
    return float(np.concatenate(amounts).std(ddof=1))
