"""Computes features and moments of many images with a pool, in fixed shards that are merged in order."""

import numpy as np
import torch

from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.sources.shards import merge_in_order, spans
from framework.evaluation.sources.source import SourceSpec, source_shard_features, source_shard_moments
from framework.evaluation.values.pool import Done, Pool
from framework.metrics import Moments
from framework.models.arithmetic.blocks import shards


def source_moments(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, pool: Pool, name: str, done: Done | None = None
) -> Moments:
    """The moments of a source's features.

    Args:
        source: The source, whose images are all used; its side has the type of the pool's GPU.
        blocks: How many blocks of 32 images are held at a time.
        pool: The pool that computes them.
        name: Shown in Ray's dashboard.
        done: Called with (finished, all) after each of `spans`.
    """
    work = [
        (source, features, *span, blocks, pool.device_of_task)
        for span in spans(source.count, device=source.side.device)
    ]
    return merge_in_order(pool.map(source_shard_moments, work, name=name, done=done))


def source_features(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, pool: Pool, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The features [n,d] of a few thousand images, in memory, and their logits if the specification has them."""
    work = [(source, features, *shard, blocks, pool.device_of_task) for shard in shards(source.count)]
    rows = np.concatenate(list(pool.map(source_shard_features, work, name=name)))
    return rows[:, : features.tap], rows[:, features.tap :] if features.logits else None


def rows_moments(rows: np.ndarray, on: str) -> Moments:
    """Moments of features [n,d], computed on a device; bit-identical to `source_moments` from the images."""
    device = torch.device(on)
    parts = (rows[start:stop] for start, stop in shards(len(rows)))
    if device.type == "cpu":
        return Moments.summed(parts)
    return Moments.summed(torch.from_numpy(np.array(part)).to(device) for part in parts)
