"""The features and moments of one side's images, computed by a crew, kept where they will be wanted again."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.evaluation import SHARD_IMAGES, FeatureSpec, SourceSpec, real_statistics
from framework.evaluation.sources.shards import spans
from framework.evaluation.values.compute import Sharer, prefix_moments
from framework.evaluation.values.moments import shard_features, source_moments
from framework.evaluation.values.pool import Crew, Done
from framework.evaluation.values.reference import kept_features
from framework.metrics import Moments
from framework.orchestration.cluster.node_files import Needs


@dataclass(frozen=True)
class Gatherer:
    """Passes over images.

    Args:
        crew: Who computes features.
        cache: The cache folder.
        blocks: Blocks of 32 images at a time.
        counter: Makes a progress line of its own.
        device: The kind of GPU that the crew has; None for CPUs.
        beside: Who computes what wants no GPU; None for the same crew.
        needs: For work that reads these files of this node.
    """

    crew: Crew
    cache: Path
    blocks: int
    counter: Callable[[str], Done]
    device: str | None = None
    beside: Crew | None = None
    needs: Callable[..., Needs | None] = lambda *_: None

    def on_device(self, source: SourceSpec) -> SourceSpec:
        """The source as this crew measures it: its side names the kind of GPU."""
        if source.kind == "statistics":
            return source
        return dataclasses.replace(source, side=source.side.model_copy(update={"device": self.device}))

    def sharer(self, name: str, files: Sequence[Path | str] = ()) -> Sharer:
        """Shares out what is computed of features, which may lie in files."""
        gpus = self.crew if self.device else None
        needs = self.needs(*files) if files else None
        return Sharer(self.beside or self.crew, name, needs, gpus=gpus, device=self.device)

    def moments(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> Moments:
        """Moments alone; nothing is kept."""
        source = self.on_device(source)
        start, stop = spans(source.count, device=self.device)[0]
        done = self.counter(f"{name}, by {stop - start if self.device else SHARD_IMAGES} images")
        return source_moments(source, features, blocks=self.blocks, crew=self.crew, name=name, done=done)

    def kept_moments(
        self, source: SourceSpec, features: FeatureSpec, *, name: str, rows: str | None = None
    ) -> tuple[Moments, Path]:
        """Moments of images with a digest, and the file that keeps them: computed once.

        Args:
            source: The images.
            features: Their features.
            name: Shown while it is done.
            rows: The file of their features, where there is one: they are not computed anew then.
        """

        def compute() -> Moments:
            if rows is None:
                return self.moments(source, features, name=name)
            return prefix_moments(rows, [source.count], self.sharer(name, [rows]))[source.count]

        return real_statistics(features, self.on_device(source).side, compute=compute, cache=self.cache)

    def features(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> tuple[str, str | None]:
        """The files of the features and, where the extractor gives them, of the logits; what is there is not computed.

        An interrupted pass goes on where it stood.
        """
        source = self.on_device(source)

        def compute(missing: Sequence[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
            work = [(source, features, start, stop, self.blocks, self.crew.device_of_task) for start, stop in missing]
            done = self.counter(f"{name}, by 256 images")
            starts = (start for start, _ in missing)
            yield from zip(starts, self.crew.map(shard_features, work, name=name, done=done), strict=True)

        rows, logits = kept_features(features, source.side, compute=compute, cache=self.cache)
        return str(rows), None if logits is None else str(logits)


def delete_features(path: Path) -> None:
    """A file of features, with what lies beside it: checksums, a part of it, its lock."""
    for file in (*path.parent.glob(f"{path.name}*"), *path.parent.glob(f".{path.stem}.lock")):
        file.unlink(missing_ok=True)
