"""Moves pictures, each by its own amounts. It is linear in the pictures, so derivatives by them are exact."""

import torch
from torch import Tensor


def shifted(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Shifts images by whole pixels; what comes in is grey (0).

    Args:
        images: [n, c, h, w].
        rows: [n] int64, pixels downwards.
        columns: [n] int64, pixels to the right.
    """
    # Products with one-hot matrices are exact, and their second derivative (for R1) is a matrix product too.
    down = _one_hot(rows, images.shape[2], like=images)
    right = _one_hot(columns, images.shape[3], like=images)
    return down.unsqueeze(1) @ images @ right.unsqueeze(1).mT


def moved(images: Tensor, *, zoom: Tensor, angle: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Enlarges and rotates images about their centre, then shifts them; what comes in is grey (0).

    Equal to `grid_sample` (bilinear, zeros, align_corners=False), which has no second derivative. This one gathers
    pixels, whose derivative is a sum into them and whose second derivative is a gathering again.

    Args:
        images: [n, c, h, w].
        zoom: [n], above 1 enlarges.
        angle: [n], in radians, counterclockwise.
        rows: [n], pixels downwards.
        columns: [n], pixels to the right.
    """
    height, width = images.shape[2:]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    down, right = (torch.arange(side, device=images.device, dtype=images.dtype) for side in (height, width))
    y = down.view(1, -1, 1) - middle_y - rows.view(-1, 1, 1)
    x = right.view(1, 1, -1) - middle_x - columns.view(-1, 1, 1)
    cosine, sine = ((function(angle) / zoom).view(-1, 1, 1) for function in (torch.cos, torch.sin))
    return _bilinear(images, x * sine + y * cosine + middle_y, x * cosine - y * sine + middle_x)


def _bilinear(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The values of images [n, c, h, w] at the positions y and x [n, h, w] in pixels, as [n, c, h, w]."""
    height, width = images.shape[2:]
    pixels, result = images.flatten(2), torch.zeros_like(images)
    top, left = y.floor(), x.floor()
    for row, of_row in ((top, 1.0 - (y - top)), (top + 1.0, y - top)):
        for column, of_column in ((left, 1.0 - (x - left)), (left + 1.0, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            picked = pixels.gather(2, index.flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1))
            result = result + picked.view_as(images) * (of_row * of_column * inside).unsqueeze(1)
    return result


def _one_hot(shifts: Tensor, side: int, *, like: Tensor) -> Tensor:
    """[n, side, side] with one-hot rows: output row i is input row i - shift, or 0 outside the image."""
    index = torch.arange(side, device=like.device)
    sources = index.view(1, -1, 1) - shifts.view(-1, 1, 1)
    return (sources == index.view(1, 1, -1)).to(like.dtype)
