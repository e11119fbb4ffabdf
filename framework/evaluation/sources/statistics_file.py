"""Files of statistics in the usual format: an .npz with `mu` [d] and `sigma` [d,d] (TTUR, pytorch-fid, clean-fid).

Files of other tools contain neither the number of images nor the kind of features. Ours contain both, in addition to
the two arrays that all tools read.
"""

import hashlib
import io
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.errors import EvaluationError, StorageError, reason_of
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.inception import TAPS
from framework.metrics import Moments
from framework.storage import open_folder

# Covariances are symmetric except for rounding, and some tools store them in float32.
_SYMMETRIC_WITHIN = 1e-5
_UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, StorageError, MemoryError),
    # An encrypted member, or one compressed in a way that zipfile does not know; a header that is not Python.
    *(RuntimeError, TypeError, tokenize.TokenError),
)


@dataclass(frozen=True, eq=False)
class Statistics:
    """The content of a file of statistics.

    Attributes:
        mean: [d] float64.
        covariance: [d,d] float64, with divisor n − 1.
        count: Number of images; None if the file does not contain it.
        features: Name, sha256, resize and precision of the features; None if the file does not contain them.
        digest: sha256 of the file.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None
    features: tuple[str, ...] | None
    digest: str

    @property
    def moments(self) -> Moments:
        """The statistics as moments. An unknown count is taken as 2, which does not change distances."""
        count = 2 if self.count is None else self.count
        return Moments(count, self.mean, self.covariance * (count - 1))


def save_statistics(path: Path, moments: Moments, features: FeatureSpec | None = None) -> None:
    """Writes moments atomically in the format that pytorch-fid and clean-fid read.

    Args:
        path: The file, ends in .npz.
        moments: Moments of at least 2 images.
        features: The features; stored so that a later comparison can check them.
    """
    description = np.array([] if features is None else _described(features), dtype=np.str_)
    buffer = io.BytesIO()
    np.savez(buffer, mu=moments.mean, sigma=moments.covariance, count=np.array(moments.count), features=description)
    open_folder(path.parent).write_bytes(path.name, buffer.getvalue())


def read_statistics(path: Path) -> Statistics:
    """Reads a file of statistics without unpickling.

    Raises:
        EvaluationError: The file is not one of statistics, is damaged, or its arrays are not a mean and a covariance.
    """
    try:
        data = open_folder(path.parent).read_bytes(path.name)
        arrays, held = _arrays(data)
    except _UNREADABLE as fault:
        raise EvaluationError(f"{path}: is not a readable .npz of statistics ({reason_of(fault)})") from None
    if missing := [name for name in ("mu", "sigma") if name not in arrays]:
        shown = ascii(", ".join(sorted(held)[:8]))[1:-1][:300] or "nothing"
        raise EvaluationError(f"{path}: lacks {' and '.join(missing)}, which statistics need; it has {shown}")
    fault = _fault(arrays["mu"], arrays["sigma"])
    if fault is not None:
        raise EvaluationError(f"{path}: {fault}")
    count = int(arrays["count"]) if "count" in arrays and _is_count(arrays["count"]) else None
    described = arrays.get("features", np.array([]))
    return Statistics(
        mean=arrays["mu"].astype(np.float64),
        covariance=arrays["sigma"].astype(np.float64),
        count=count,
        features=tuple(map(str, described)) if _is_description(described) else None,
        digest=hashlib.sha256(data).hexdigest(),
    )


def check_statistics(statistics: Statistics, features: FeatureSpec, *, place: str) -> None:
    """Checks that statistics were computed from these features, if the file describes its features.

    Raises:
        EvaluationError: They belong to another tap or to other features.
    """
    size = len(statistics.mean)
    if size != features.tap:
        remedy = f"; evaluation.tap={size} gives as many" if features.kind == "inception" and size in TAPS else ""
        raise EvaluationError(
            f"{place}: holds statistics of {size} features, but the other side has {features.tap} "
            f"({features.name}){remedy}"
        )
    if statistics.features is not None and statistics.features != _described(features):
        theirs, ours = ("; ".join(described) for described in (statistics.features, _described(features)))
        raise EvaluationError(f"{place}: holds statistics of other features ({theirs}) than the other side's ({ours})")


def _described(features: FeatureSpec) -> tuple[str, ...]:
    return features.name, features.digest, features.resize, features.precision


def _arrays(data: bytes) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of statistics in a file, and the names of all its arrays."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("it is not a zip archive")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        # Files of other tools may hold further arrays, even pickled ones. These are not read.
        names = [name for name in archive.files if name in ("mu", "sigma", "count", "features")]
        arrays = {name: archive[name] for name in names}
        # numpy gives the bytes of a member that does not begin like an array.
        if foreign := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{foreign[0]} is not an array")
        return arrays, archive.files


def _fault(mean: np.ndarray, covariance: np.ndarray) -> str | None:
    """Why two arrays cannot be a mean and a covariance; None if they can."""
    for name, array in (("mu", mean), ("sigma", covariance)):
        if array.dtype.kind not in "fiu":
            return f"{name} is {array.dtype}, not real numbers"
    if mean.ndim != 1 or len(mean) < 1 or covariance.shape != (len(mean), len(mean)):
        return f"mu has shape {list(mean.shape)} and sigma {list(covariance.shape)}; they must be [d] and [d,d]"
    for name, array in (("mu", mean), ("sigma", covariance)):
        if not np.isfinite(array).all():
            return f"{name} has values that are not finite"
    values = covariance.astype(np.float64)
    if (np.abs(values - values.T) > _SYMMETRIC_WITHIN * np.abs(values).max()).any():
        return "sigma is not symmetric, so it is not a covariance"
    if (np.diagonal(values) < 0).any():
        return "sigma has negative variances, so it is not a covariance"
    return None


def _is_description(described: np.ndarray) -> bool:
    return described.dtype.kind == "U" and described.ndim == 1 and len(described) > 0


def _is_count(count: np.ndarray) -> bool:
    return count.ndim == 0 and count.dtype.kind in "iu" and int(count) >= 2
