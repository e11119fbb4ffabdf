"""From images to a score, cut into shards that anyone may compute, merged in their order.

A shard is 256 images by their index, whoever computes it; within it features are computed 32 at a time. So a score
depends neither on batch size nor on who computed what, and memory holds a few blocks, never the samples.
"""

from collections.abc import Callable, Iterable

import numpy as np

from framework.errors import EvaluationError
from framework.evaluation.features import BLOCK_IMAGES, Extractor
from framework.evaluation.resizing import Images
from framework.metrics import Moments

SHARD_IMAGES = 256
Reader = Callable[[int, int], Images]
"""(start, stop) -> those images."""


def shards(count: int) -> list[tuple[int, int]]:
    """(start, stop) of each shard of so many images.

    >>> shards(600)
    [(0, 256), (256, 512), (512, 600)]
    """
    return [(start, min(start + SHARD_IMAGES, count)) for start in range(0, count, SHARD_IMAGES)]


def shard_features(
    read: Reader, extractor: Callable[[Images], np.ndarray], *, start: int, stop: int, blocks: int = 1
) -> np.ndarray:
    """The features [n,d] of images start to stop.

    Args:
        read: (start, stop) -> images [n,h,w,c] uint8.
        extractor: What computes the features.
        start: A shard's, as `shards` gives them.
        stop: Likewise.
        blocks: Blocks of 32 images held at a time; moves nothing.
    """
    if start % BLOCK_IMAGES:
        raise ValueError(f"a shard begins at a multiple of {BLOCK_IMAGES}, not at {start}")
    step = blocks * BLOCK_IMAGES
    return np.concatenate([extractor(read(at, min(at + step, stop))) for at in range(start, stop, step)])


def shard_moments(read: Reader, extractor: Extractor, *, start: int, stop: int, blocks: int = 1) -> Moments:
    """Moments of these features."""
    return Moments.of(shard_features(read, extractor, start=start, stop=stop, blocks=blocks))


def merge_in_order(parts: Iterable[Moments]) -> Moments:
    """The moments of all shards, given in the order of `shards`: rounding depends on the order."""
    merged: Moments | None = None
    for part in parts:
        merged = part if merged is None else merged + part
    if merged is None:
        raise EvaluationError("there are no images to score")
    return merged


def moments_of(read: Reader, count: int, extractor: Extractor, *, blocks: int = 1) -> Moments:
    """Moments of `count` images, shard after shard in this process."""
    found = (shard_moments(read, extractor, start=start, stop=stop, blocks=blocks) for start, stop in shards(count))
    return merge_in_order(found)
