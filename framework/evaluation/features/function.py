"""Features by a function of the user, `evaluation.features=package.module:function`.

The function gets images, uint8 [n,h,w,3] as a NumPy array (grey images repeated), and returns features [n,d], a NumPy
array or a torch tensor of floating point numbers. h and w are those of the images, of any size: the function resizes
them as its network needs, so d must not depend on them. The features of an image depend on that image alone. All this
is tried with a few images. The digest is the sha256 of the module's source file, and of the mean and the deviation, to
four digits, of the features of those images; an attribute `digest` of the function, any text, replaces the latter.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from framework.checkpoint.foreign import function_of, user_code
from framework.config.code import FEATURES
from framework.errors import EvaluationError
from framework.evaluation.features.resizing import Images

_SIDES, _TRIED = (64, 96), 8  # of the images that are tried, and their number
_APART = 1e-3  # of the features' deviation; rounding causes a hundredth of it, statistics of the batch far more

_Function = Callable[..., object]


def function_compute(entry: str, *, tap: int) -> Callable[[Images], Tensor]:
    """Computes a block of images with the function: features [n,tap] float32.

    Raises:
        ConfigError: The user has not allowed this code, or the module or the function does not exist.
    """
    function = function_of(entry, key=FEATURES)

    def compute(block: Images) -> Tensor:
        return torch.from_numpy(_features(function, np.stack(list(block)), entry=entry, tap=tap))

    return compute


def try_function(entry: str) -> tuple[int, str]:
    """The number of features that the function gives, and its digest.

    Raises:
        ConfigError: The user has not allowed this code, or the module or the function does not exist.
        CheckpointError: The function raises an exception.
        EvaluationError: It does not return features as described above.
    """
    function = function_of(entry, key=FEATURES)
    first, other = (_noise(side) for side in _SIDES)
    features = _features(function, first, entry=entry)
    _features(function, other, entry=entry, tap=features.shape[1])
    again = _features(function, np.concatenate([other[: _TRIED // 2].repeat(2, 0)[:, :64, :64], first]), entry=entry)
    apart, deviation = float(np.abs(again[-_TRIED:] - features).max()), float(features.std())
    if apart > _APART * max(deviation, 1e-12):
        raise EvaluationError(
            f"{FEATURES}: {entry}: the features of an image change between calls or with the other images (by "
            f"{apart:.2g}, their deviation is {deviation:.2g}); use no batch statistics and no random numbers"
        )
    return features.shape[1], _digest(function, features)


def _features(function: _Function, images: np.ndarray, *, entry: str, tap: int | None = None) -> np.ndarray:
    """The function's features of images [n,h,w,1 or 3] as [n,d] float32, checked."""
    images = np.array(np.broadcast_to(images, (*images.shape[:3], 3)))  # its own copy, which it may change
    with torch.no_grad(), user_code(f"{FEATURES}: {entry}: the function, given uint8 {list(images.shape)},"):
        made = function(images)
    found = made.detach().float().cpu().numpy() if isinstance(made, Tensor) else made
    allowed = f"an array or tensor of floating point numbers [{len(images)}, {'d' if tap is None else tap}]"
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
        raise EvaluationError(f"{FEATURES}: {entry}: returned {what}; it must be {allowed}")
    if found.ndim != 2 or len(found) != len(images) or found.shape[1] != (tap or found.shape[1] or 1):
        given = f"for images {list(images.shape)}"
        raise EvaluationError(f"{FEATURES}: {entry}: returned {list(found.shape)} {given}; it must be {allowed}")
    if not np.isfinite(found).all():
        raise EvaluationError(f"{FEATURES}: {entry}: returned numbers that are not finite")
    return np.ascontiguousarray(found, np.float32)


def _digest(function: _Function, features: np.ndarray) -> str:
    module = sys.modules.get(getattr(function, "__module__", ""))
    source = inspect.getsourcefile(module) if module is not None else None
    about = getattr(function, "digest", None)
    if not isinstance(about, str):
        about = f"{features.mean(dtype=np.float64):.4g} {features.std(dtype=np.float64):.4g}"
    written = Path(source).read_bytes() if source is not None and Path(source).is_file() else b""
    return hashlib.sha256(hashlib.sha256(written).digest() + about.encode()).hexdigest()


def _noise(side: int) -> np.ndarray:
    """Images of soft random patches, uint8 [8,side,side,3], the same always."""
    coarse = np.random.RandomState(0).randint(0, 256, size=(_TRIED, 8, 8, 3)).astype(np.uint8)
    return coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)
