"""Features and moments of images, computed in fixed shards and merged in their order.

A shard is 256 consecutive images, and its features are computed 32 images at a time. So a score depends neither on
the batch size nor on the workers, and memory holds only a few blocks, never all samples.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from framework.errors import EvaluationError
from framework.evaluation.features.extractor import BLOCK_IMAGES, Extractor
from framework.evaluation.features.resizing import Images
from framework.metrics import Moments
from framework.models.arithmetic.blocks import SHARD_IMAGES, shards

_SUMMED_SHARDS = 4
Reader = Callable[[int, int], Images]
"""(start, stop) -> images start to stop."""


def spans(count: int, *, device: str | None) -> list[tuple[int, int]]:
    """(start, stop) of the images whose moments a worker returns at once: one shard on CPUs, 4 shards on GPUs.

    The moments of 2048 features are 34 MB, and a GPU computes them faster than they can be sent and merged. So the
    moments of 4 fixed shards of 256 images are summed on the GPU. With more shards, 5,000 images would give too few
    parts for the GPUs of one machine.

    Args:
        device: The type of GPU; None for CPUs.

    >>> spans(5000, device=None)[-1], spans(5000, device="NVIDIA L4")
    ((4864, 5000), [(0, 1024), (1024, 2048), (2048, 3072), (3072, 4096), (4096, 5000)])
    """
    step = SHARD_IMAGES if device is None else _SUMMED_SHARDS * SHARD_IMAGES
    return [(start, min(start + step, count)) for start in range(0, count, step)]


@torch.inference_mode()
def shard_columns(read: Reader, extractor: Extractor, *, start: int, stop: int, blocks: int = 1) -> Tensor:
    """Features of images start to stop, followed by logits if the extractor has them: [n,d] on its device.

    Args:
        read: (start, stop) -> images [n,h,w,c] uint8.
        start: First image, a multiple of 32.
        stop: One past the last image.
        blocks: How many blocks of 32 images are held at a time; the result does not depend on it.
    """
    if start % BLOCK_IMAGES:
        raise ValueError(f"a shard must begin at a multiple of {BLOCK_IMAGES}, not at {start}")
    step = blocks * BLOCK_IMAGES
    return torch.cat([extractor.columns(read(at, min(at + step, stop))) for at in range(start, stop, step)])


@torch.inference_mode()
def shard_moments(read: Reader, extractor: Extractor, *, start: int, stop: int, blocks: int = 1) -> Moments:
    """Moments of the features of images start to stop, summed shard by shard on the extractor's device.

    Raises:
        EvaluationError: A feature is not finite.
    """
    parts = (
        shard_columns(read, extractor, start=at, stop=min(at + SHARD_IMAGES, stop), blocks=blocks)
        for at in range(start, stop, SHARD_IMAGES)
    )
    moments = Moments.summed(part[:, : extractor.spec.tap] for part in parts)
    extractor.checked(moments.mean)
    return moments


def merge_in_order(parts: Iterable[Moments]) -> Moments:
    """Merges the moments of all shards, which must be given in order, because rounding depends on the order."""
    merged: Moments | None = None
    for part in parts:
        merged = part if merged is None else merged + part
    if merged is None:
        raise EvaluationError("there are no images to score")
    return merged


def moments_of(read: Reader, count: int, extractor: Extractor, *, blocks: int = 1) -> Moments:
    """Moments of `count` images, computed shard by shard in this process."""
    parts = (shard_moments(read, extractor, start=start, stop=stop, blocks=blocks) for start, stop in shards(count))
    return merge_in_order(parts)
