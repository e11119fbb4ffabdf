"""Features and moments of images, computed by a pool and kept in the cache."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.evaluation import FeatureSpec, SourceSpec, real_statistics
from framework.evaluation.sources.shards import spans
from framework.evaluation.sources.source import source_shard_features
from framework.evaluation.values.compute import prefix_moments
from framework.evaluation.values.moments import source_moments
from framework.evaluation.values.parts import PartsPool
from framework.evaluation.values.pool import Done, Pool
from framework.evaluation.values.reference import kept_features
from framework.metrics import Moments
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import NodeFiles
from framework.orchestration.context import RunContext
from framework.orchestration.pool.actors import ActorPool, cpu_tasks
from framework.orchestration.pool.tasks import TaskResources


@dataclass(frozen=True)
class FeatureComputer:
    """Computes features and moments of images.

    Args:
        pool: The pool that computes features.
        blocks: How many blocks of 32 images are held at a time.
        counter: Starts a progress line.
        device: The type of GPU that the pool has; None for CPUs.
        cpu_pool: The pool for work that needs no GPU; None if the same pool does it.
        node_files: Gives the files of this node that a shard reads; returns None if all nodes have them.
    """

    pool: Pool
    cache: Path
    blocks: int
    counter: Callable[[str], Done]
    device: str | None = None
    cpu_pool: Pool | None = None
    node_files: Callable[..., NodeFiles | None] = lambda *_: None

    def on_device(self, source: SourceSpec) -> SourceSpec:
        """The source, with the type of this pool's GPU in its side, which the protocol records."""
        if source.kind == "statistics":
            return source
        return dataclasses.replace(source, side=source.side.model_copy(update={"device": self.device}))

    def parts_pool(self, name: str, files: Sequence[Path | str] = ()) -> PartsPool:
        """The pool that computes metrics from features; `files` are those files of this node that hold features."""
        gpus = self.pool if self.device else None
        node_files = self.node_files(*files) if files else None
        return PartsPool(self.cpu_pool or self.pool, name, node_files, gpus=gpus, device=self.device)

    def moments(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> Moments:
        """Moments of the features; nothing is stored."""
        source = self.on_device(source)
        start, stop = spans(source.count, device=self.device)[0]
        done = self.counter(f"{name}, by {stop - start if self.device else SHARD_IMAGES} images")
        return source_moments(source, features, blocks=self.blocks, pool=self.pool, name=name, done=done)

    def kept_moments(
        self, source: SourceSpec, features: FeatureSpec, *, name: str, rows: str | None = None
    ) -> tuple[Moments, Path]:
        """Moments of images with a digest, and the file that stores them; computed once.

        Args:
            name: Shown in the progress line.
            rows: A file with the features of these images. If there is one, they are not computed again.
        """

        def compute() -> Moments:
            if rows is None:
                return self.moments(source, features, name=name)
            return prefix_moments(rows, [source.count], self.parts_pool(name, [rows]))[source.count]

        return real_statistics(features, self.on_device(source).side, compute=compute, cache=self.cache)

    def features(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> tuple[str, str | None]:
        """The files of the features and, if the specification has them, of the logits.

        Shards that a file already has are not computed again, so an interrupted pass resumes where it stopped.
        """
        source = self.on_device(source)

        def compute(missing: Sequence[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
            work = [(source, features, start, stop, self.blocks, self.pool.device_of_task) for start, stop in missing]
            done = self.counter(f"{name}, by 256 images")
            starts = (start for start, _ in missing)
            yield from zip(starts, self.pool.map(source_shard_features, work, name=name, done=done), strict=True)

        rows, logits = kept_features(features, source.side, compute=compute, cache=self.cache)
        return str(rows), None if logits is None else str(logits)


@contextlib.contextmanager
def feature_computer(
    resources: TaskResources,
    cluster: Cluster,
    *,
    cache: Path,
    blocks: int,
    counter: Callable[[str], Done],
    node_files: Callable[..., NodeFiles | None],
    files: Sequence[Path | str],
) -> Iterator[FeatureComputer]:
    """Starts actors that compute features, and ends them after the block.

    Args:
        resources: The resources of each actor.
        cluster: The cluster; its free cores do the work that needs no GPU.
        blocks: How many blocks of 32 images are held at a time.
        counter: Starts a progress line.
        node_files: Gives files of this node that a shard reads; returns None if all nodes have them.
        files: The files that every actor reads.
    """
    with ActorPool(resources, kind="Scorer", node_files=node_files(*files)) as pool:
        cpu_pool = cpu_tasks(pool.resources, cluster, node_files(*files))
        yield FeatureComputer(
            pool, cache, blocks, counter, device=pool.device(), cpu_pool=cpu_pool, node_files=node_files
        )


def run_feature_computer(
    context: RunContext, features: FeatureSpec, *, on_cpus: bool = False
) -> contextlib.AbstractContextManager[FeatureComputer]:
    """A `feature_computer` for the images of a run.

    Args:
        context: The context of the run.
        on_cpus: Whether to compute on CPUs even if the cluster has GPUs.
    """
    return feature_computer(
        context.task_resources(on_cpus=on_cpus),
        context.cluster.now(),
        cache=context.cache,
        blocks=context.experiment.evaluation.feature_batch_blocks,
        counter=context.progress.counter,
        node_files=context.node_files,
        files=(*features.files, context.images.path),
    )


def delete_features(path: Path) -> None:
    """Deletes a file of features, its checksums, its unfinished part and its lock."""
    for file in (*path.parent.glob(f"{path.name}*"), *path.parent.glob(f".{path.stem}.lock")):
        file.unlink(missing_ok=True)
