"""Resizes images to the input size of a network of features, in the two ways that scores use."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from framework.models.arithmetic.blocks import on_device

SIDE = 299
_CARDS = Path("/proc/driver/nvidia/gpus")  # lists all GPUs of the machine; CUDA shows a process only its own
ResizeName = Literal["tensorflow2015", "clean"]
# Images of the same size [n,h,w,c], or a list of images [h,w,c] of different sizes; uint8, grey or colour.
Images = np.ndarray | Sequence[np.ndarray]


def resize(images: Images, *, how: ResizeName, device: torch.device, side: int = SIDE) -> Tensor:
    """Resizes uint8 images to [n,side,side,3] float32 in [0,255], grey repeated; each independently of the others."""
    stacks = [images] if isinstance(images, np.ndarray) else [image[None] for image in images]
    if how == "clean":
        resized = _resized_clean(stacks, side, threads=1 if device.type == "cpu" else _threads())
        tensors = [on_device(stack, device) for stack in resized]
    else:
        tensors = [resize_like_tensorflow(on_device(stack, device), side) for stack in stacks]
    coloured = [stack.expand(-1, -1, -1, 3) for stack in tensors]
    return coloured[0] if len(coloured) == 1 else torch.cat(coloured)


def resize_like_tensorflow(images: Tensor, side: int = SIDE) -> Tensor:
    """Bilinear resize like TensorFlow's `resize_bilinear` of 2015: corners at 0, no antialias.

    Interpolates along one axis, then along the other. These are the same products in the same order as in
    torch-fidelity, without its four gathers of the full size.

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
    """Bicubic resize with antialias by Pillow, as in clean-fid: one float32 channel at a time, then clipped.

    Args:
        images: [n,h,w,c] uint8.
        side: Height and width of the result.

    Returns:
        [n,side,side,c] float32 in [0,255].
    """
    (resized,) = _resized_clean([images.cpu().numpy()], side, threads=1)
    return torch.from_numpy(resized).to(images.device)


def _resized_clean(stacks: Sequence[np.ndarray], side: int, *, threads: int) -> list[np.ndarray]:
    """`resize_clean` of stacks [n,h,w,c] of different sizes; bit-identical for any number of threads."""
    resized = [np.empty((len(stack), side, side, stack.shape[3]), np.float32) for stack in stacks]
    work = [pair for stack, places in zip(stacks, resized, strict=True) for pair in zip(stack, places, strict=True)]
    if threads == 1:
        for image, place in work:
            _resize_into(image, place)
    else:
        list(_pool(threads).map(_resize_into, *zip(*work, strict=True)))
    return resized


def _resize_into(image: np.ndarray, place: np.ndarray) -> None:
    """Resizes an image [h,w,c] uint8 into `place` [side,side,c] float32; Pillow releases Python's lock meanwhile."""
    side = len(place)
    for channel in range(image.shape[2]):
        plane = Image.fromarray(image[:, :, channel].astype(np.float32))
        place[:, :, channel] = np.asarray(plane.resize((side, side), Image.Resampling.BICUBIC))
    place.clip(0, 255, out=place)


@cache
def _threads() -> int:
    """Threads that resize for one GPU, which waits for them; one thread resizes about 300 images per second."""
    return threads_each(os.cpu_count() or 1, len([*_CARDS.glob("*")]))


def threads_each(cores: int, cards: int) -> int:
    """Threads for each GPU of a machine, at most 16; `cards` is 0 if their number is unknown, which counts as one.

    >>> threads_each(16, 8), threads_each(192, 8), threads_each(12, 0), threads_each(4, 8)
    (2, 16, 12, 1)
    """
    return max(1, min(16, cores // max(1, cards)))


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="resize")
