"""Augmentation of an assessor's training images, so that it does not depend on properties of the image files."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.images import to_model_range

# Maximum shift in each direction, as a share of the side.
LARGEST_SHIFT = 1 / 16
CONTRAST, BRIGHTNESS, TINT = 0.4, 0.10, 0.05
# Generated images can be noisy or blurred, unlike real ones. Without these two augmentations the labels depend on the
# finest details, and the features respond to noise and blur many times as strongly as Inception's (Spearman's
# correlation over the 20 points of benchmarks/assessor_agreement.py: 0.80 without, 0.97 with them).
NOISY, NOISE = 0.3, 0.08
BLURRED = 0.15


def augmented(pixels: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Shifts images by a few pixels, changes lighting and tint, adds noise to some and blurs some.

    Images are not mirrored, because labels may distinguish left and right.

    Args:
        pixels: [n,h,w,c] uint8.

    Returns:
        [n,c,h,w] float32, about in [-1,1], in channels_last memory.
    """
    count, channels = len(pixels), pixels.shape[-1]
    images = to_model_range(torch.from_numpy(_moved(pixels, rng)))
    contrast, brightness, tint = (
        torch.from_numpy(rng.normal(0.0, spread, (count, size, 1, 1)).astype(np.float32))
        for spread, size in ((CONTRAST, 1), (BRIGHTNESS, 1), (TINT, channels))
    )
    mean = images.mean(dim=(2, 3), keepdim=True)
    return _worn(mean + (images - mean) * contrast.exp() + brightness + tint, rng)


def _worn(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Adds noise of random strength to some images [n,c,h,w], and blurs some with a 3x3 box."""
    count = len(images)
    strength = np.abs(rng.normal(0.0, NOISE, (count, 1, 1, 1))) * (rng.random((count, 1, 1, 1)) < NOISY)
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    worn = images + torch.from_numpy(strength.astype(np.float32) * noise)
    blurred = torch.from_numpy(rng.random(count) < BLURRED)
    worn[blurred] = F.avg_pool2d(F.pad(worn[blurred], (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return worn.contiguous(memory_format=torch.channels_last)


def _moved(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shifts each image [n,h,w,c] by a random number of pixels; the border is filled by reflection."""
    count, side = pixels.shape[:2]
    margin = round(side * LARGEST_SHIFT)
    wide = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    rows, columns = (np.arange(side) + rng.integers(0, 2 * margin + 1, (count, 1)) for _ in range(2))
    return wide[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
