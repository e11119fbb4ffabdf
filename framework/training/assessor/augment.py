"""What an assessor's training pictures go through, so that it sees faces and not files."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

from framework.images import to_model_range

# Share of the side by which a picture is moved at most, either way.
LARGEST_SHIFT = 1 / 16
CONTRAST, BRIGHTNESS, TINT = 0.4, 0.10, 0.05
# Generated pictures are noisy and blurred where real ones are not. Without these two a label hangs on finest detail,
# and the features answer to noise and blur many times as strongly as Inception's do (Spearman's correlation over the
# 20 points of benchmarks/assessor_agreement.py: 0.80 without, 0.97 with).
NOISY, NOISE = 0.3, 0.08
BLURRED = 0.15


def augmented(pixels: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Pictures moved by a few pixels, of other light and tint, some with noise, some blurred.

    None is mirrored: a label may say left and right.

    Args:
        pixels: [n,h,w,c] uint8.
        rng: Decides all of it.

    Returns:
        [n,c,h,w] float32, about [-1,1], in channels_last memory.
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
    """Some of the images [n,c,h,w] with noise, each of its own strength, and some blurred by a 3x3 box."""
    count = len(images)
    strength = np.abs(rng.normal(0.0, NOISE, (count, 1, 1, 1))) * (rng.random((count, 1, 1, 1)) < NOISY)
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    worn = images + torch.from_numpy(strength.astype(np.float32) * noise)
    blurred = torch.from_numpy(rng.random(count) < BLURRED)
    worn[blurred] = F.avg_pool2d(F.pad(worn[blurred], (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return worn.contiguous(memory_format=torch.channels_last)


def _moved(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture [n,h,w,c] moved by its own few pixels; the border is filled by reflection."""
    count, side = pixels.shape[:2]
    margin = round(side * LARGEST_SHIFT)
    wide = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    rows, columns = (np.arange(side) + rng.integers(0, 2 * margin + 1, (count, 1)) for _ in range(2))
    return wide[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
