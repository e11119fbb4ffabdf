"""The real side: moments and features computed once and kept, found again by what they are of."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from framework.data.locking import locked
from framework.errors import EvaluationError, StorageError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.inception import CLASSES
from framework.evaluation.protocols.protocol import ImageSide
from framework.evaluation.values.feature_file import FeatureFile
from framework.metrics import Moments
from framework.storage import open_folder

_LATER = ("sampled_from", "sample_seed", "device")
# Shards -> (start, features [n,d]) of each, in any order.
ComputeShards = Callable[[Sequence[tuple[int, int]]], Iterable[tuple[int, np.ndarray]]]


def statistics_name(features: FeatureSpec, side: ImageSide) -> str:
    """The file's name: a digest of the features and the images; no path goes into it."""
    return f"{_key(features, side)}.safetensors"


def features_name(features: FeatureSpec, side: ImageSide, *, part: str = "features") -> str:
    """The same for the features of each image, or for the logits beside them."""
    return f"{_key(features, side)}{'' if part == 'features' else f'-{part}'}.npy"


def real_statistics(
    features: FeatureSpec, side: ImageSide, *, compute: Callable[[], Moments], cache: Path
) -> tuple[Moments, Path]:
    """The moments of a side and the file that keeps them, computed where there is none that can be read.

    Args:
        features: The features.
        side: The images; has a digest.
        compute: Makes the moments.
        cache: The cache folder; they lie in its `statistics/`.

    Raises:
        EvaluationError: The side has no digest to be found by, or `compute` gave moments of something else.
    """
    path = cache / "statistics" / statistics_name(features, side)
    kept = _kept(path)
    if kept is not None and (kept.count, kept.size) == (side.count, features.tap):
        return kept, path
    moments = compute()
    if (moments.count, moments.size) != (side.count, features.tap):
        raise EvaluationError(f"moments of {moments.count} images were made where {side.count} were wanted")
    save_moments(moments, path)
    return moments, path


def kept_features(
    features: FeatureSpec, side: ImageSide, *, compute: ComputeShards, cache: Path
) -> tuple[Path, Path | None]:
    """The file of the features of each image of a side, [n,d] float32, and of the logits where the extractor has them.

    Computed are the shards that are missing: all, or what an interrupted pass has left. Two who want the same at once
    compute it once.

    Args:
        features: The features.
        side: The images; has a digest.
        compute: Makes the features of shards, the logits beside them as further columns.
        cache: The cache folder, on this machine; they lie in its `features/`.

    Raises:
        EvaluationError: The side has no digest to be found by, or `compute` gave what is not finite, or too little.
        StorageError: They cannot be kept.
    """
    if side.count is None:
        raise EvaluationError("a file of statistics has no features of each image")
    parts = {"features": features.tap} | ({"logits": CLASSES} if features.logits else {})
    files = [
        FeatureFile(cache / "features" / features_name(features, side, part=part), count=side.count, size=size)
        for part, size in parts.items()
    ]
    with locked(files[0].path.with_name(f".{files[0].path.stem}.lock")):
        if not all(_is_whole(file) for file in files):
            begun = [FeatureFile.create(file.path, count=file.count, size=file.size) for file in files]
            for start, rows in compute(sorted({span for file in begun for span in file.missing()})):
                for file, columns in zip(begun, np.split(rows, [features.tap], axis=1), strict=False):
                    file.write(start, columns)
            for file in begun:
                file.finish()
    return files[0].path, files[1].path if features.logits else None


def save_moments(moments: Moments, path: Path) -> None:
    """Write moments atomically."""
    arrays = {"count": np.array([moments.count]), "mean": moments.mean, "scatter": moments.scatter}
    open_folder(path.parent).write_bytes(path.name, safetensors.numpy.save(arrays))


def load_moments(path: Path) -> Moments:
    """Read what `save_moments` wrote.

    Raises:
        EvaluationError: The file is missing or damaged.
    """
    try:
        arrays = safetensors.numpy.load(open_folder(path.parent).read_bytes(path.name))
        return Moments(int(arrays["count"][0]), arrays["mean"], arrays["scatter"])
    except (StorageError, KeyError, ValueError, safetensors.SafetensorError) as fault:
        raise EvaluationError(f"{path}: holds no moments that can be read ({fault}); delete it") from None


def _key(features: FeatureSpec, side: ImageSide) -> str:
    if side.digest is None:
        raise EvaluationError("moments and features are kept by the images' digest, and these have none")
    images = side.model_dump()
    # What could not vary when the first files were kept is in a key only where it is not as it was then.
    images = {name: value for name, value in images.items() if value is not None or name not in _LATER}
    made = [features.name, features.digest, features.tap, features.resize]
    key = {"features": made if features.precision == "float32" else [*made, features.precision], "images": images}
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def _is_whole(file: FeatureFile) -> bool:
    try:
        file.open()
    except EvaluationError:
        return False
    return True


def _kept(path: Path) -> Moments | None:
    """A file that cannot be read is one to be made again."""
    try:
        moments = load_moments(path)
    except EvaluationError:
        return None
    return moments if np.isfinite(moments.mean).all() and np.isfinite(moments.scatter).all() else None
