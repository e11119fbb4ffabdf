"""Images to the size that Inception takes, in the two ways that scores are made with."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 299
ResizeName = Literal["tensorflow2015", "clean"]
# All of one size [n,h,w,c], or each of its own [h,w,c]; uint8, grey or colour.
Images = np.ndarray | Sequence[np.ndarray]


def resize(images: Images, *, how: ResizeName, device: torch.device) -> Tensor:
    """Images uint8 -> [n,299,299,3] float32 in [0,255], grey repeated. What becomes of one depends on itself alone."""
    stacks = [images] if isinstance(images, np.ndarray) else [image[None] for image in images]
    done = [_WAYS[how](torch.from_numpy(stack).to(device)).expand(-1, -1, -1, 3) for stack in stacks]
    return done[0] if len(done) == 1 else torch.cat(done)


def resize_like_tensorflow(images: Tensor, side: int = SIDE) -> Tensor:
    """Bilinear as TensorFlow's `resize_bilinear` of 2015: corners at 0, no antialias.

    Rows, then columns: the same products in the same order as torch-fidelity, without its four gathers of full size.

    Args:
        images: [n,h,w,c] uint8.
        side: Height and width of the result.

    Returns:
        [n,side,side,c] float32.
    """
    images = images.float()
    for axis in (2, 1):
        size = images.shape[axis]
        places = torch.arange(side, dtype=torch.float32, device=images.device) * torch.tensor(size / side)
        low = places.long()
        share = (places - low).view(-1, *[1] * (3 - axis))
        first = images.index_select(axis, low)
        images = first + (images.index_select(axis, (low + 1).clamp_max(size - 1)) - first) * share
    return images


def resize_clean(images: Tensor, side: int = SIDE) -> Tensor:
    """Bicubic and antialiased, by Pillow as clean-fid does it: a float32 channel at a time, then clipped.

    Args:
        images: [n,h,w,c] uint8.
        side: Height and width of the result.

    Returns:
        [n,side,side,c] float32 in [0,255].
    """
    resized = np.empty((len(images), side, side, images.shape[3]), np.float32)
    for image, place in zip(images.cpu().numpy(), resized, strict=True):
        for channel in range(image.shape[2]):
            plane = Image.fromarray(image[:, :, channel].astype(np.float32))
            place[:, :, channel] = np.asarray(plane.resize((side, side), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized.clip(0, 255, out=resized)).to(images.device)


_WAYS: dict[ResizeName, Callable[[Tensor], Tensor]] = {
    "tensorflow2015": resize_like_tensorflow,
    "clean": resize_clean,
}
