"""Image edits that a steerable walk imitates, each with a mask of the pixels that the edit determines.

Every image is edited by its own amount, in units that people use, such as tenths of the width; amount 0 changes
nothing. Geometric edits sample bilinearly (PyTorch's affine grids) from images [n,c,h,w] in [-1,1].
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.errors import LatentsError

Edited = tuple[Tensor, Tensor]
"""Images [n,c,h,w], and a mask [n,1,h,w] that is 1 where the edit determines the pixel and 0 elsewhere."""


@dataclass(frozen=True)
class Edit:
    """One kind of edit.

    Attributes:
        name: The name in `latents.directions.edits`.
        unit: The meaning of amount 1.
        most: Walks are trained with amounts between −most and most.
        apply: (images, amounts [n]) -> edited images and mask.
    """

    name: str
    unit: str
    most: float
    apply: Callable[[Tensor, Tensor], Edited]


def _affine(images: Tensor, matrix: Tensor) -> Edited:
    """Resamples images; matrix [n,2,3] maps output coordinates, from -1 to 1, to input coordinates."""
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    inside = (grid.abs().amax(dim=3) <= 1).to(images.dtype).unsqueeze(1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False), inside


def _matrix(amounts: Tensor, **entries: Tensor) -> Tensor:
    """Identity matrices [n,2,3] with the named entries, a11 … a23, replaced."""
    matrix = torch.zeros(len(amounts), 2, 3, dtype=amounts.dtype)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1
    for name, values in entries.items():
        matrix[:, int(name[1]) - 1, int(name[2]) - 1] = values
    return matrix


def _shift_x(images: Tensor, amounts: Tensor) -> Edited:
    # Coordinates range from -1 to 1, so a tenth of the width is 0.2.
    return _affine(images, _matrix(amounts, a13=-0.2 * amounts))


def _shift_y(images: Tensor, amounts: Tensor) -> Edited:
    return _affine(images, _matrix(amounts, a23=-0.2 * amounts))


def _zoom(images: Tensor, amounts: Tensor) -> Edited:
    scale = torch.pow(2.0, -0.25 * amounts)
    return _affine(images, _matrix(amounts, a11=scale, a22=scale))


def _rotate(images: Tensor, amounts: Tensor) -> Edited:
    angle = amounts * math.radians(10)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return _affine(images, _matrix(amounts, a11=cosine, a12=-sine, a21=sine, a22=cosine))


def _brighter(images: Tensor, amounts: Tensor) -> Edited:
    return _added(images, amounts, slice(None))


def _added(images: Tensor, amounts: Tensor, channels: slice) -> Edited:
    added = images.clone()
    added[:, channels] = (images[:, channels] + 0.2 * amounts.view(-1, 1, 1, 1)).clamp(-1, 1)
    return added, torch.ones_like(images[:, :1])


def _channel(number: int) -> Callable[[Tensor, Tensor], Edited]:
    return lambda images, amounts: _added(images, amounts, slice(number, number + 1))


EDITS: dict[str, Edit] = {
    edit.name: edit
    for edit in (
        Edit("zoom", "a factor of 2^0.25, in", 3.0, _zoom),
        Edit("shift_x", "a tenth of the width, to the right", 2.5, _shift_x),
        Edit("shift_y", "a tenth of the height, downwards", 2.5, _shift_y),
        Edit("rotate", "10 degrees, anticlockwise", 3.0, _rotate),
        Edit("brightness", "a tenth of the range from black to white", 3.0, _brighter),
        Edit("red", "a tenth of the red range", 3.0, _channel(0)),
        Edit("green", "a tenth of the green range", 3.0, _channel(1)),
        Edit("blue", "a tenth of the blue range", 3.0, _channel(2)),
    )
}

_COLOURS = ("red", "green", "blue")


def edits_for(names: Literal["auto"] | Sequence[str], *, channels: int) -> list[str]:
    """The names of `latents.directions.edits`, checked; "auto" stands for all that images of these channels can show.

    Raises:
        LatentsError: A colour edit is named, and the images are grey.
    """
    if names == "auto":
        return [name for name in EDITS if channels == len(_COLOURS) or name not in _COLOURS]
    coloured = [name for name in names if name in _COLOURS]
    if coloured and channels < len(_COLOURS):
        others = ", ".join(name for name in EDITS if name not in _COLOURS)
        raise LatentsError(f"latents.directions.edits: grey images allow {others}, not {', '.join(coloured)}")
    return list(names)
