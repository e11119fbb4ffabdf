"""Moments and features of many images as Ray work: shards over a crew, put together in order."""

import numpy as np

from framework.evaluation import FeatureSpec, merge_in_order, shards
from framework.evaluation.sources import SourceSpec, source_shard_features, source_shard_moments
from framework.metrics import Moments
from framework.orchestration.shards import Crew, Done, task_device


def source_moments(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str, done: Done | None = None
) -> Moments:
    """The moments of a source's features.

    Args:
        source: All its images.
        features: Of which features.
        blocks: Blocks of 32 images at a time.
        crew: Who computes them.
        name: Shown by Ray's dashboard.
        done: Called with (finished, all) after each shard.
    """
    work = [(source, features, start, stop, blocks) for start, stop in shards(source.count)]
    return merge_in_order(crew.map(_shard, work, name=name, done=done))


def source_features(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The features [n,d] themselves and, where the extractor gives them, the logits; for a few thousand images."""
    work = [(source, features, start, stop, blocks) for start, stop in shards(source.count)]
    rows = np.concatenate(list(crew.map(shard_features, work, name=name)))
    return rows[:, : features.tap], rows[:, features.tap :] if features.logits else None


def shard_features(source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int) -> np.ndarray:
    """A shard's features, and beside them its logits where the extractor gives them; what a crew's member does."""
    return source_shard_features(source, features, start=start, stop=stop, blocks=blocks, device=task_device())


def _shard(source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int) -> Moments:
    return source_shard_moments(source, features, start=start, stop=stop, blocks=blocks, device=task_device())
