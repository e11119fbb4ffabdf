"""Features and moments of many images, computed by a pool in fixed shards and merged in their order."""

import numpy as np
import torch

from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.sources.shards import merge_in_order, spans
from framework.evaluation.sources.source import SourceSpec, source_shard_features, source_shard_moments
from framework.evaluation.values.pool import Crew, Done
from framework.metrics import Moments
from framework.models.arithmetic.blocks import shards


def source_moments(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str, done: Done | None = None
) -> Moments:
    """The moments of a source's features.

    Args:
        source: All its images; its side names the kind of GPU that the pool has.
        features: Which features.
        blocks: Blocks of 32 images at a time.
        crew: Computes them.
        name: Shown in Ray's dashboard.
        done: Called with (finished, all) after each of `spans`.
    """
    work = [
        (source, features, *span, blocks, crew.device_of_task)
        for span in spans(source.count, device=source.side.device)
    ]
    return merge_in_order(crew.map(source_shard_moments, work, name=name, done=done))


def source_features(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The features [n,d] of a few thousand images, in memory, and their logits if the extractor gives them."""
    work = [(source, features, *shard, blocks, crew.device_of_task) for shard in shards(source.count)]
    rows = np.concatenate(list(crew.map(source_shard_features, work, name=name)))
    return rows[:, : features.tap], rows[:, features.tap :] if features.logits else None


def rows_moments(rows: np.ndarray, on: str) -> Moments:
    """Moments of features [n,d], bit for bit as `source_moments` computes them from images, on a device."""
    device = torch.device(on)
    parts = (rows[start:stop] for start, stop in shards(len(rows)))
    if device.type == "cpu":
        return Moments.summed(parts)
    return Moments.summed(torch.from_numpy(np.array(part)).to(device) for part in parts)
