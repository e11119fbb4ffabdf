"""Statistics as the field passes them on: an .npz with `mu` [d] and `sigma` [d,d] (TTUR, pytorch-fid, clean-fid).

Those files do not say how many images they are of, nor whose features; ours do, beside the two that all tools read.
"""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.errors import EvaluationError, StorageError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.inception import TAPS
from framework.metrics import Moments
from framework.storage import open_folder

# Covariances are symmetric but for rounding, and some tools keep them in float32.
_SYMMETRIC_WITHIN = 1e-5
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, StorageError, MemoryError)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a file of statistics holds.

    Attributes:
        mean: [d] float64.
        covariance: [d,d] float64, by n − 1.
        count: Of how many images; None where the file does not say.
        features: Whose features, as name, sha256, resize and precision; None where the file does not say.
        digest: sha256 of the file.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int | None
    features: tuple[str, ...] | None
    digest: str

    @property
    def moments(self) -> Moments:
        """The same as moments; of 2 images where nobody knows of how many, which changes no distance."""
        count = 2 if self.count is None else self.count
        return Moments(count, self.mean, self.covariance * (count - 1))


def save_statistics(path: Path, moments: Moments, features: FeatureSpec | None = None) -> None:
    """Write moments atomically in the form that pytorch-fid and clean-fid read.

    Args:
        path: Ends in .npz.
        moments: Of at least 2 images.
        features: Whose features they are, for whoever compares with them later.
    """
    told = np.array([] if features is None else _told(features), dtype=np.str_)
    buffer = io.BytesIO()
    np.savez(buffer, mu=moments.mean, sigma=moments.covariance, count=np.array(moments.count), features=told)
    open_folder(path.parent).write_bytes(path.name, buffer.getvalue())


def read_statistics(path: Path) -> Statistics:
    """Read a file of statistics, without ever unpickling.

    Raises:
        EvaluationError: It is none, is damaged, or holds what cannot be a mean and a covariance.
    """
    try:
        data = open_folder(path.parent).read_bytes(path.name)
        arrays, held = _arrays(data)
    except _UNREADABLE as fault:
        reason = " ".join(str(fault).split())[:200] or type(fault).__name__
        raise EvaluationError(f"{path}: is no .npz of statistics that can be read ({reason})") from None
    if missing := [name for name in ("mu", "sigma") if name not in arrays]:
        shown = ", ".join(sorted(held)[:8]) or "nothing"
        raise EvaluationError(f"{path}: has no {' and no '.join(missing)}, as statistics do; it has {shown}")
    fault = _fault(arrays["mu"], arrays["sigma"])
    if fault is not None:
        raise EvaluationError(f"{path}: {fault}")
    count = int(arrays["count"]) if "count" in arrays and _is_count(arrays["count"]) else None
    told = arrays.get("features", np.array([]))
    return Statistics(
        mean=arrays["mu"].astype(np.float64),
        covariance=arrays["sigma"].astype(np.float64),
        count=count,
        features=tuple(map(str, told)) if told.dtype.kind == "U" and told.ndim == 1 and len(told) else None,
        digest=hashlib.sha256(data).hexdigest(),
    )


def check_statistics(statistics: Statistics, features: FeatureSpec, *, place: str) -> None:
    """Statistics and an extractor belong together, as far as the file says.

    Raises:
        EvaluationError: They are of another tap, or of other features.
    """
    size = len(statistics.mean)
    if size != features.tap:
        remedy = f"; evaluation.tap={size} makes as many" if features.kind == "inception" and size in TAPS else ""
        raise EvaluationError(
            f"{place}: holds statistics of {size} features, and the other side has {features.tap} of them "
            f"({features.name}){remedy}"
        )
    if statistics.features is not None and statistics.features != _told(features):
        theirs, ours = ("; ".join(told) for told in (statistics.features, _told(features)))
        raise EvaluationError(f"{place}: holds statistics of other features ({theirs}) than the other side's ({ours})")


def _told(features: FeatureSpec) -> tuple[str, ...]:
    return features.name, features.digest, features.resize, features.precision


def _arrays(data: bytes) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that statistics have, and the names of all that the file holds."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("no zip archive")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        # A file of the field may hold more, and what nobody asks for may even be a pickle: it is not looked at.
        wanted = [name for name in archive.files if name in ("mu", "sigma", "count", "features")]
        return {name: archive[name] for name in wanted}, archive.files


def _fault(mean: np.ndarray, covariance: np.ndarray) -> str | None:
    """Why two arrays are no mean and covariance."""
    for name, array in (("mu", mean), ("sigma", covariance)):
        if array.dtype.kind not in "fiu":
            return f"{name} is {array.dtype}, no real numbers"
    if mean.ndim != 1 or len(mean) < 1 or covariance.shape != (len(mean), len(mean)):
        return f"mu is {list(mean.shape)} and sigma {list(covariance.shape)}; statistics are [d] and [d,d]"
    for name, array in (("mu", mean), ("sigma", covariance)):
        if not np.isfinite(array).all():
            return f"{name} has values that are not finite"
    values = covariance.astype(np.float64)
    if (np.abs(values - values.T) > _SYMMETRIC_WITHIN * np.abs(values).max()).any():
        return "sigma is not symmetric, so it is no covariance"
    if (np.diagonal(values) < 0).any():
        return "sigma has variances under 0, so it is no covariance"
    return None


def _is_count(count: np.ndarray) -> bool:
    return count.ndim == 0 and count.dtype.kind in "iu" and int(count) >= 2
