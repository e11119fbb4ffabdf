"""The real side: moments computed once and kept, found again by what they are of."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from framework.errors import EvaluationError, StorageError
from framework.evaluation.features import FeatureSpec
from framework.evaluation.protocol import ImageSide
from framework.metrics import Moments
from framework.storage import open_folder


def statistics_name(features: FeatureSpec, side: ImageSide) -> str:
    """The file's name: a digest of the features and the images; no path goes into it."""
    key = {"features": [features.name, features.digest, features.tap, features.resize], "images": side.model_dump()}
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32] + ".safetensors"


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
    if side.digest is None:
        raise EvaluationError("moments are kept by the images' digest, and these have none")
    path = cache / "statistics" / statistics_name(features, side)
    kept = _kept(path)
    if kept is not None and (kept.count, kept.size) == (side.count, features.tap):
        return kept, path
    moments = compute()
    if (moments.count, moments.size) != (side.count, features.tap):
        raise EvaluationError(f"moments of {moments.count} images were made where {side.count} were wanted")
    save_moments(moments, path)
    return moments, path


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


def _kept(path: Path) -> Moments | None:
    """A file that cannot be read is one to be made again."""
    try:
        moments = load_moments(path)
    except EvaluationError:
        return None
    return moments if np.isfinite(moments.mean).all() and np.isfinite(moments.scatter).all() else None
