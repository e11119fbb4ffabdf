"""Blocks of 32 images and shards of 256: how everything that computes with images is cut.

A network's rounding depends on how many images go through it at once, so it is always 32. A shard is what one task
computes. Neither depends on who computes, so no result does.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

BLOCK_IMAGES = 32
SHARD_IMAGES = 8 * BLOCK_IMAGES


def shards(count: int) -> list[tuple[int, int]]:
    """(start, stop) of each shard of so many images.

    >>> shards(600)
    [(0, 256), (256, 512), (512, 600)]
    """
    return [(start, min(start + SHARD_IMAGES, count)) for start in range(0, count, SHARD_IMAGES)]


def blocks_of(images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The slice of each block and its images [32, ...]; the last block is padded with zeros.

    >>> [(part.start, part.stop, len(block)) for part, block in blocks_of(np.ones((40, 1)))]
    [(0, 32, 32), (32, 40, 32)]
    """
    for start in range(0, len(images), BLOCK_IMAGES):
        block = np.array(images[start : start + BLOCK_IMAGES])  # a copy, because torch needs writable memory
        part = slice(start, start + len(block))
        if len(block) < BLOCK_IMAGES:
            block = np.concatenate([block, np.zeros((BLOCK_IMAGES - len(block), *block.shape[1:]), block.dtype)])
        yield part, block


def on_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Moves values to a device. The copy to a GPU is asynchronous, so that the CPU can prepare the next block.

    torch keeps the pinned memory until the copy is complete.
    """
    tensor = torch.as_tensor(values)
    if device.type == "cpu" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
