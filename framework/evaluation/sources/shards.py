"""From images to a score, cut into shards that anyone may compute, merged in their order.

A shard is 256 images by their index, whoever computes it; within it features are computed 32 at a time. So a score
depends neither on batch size nor on who computed what, and memory holds a few blocks, never the samples.
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
"""(start, stop) -> those images."""


def spans(count: int, *, device: str | None) -> list[tuple[int, int]]:
    """(start, stop) of what is summed up before it is handed over: a shard, or several where a GPU has computed them.

    The moments of 2048 features are 34 MB, which a GPU makes faster than anyone could send and merge them. So 4 shards
    of 256 are summed on it, always the same ones; CPUs hand over each. With more of them 5,000 images would be too few
    pieces for the GPUs of one machine.

    Args:
        count: Images.
        device: The kind of GPU; None for CPUs.

    >>> spans(5000, device=None)[-1], spans(5000, device="NVIDIA L4")
    ((4864, 5000), [(0, 1024), (1024, 2048), (2048, 3072), (3072, 4096), (4096, 5000)])
    """
    step = SHARD_IMAGES if device is None else _SUMMED_SHARDS * SHARD_IMAGES
    return [(start, min(start + step, count)) for start in range(0, count, step)]


@torch.inference_mode()
def shard_columns(read: Reader, extractor: Extractor, *, start: int, stop: int, blocks: int = 1) -> Tensor:
    """Features, then logits where the extractor has them, of images start to stop: [n,d], where they were computed.

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
    return torch.cat([extractor.columns(read(at, min(at + step, stop))) for at in range(start, stop, step)])


@torch.inference_mode()
def shard_moments(read: Reader, extractor: Extractor, *, start: int, stop: int, blocks: int = 1) -> Moments:
    """Moments of the features of images start to stop, shard by shard, where they were computed.

    Raises:
        EvaluationError: Features that are not finite.
    """
    parts = (
        shard_columns(read, extractor, start=at, stop=min(at + SHARD_IMAGES, stop), blocks=blocks)
        for at in range(start, stop, SHARD_IMAGES)
    )
    found = Moments.summed(part[:, : extractor.spec.tap] for part in parts)
    extractor.checked(found.mean)
    return found


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
