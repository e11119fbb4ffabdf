"""All conversions of pixel ranges: uint8 for storage, [-1, 1] for networks, [0, 1] for likelihoods."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def to_model_range(pixels: "Tensor") -> "Tensor":
    """Converts stored pixels to the range of the networks.

    Args:
        pixels: [n, h, w, c] uint8; the conversion runs on their device.

    Returns:
        [n, c, h, w] float32 in [-1, 1], in channels_last memory.
    """
    import torch  # imported here, because drawing and packing pictures does not need torch

    moved = pixels.permute(0, 3, 1, 2).to(torch.float32)
    return moved.div(127.5).sub(1.0).contiguous(memory_format=torch.channels_last)


def to_intensities(images: "Tensor") -> "Tensor":
    """Converts [-1, 1] to the range from 0 (black) to 1 (white), for tensors of any shape."""
    return images.add(1.0).div(2.0)


def from_intensities(images: "Tensor") -> "Tensor":
    """Converts the range from 0 (black) to 1 (white) to [-1, 1]; the inverse of `to_intensities`."""
    return images.mul(2.0).sub(1.0)


def to_pixels(images: "Tensor") -> np.ndarray:
    """Converts generated images to uint8, rounded and clipped; the inverse of `to_model_range`.

    Args:
        images: [n, c, h, w] floating point, on any device, nominally in [-1, 1].

    Returns:
        [n, h, w, c] uint8, contiguous.
    """
    return to_bytes(images).cpu().numpy()


def to_bytes(images: "Tensor") -> "Tensor":
    """The same as `to_pixels`, but the result stays on the device of the images."""
    import torch

    scaled = images.detach().to(torch.float32).add(1.0).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_pixels(images: np.ndarray) -> "Tensor":
    """Converts images [n,h,w,c] uint8 in memory or in a mapped file to [n,c,h,w] float32 in [-1,1]."""
    import torch

    return to_model_range(torch.from_numpy(np.ascontiguousarray(images)))


def in_levels(squared_error: float) -> float:
    """Converts a mean squared error of images in [-1,1] to a root mean squared error on the scale from 0 to 255.

    >>> in_levels(4.0)
    255.0
    """
    return 127.5 * math.sqrt(squared_error)
