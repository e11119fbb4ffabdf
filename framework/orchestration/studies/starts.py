"""Latents that studies start from instead of samples: projected photographs, or photographs that are encoded."""

import hashlib
from collections.abc import Sequence

import numpy as np

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.files import is_file
from framework.latents.projection.starts import SUFFIX, read_starts
from framework.orchestration.studies.photos import read_photos
from framework.runs import RunFolder


def starts_of(run: RunFolder, generator: LoadedGenerator) -> list[tuple[str, np.ndarray]]:
    """The name and latent [z] float32 of each entry of `latents.start`, in its order.

    If the generator has an encoder, a name that is an image file is encoded; all other names are projections.

    Raises:
        LatentsError: A projection is missing, is damaged, or has latents of another size.
        DataError: A file is not an image.
    """
    starts: list[tuple[str, np.ndarray]] = []
    for name in run.experiment.latents.start:
        if generator.encoder is not None and _is_photo(name):
            (photo,) = read_photos([name], generator, rules=run.experiment.data.rules)
            starts.append((photo.name, generator.encode(photo.pixels[None])[0]))
        else:
            starts += read_starts(run.projections, [name], latent_size=generator.latent_size)
    return starts


def check_starts(run: RunFolder, target: CheckpointRef) -> None:
    """Checks `latents.start` before anything is computed; the errors are those of `starts_of`."""
    if run.experiment.latents.start:
        starts_of(run, load_generator(target.location))


def check_new_starts(run: RunFolder) -> None:
    """Checks that the entries of `latents.start` exist in a run whose generator is still to be trained.

    Raises:
        LatentsError: A projection is missing, is damaged, or has latents of another size.
    """
    model, searched = run.experiment.model, run.experiment.search.space
    names = [name for name in run.experiment.latents.start if model.family == "gan" or not _is_photo(name)]
    if names and "model.latent_size" not in searched:
        read_starts(run.projections, names, latent_size=model.latent_size)


def _is_photo(name: str) -> bool:
    return not name.endswith(SUFFIX) and is_file(name)


def digests_of(starts: Sequence[tuple[str, np.ndarray]]) -> dict[str, str]:
    """Name -> sha256 of each latent."""
    return {name: hashlib.sha256(latent.tobytes()).hexdigest() for name, latent in starts}
