"""The features and moments of one side's images, computed by a crew, kept where they will be wanted again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.data.locking import locked
from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, SourceSpec, real_statistics
from framework.evaluation.feature_file import FeatureFile
from framework.evaluation.inception import CLASSES
from framework.evaluation.reference import features_name
from framework.metrics import Moments
from framework.orchestration.measures import Sharer, prefix_moments
from framework.orchestration.moments import shard_features, source_moments
from framework.orchestration.shards import Crew, Done


@dataclass(frozen=True)
class Gatherer:
    """Passes over images.

    Args:
        crew: Who computes.
        cache: The cache folder.
        blocks: Blocks of 32 images at a time.
        counter: Makes a progress line of its own.
    """

    crew: Crew
    cache: Path
    blocks: int
    counter: Callable[[str], Done]

    def moments(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> Moments:
        """Moments alone; nothing is kept."""
        return source_moments(
            source, features, blocks=self.blocks, crew=self.crew, name=name, done=self.counter(f"{name}, by 256 images")
        )

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
            return prefix_moments(rows, [source.count], Sharer(self.crew, name))[source.count]

        return real_statistics(features, source.side, compute=compute, cache=self.cache)

    def features(self, source: SourceSpec, features: FeatureSpec, *, name: str) -> tuple[str, str | None]:
        """The files of the features and, where the extractor gives them, of the logits; what is there is not computed.

        An interrupted pass goes on where it stood.
        """
        folder = self.cache / "features"
        files = [FeatureFile(folder / features_name(features, source.side), count=source.count, size=features.tap)]
        if features.logits:
            place = folder / features_name(features, source.side, part="logits")
            files.append(FeatureFile(place, count=source.count, size=CLASSES))
        with locked(files[0].path.with_name(f".{files[0].path.stem}.lock")):  # two who want the same compute it once
            if not all(_is_whole(file) for file in files):
                begun = [file.create(file.path, count=file.count, size=file.size) for file in files]
                self._fill(begun, source, features, name)
        return str(files[0].path), str(files[1].path) if features.logits else None

    def _fill(self, files: list[FeatureFile], source: SourceSpec, features: FeatureSpec, name: str) -> None:
        missing = sorted({span for file in files for span in file.missing()})
        work = [(source, features, start, stop, self.blocks) for start, stop in missing]
        done = self.counter(f"{name}, by 256 images")
        for (start, _), rows in zip(missing, self.crew.map(shard_features, work, name=name, done=done), strict=True):
            for file, part in zip(files, np.split(rows, [features.tap], axis=1), strict=False):
                file.write(start, part)
        for file in files:
            file.finish()


def _is_whole(file: FeatureFile) -> bool:
    try:
        file.open()
    except EvaluationError:
        return False
    return True


def delete_features(path: Path) -> None:
    """A file of features, with what lies beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)
