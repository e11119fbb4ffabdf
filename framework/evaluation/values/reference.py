"""Stored moments and features, computed once and found again by a digest of the features and the images."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from framework.data.locking import locked
from framework.errors import EvaluationError, StorageError, reason_of
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.inception import CLASSES
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.values.feature_file import FeatureFile
from framework.metrics import Moments
from framework.storage import open_folder

_LATER = (
    "sampled_from",
    "sample_seed",
    "device",
    "truncation",
    "label",
    "value",
)  # fields of ImageSetSpec that the first stored files did not have
# Shards -> (start, features [n,d]) of each, in any order.
ComputeShards = Callable[[Sequence[tuple[int, int]]], Iterable[tuple[int, np.ndarray]]]


def statistics_name(features: FeatureSpec, side: ImageSetSpec) -> str:
    """The file name of moments: a digest of the features and the images, independent of paths."""
    return f"{_key(features, side)}.safetensors"


def features_name(features: FeatureSpec, side: ImageSetSpec, *, part: str = "features") -> str:
    """The file name of the features of each image, or of their logits."""
    return f"{_key(features, side)}{'' if part == 'features' else f'-{part}'}.npy"


def real_statistics(
    features: FeatureSpec, side: ImageSetSpec, *, compute: Callable[[], Moments], cache: Path
) -> tuple[Moments, Path]:
    """The moments of a side and the file that stores them; computed if there is no readable file.

    Args:
        side: The images; must have a digest.
        cache: The cache folder; moments are stored in its `statistics/`.

    Raises:
        EvaluationError: The side has no digest, or `compute` returned moments of other images.
    """
    path = cache / "statistics" / statistics_name(features, side)
    kept = _kept(path)
    if kept is not None and (kept.count, kept.size) == (side.count, features.tap):
        return kept, path
    moments = compute()
    if (moments.count, moments.size) != (side.count, features.tap):
        raise EvaluationError(f"got moments of {moments.count} images, but expected {side.count}")
    save_moments(moments, path)
    return moments, path


def kept_features(
    features: FeatureSpec, side: ImageSetSpec, *, compute: ComputeShards, cache: Path
) -> tuple[Path, Path | None]:
    """The file of the features of all images of a side, [n,d] float32, and that of the logits, if there are any.

    Only missing shards are computed, so an interrupted pass resumes. If two processes need the same features at the
    same time, they are computed once.

    Args:
        side: The images; must have a digest.
        compute: Computes the features of shards, with logits as further columns.
        cache: The cache folder, on this machine; features are stored in its `features/`.

    Raises:
        EvaluationError: The side has no digest, or `compute` returned values that are not finite, or too few shards.
        StorageError: The files cannot be written.
    """
    if side.count is None:
        raise EvaluationError("a file of statistics does not contain the features of each image")
    parts = {"features": features.tap} | ({"logits": CLASSES} if features.logits else {})
    files = [
        FeatureFile(cache / "features" / features_name(features, side, part=part), count=side.count, size=size)
        for part, size in parts.items()
    ]
    with locked(files[0].path.with_name(f".{files[0].path.stem}.lock")):
        if not all(_is_whole(file) for file in files):
            unfinished = [FeatureFile.create(file.path, count=file.count, size=file.size) for file in files]
            for start, rows in compute(sorted({span for file in unfinished for span in file.missing()})):
                for file, columns in zip(unfinished, np.split(rows, [features.tap], axis=1), strict=False):
                    file.write(start, columns)
            for file in unfinished:
                file.finish()
    return files[0].path, files[1].path if features.logits else None


def save_moments(moments: Moments, path: Path) -> None:
    """Writes moments atomically."""
    arrays = {"count": np.array([moments.count]), "mean": moments.mean, "scatter": moments.scatter}
    open_folder(path.parent).write_bytes(path.name, safetensors.numpy.save(arrays))


def load_moments(path: Path) -> Moments:
    """Reads moments that `save_moments` wrote.

    Raises:
        EvaluationError: The file is missing or damaged.
    """
    try:
        arrays = safetensors.numpy.load(open_folder(path.parent).read_bytes(path.name))
        return Moments(int(arrays["count"][0]), arrays["mean"], arrays["scatter"])
    except (StorageError, KeyError, ValueError, safetensors.SafetensorError) as fault:
        raise EvaluationError(f"{path}: holds no readable moments ({reason_of(fault)}); delete it") from None


def _key(features: FeatureSpec, side: ImageSetSpec) -> str:
    if side.digest is None:
        raise EvaluationError("moments and features are stored by the images' digest, but these images have none")
    images = side.model_dump()
    # These fields are part of the key only if they are set, so the names of older files stay valid.
    images = {name: value for name, value in images.items() if value is not None or name not in _LATER}
    parts = [features.name, features.digest, features.tap, features.resize]
    key = {"features": parts if features.precision == "float32" else [*parts, features.precision], "images": images}
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def _is_whole(file: FeatureFile) -> bool:
    try:
        file.open()
    except EvaluationError:
        return False
    return True


def _kept(path: Path) -> Moments | None:
    """The stored moments; None if the file is unreadable, so that they are computed again."""
    try:
        moments = load_moments(path)
    except EvaluationError:
        return None
    return moments if np.isfinite(moments.mean).all() and np.isfinite(moments.scatter).all() else None
