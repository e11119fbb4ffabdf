"""Reads the latents of projected photographs from a run's `projections/`, as starting points of walks."""

from collections.abc import Sequence

import numpy as np
import safetensors
import safetensors.numpy

from framework.errors import LatentsError, reason_of
from framework.storage import Folder

SUFFIX = ".safetensors"
_TENSOR = "latent"


def read_starts(folder: Folder, names: Sequence[str], *, latent_size: int) -> list[tuple[str, np.ndarray]]:
    """Reads the latents that `latents.start` names, in order: pairs of name and latent [z] float32.

    Args:
        folder: Contains NAME.safetensors files, each with the tensor `latent`.
        names: Names, files or paths of files; only NAME is used.
        latent_size: Latent size of the generator that will use them.

    Raises:
        LatentsError: A latent does not exist, is damaged, or has a different size.
    """
    existing = [file.removesuffix(SUFFIX) for file in folder.list() if file.endswith(SUFFIX)]
    starts = []
    for name in names:
        stem = name.rpartition("/")[2].removesuffix(SUFFIX)
        if stem not in existing:
            known = f"there are {', '.join(existing)}" if existing else f"there are none yet in {folder.location}"
            raise LatentsError(f"latents.start: no projection {name}; {known}")
        place = f"{folder.location}/{stem}{SUFFIX}"
        latent = _read(folder.read_bytes(f"{stem}{SUFFIX}"), place)
        if len(latent) != latent_size:
            raise LatentsError(f"{place}: is a latent of size {len(latent)}; the generator's have size {latent_size}")
        starts.append((stem, latent))
    return starts


def _read(data: bytes, place: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which is checked below
            latent = safetensors.numpy.load(data)[_TENSOR].astype(np.float32)
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as fault:
        raise LatentsError(f"{place}: cannot be read as a latent ({reason_of(fault)})") from None
    if latent.ndim != 1 or not np.isfinite(latent).all():
        raise LatentsError(f"{place}: the latent must be one row of finite numbers")
    return latent
