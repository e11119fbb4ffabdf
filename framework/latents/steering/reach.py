"""How far a walk carries its edit: how much of it is reached, where that saturates, how much of it real images show.

Jahanian et al. 2020 measure with detectors what a steered image shows of an edit, and lay it against the spread of the
training data: a generator cannot walk far beyond what it was shown. Without detectors, an amount is found by search:
that edit of the start whose picture is nearest, where the edit knows what belongs there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.latents.directions.edits import Edit
from framework.models.arithmetic.blocks import SHARD_IMAGES

_SEARCHED = 1.5  # times the amounts that walks are trained with
_GRID = 61
_FULL_RATE_SHARE = 0.5  # of the rate near the start; below it a walk counts as saturated


@dataclass(frozen=True, eq=False)
class Reach:
    """What a walk reaches of its edit.

    Attributes:
        strengths: [s] in their order.
        reached: [s] mean amount found, in the edit's own unit.
        saturates_at: Least size of a strength from which another one adds less than half of what the first ones do;
            None where none of them does.
        data_spread: Standard deviation of the amount over real images, each against their mean; None without any.
    """

    strengths: list[float]
    reached: list[float]
    saturates_at: float | None
    data_spread: float | None


def nearest_amounts(start: Tensor, shown: Tensor, edit: Edit) -> np.ndarray:
    """The amount of the edit that takes each start nearest to what is shown.

    Mean squared error over what the edit's mask leaves, on a grid of amounts, then the lowest point of the parabola
    through the best and its neighbours.

    Args:
        start: Images [n,c,h,w] in [-1,1], or [1,c,h,w] for all.
        shown: Images [n,c,h,w] in [-1,1].
        edit: What is looked for.

    Returns:
        [n] float64, up to 1.5 times `edit.most` either way.
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
    """What amounts [s,n], found at each strength, say of a walk."""
    order = np.argsort(strengths)
    x, mean = np.asarray(strengths, np.float64)[order], amounts.mean(axis=1)[order]
    return Reach(
        strengths=[float(value) for value in strengths],
        reached=[float(value) for value in amounts.mean(axis=1)],
        saturates_at=_saturates_at(x, mean),
        data_spread=data_spread,
    )


def _saturates_at(strengths: np.ndarray, reached: np.ndarray) -> float | None:
    """Of amounts at rising strengths; both senses apart, the nearer one counts."""
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
    """Standard deviation over real images [n,c,h,w] in [-1,1] of the amount that takes their mean nearest to each."""
    mean = images.mean(dim=0, keepdim=True)
    amounts = [nearest_amounts(mean, part, edit) for part in images.split(SHARD_IMAGES)]
    return float(np.concatenate(amounts).std(ddof=1))
