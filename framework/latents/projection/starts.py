"""Where walks may start beside samples: the latents of projected photographs, in a run's `projections/`."""

from collections.abc import Sequence

import numpy as np
import safetensors
import safetensors.numpy

from framework.errors import LatentsError
from framework.storage import Folder

SUFFIX = ".safetensors"
_TENSOR = "latent"


def read_starts(folder: Folder, names: Sequence[str], *, latent_size: int) -> list[tuple[str, np.ndarray]]:
    """The latents that `latents.start` names, in its order: each its name and [z] float32.

    Args:
        folder: Holds NAME.safetensors, each with the tensor `latent`.
        names: Names, files or paths of files; what counts is NAME.
        latent_size: Of the generator that is to show them.

    Raises:
        LatentsError: One is not there, is damaged, or is for latents of another size.
    """
    there = [file.removesuffix(SUFFIX) for file in folder.list() if file.endswith(SUFFIX)]
    found = []
    for name in names:
        stem = name.rpartition("/")[2].removesuffix(SUFFIX)
        if stem not in there:
            known = f"there are {', '.join(there)}" if there else f"there are none yet in {folder.location}"
            raise LatentsError(f"latents.start: no projection {name}; {known}")
        place = f"{folder.location}/{stem}{SUFFIX}"
        latent = _read(folder.read_bytes(f"{stem}{SUFFIX}"), place)
        if len(latent) != latent_size:
            raise LatentsError(f"{place}: is a latent of {len(latent)} numbers, and the generator's have {latent_size}")
        found.append((stem, latent))
    return found


def _read(data: bytes, place: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite in it
            latent = safetensors.numpy.load(data)[_TENSOR].astype(np.float32)
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as fault:
        raise LatentsError(f"{place}: holds no latent that can be read ({fault})") from None
    if latent.ndim != 1 or not np.isfinite(latent).all():
        raise LatentsError(f"{place}: its latent is no row of finite numbers")
    return latent
