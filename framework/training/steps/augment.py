"""Differentiable augmentation of real and generated images (DiffAugment, Zhao et al. 2020).

Each image is augmented by its own row of uniform numbers, so the result does not depend on sharding.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# Uniform numbers per image: 3 for color, 2 for translation, 2 for cutout.
NUMBERS = 7
_LARGEST_SHIFT = 1 / 8
_CUTOUT_SIDE = 1 / 2

Augmentation = Callable[[Tensor, Tensor], Tensor]


def color(images: Tensor, numbers: Tensor) -> Tensor:
    """Changes brightness by -0.5 … 0.5, saturation by a factor 0 … 2, and contrast by a factor 0.5 … 1.5.

    Args:
        images: [n, c, h, w] in [-1, 1].
        numbers: [n, 7] in [0, 1).

    Returns:
        [n, c, h, w], not limited to [-1, 1].
    """
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in numbers[:, :3].unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2.0 * saturation) + grey
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - level) * (contrast + 0.5) + level


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """Shifts images by up to an eighth of the side in each direction; the border is filled with grey (0)."""
    rows = _shifts(numbers[:, 3], images.shape[2], like=images)
    columns = _shifts(numbers[:, 4], images.shape[3], like=images)
    # Products with one-hot matrices are exact, and their second derivative (for R1) is a matrix product too.
    return rows.unsqueeze(1) @ images @ columns.unsqueeze(1).mT


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """Replaces a square of half the side, with its centre anywhere in the image, by grey (0)."""
    outside = [
        _outside(numbers[:, 5], images.shape[2], like=images).unsqueeze(2),
        _outside(numbers[:, 6], images.shape[3], like=images).unsqueeze(1),
    ]
    return images * torch.maximum(*outside).unsqueeze(1)


def build_augmentation(names: Sequence[str]) -> Augmentation | None:
    """The named augmentations, always in the order color, translation, cutout; None if no name is given."""
    known: dict[str, Augmentation] = {"color": color, "translation": translation, "cutout": cutout}
    chosen = [augment for name, augment in known.items() if name in names]
    if not chosen:
        return None

    def augmented(images: Tensor, numbers: Tensor) -> Tensor:
        for augment in chosen:
            images = augment(images, numbers)
        return images

    return augmented


def _shifts(numbers: Tensor, side: int, *, like: Tensor) -> Tensor:
    """[n, side, side] with one-hot rows: output row i is input row i - shift, or 0 outside the image."""
    most = round(side * _LARGEST_SHIFT)
    shifts = (numbers * (2 * most + 1)).floor().long() - most
    index = torch.arange(side, device=like.device)
    sources = index.view(1, -1, 1) - shifts.view(-1, 1, 1)
    return (sources == index.view(1, 1, -1)).to(like.dtype)


def _outside(numbers: Tensor, side: int, *, like: Tensor) -> Tensor:
    """[n, side] with 0 inside the interval of the square and 1 outside."""
    size = round(side * _CUTOUT_SIDE)
    first = (numbers * (side + 1)).floor().long().view(-1, 1) - size // 2
    index = torch.arange(side, device=like.device).view(1, -1)
    return ((index < first) | (index >= first + size)).to(like.dtype)
