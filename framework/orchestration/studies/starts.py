"""Where studies start beside samples: projected photographs, and with an encoder photographs as they are."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framework.checkpoint import LoadedGenerator
from framework.latents.projection.starts import SUFFIX, read_starts
from framework.orchestration.studies.photos import read_photos
from framework.runs import RunFolder


def starts_of(run: RunFolder, generator: LoadedGenerator) -> list[tuple[str, np.ndarray]]:
    """The latents that `latents.start` names, in its order: each its name and [z] float32.

    A name that is a file of a picture is encoded, where the generator has an encoder; all others are projections.

    Raises:
        LatentsError: One is not there, is damaged, or is for latents of another size.
        DataError: A file is no image.
    """
    found: list[tuple[str, np.ndarray]] = []
    for name in run.experiment.latents.start:
        if generator.encoder is not None and not name.endswith(SUFFIX) and Path(name).expanduser().is_file():
            (photo,) = read_photos([name], generator)
            found.append((photo.name, generator.encode(photo.pixels[None])[0]))
        else:
            found += read_starts(run.projections, [name], latent_size=generator.latent_size)
    return found


def digests_of(starts: Sequence[tuple[str, np.ndarray]]) -> dict[str, str]:
    """Name -> sha256 of each latent."""
    return {name: hashlib.sha256(latent.tobytes()).hexdigest() for name, latent in starts}
