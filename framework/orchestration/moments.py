"""Moments of many images as Ray work: shards over tasks, merged in order."""

from collections.abc import Callable

from framework.evaluation import FeatureSpec, merge_in_order, shards
from framework.evaluation.sources import SourceSpec, source_shard_moments
from framework.metrics import Moments
from framework.orchestration.depot import Needs
from framework.orchestration.shards import TaskResources, map_in_order, task_device


def source_moments(
    source: SourceSpec,
    features: FeatureSpec,
    *,
    blocks: int,
    resources: TaskResources,
    name: str,
    needs: Needs | None = None,
    done: Callable[[int, int], None] | None = None,
) -> Moments:
    """The moments of a source's features.

    Args:
        source: All its images.
        features: Of which features.
        blocks: Blocks of 32 images at a time.
        resources: Of each task.
        name: Shown by Ray's dashboard.
        needs: What the tasks read of the job's node.
        done: Called with (finished, all) after each shard.
    """
    work = _shard_work(source, features, blocks=blocks)
    return merge_in_order(map_in_order(_shard, work, resources=resources, name=name, needs=needs, done=done))


def moments_here(source: SourceSpec, features: FeatureSpec, *, blocks: int) -> Moments:
    """The same, bit for bit, in this process and on its GPU."""
    return merge_in_order(_shard(*arguments) for arguments in _shard_work(source, features, blocks=blocks))


def _shard_work(source: SourceSpec, features: FeatureSpec, *, blocks: int) -> list[tuple]:
    return [(source, features, start, stop, blocks) for start, stop in shards(source.count)]


def _shard(source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int) -> Moments:
    return source_shard_moments(source, features, start=start, stop=stop, blocks=blocks, device=task_device())
