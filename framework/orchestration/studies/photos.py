"""Photographs as a generator's images are: files of the user's, or images that no training saw."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.checkpoint import LoadedGenerator
from framework.data.packing.decoding import RejectedError, decode
from framework.errors import DataError
from framework.orchestration.context import Study


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture to be found.

    Attributes:
        name: The file's, without its ending.
        pixels: [h,w,c] uint8, as the generator's images are.
        sha256: Of the file; of a held-out image, of its pixels.
    """

    name: str
    pixels: np.ndarray
    sha256: str


def read_photos(paths: Sequence[str], generator: LoadedGenerator) -> list[Photo]:
    """Photographs as training would see them: upright, the centre square, at the generator's resolution.

    Raises:
        DataError: One cannot be read or is no image, or two have the same name.
    """
    found: list[Photo] = []
    resolution, channels = generator.resolution, generator.channels
    for path in paths:
        file = Path(path).expanduser()
        try:
            data = file.read_bytes()
            pixels = np.frombuffer(decode(data, resolution=resolution, channels=channels), np.uint8)
        except OSError as fault:
            raise DataError(f"{path}: cannot be read ({fault.strerror})") from None
        except RejectedError as fault:
            raise DataError(f"{path}: {fault}") from None
        name = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in file.stem)
        if name in {photo.name for photo in found}:
            raise DataError(f"{path}: another photograph is called {name} too; their latents would be one file")
        found.append(Photo(name, pixels.reshape(resolution, resolution, channels), hashlib.sha256(data).hexdigest()))
    return found


def held_out_photos(study: Study) -> list[Photo]:
    """The first `latents.projection_held_out` held-out images by content: the same for every run of the same data.

    Raises:
        DataError: None is held out.
    """
    images, count = study.images, study.experiment.latents.projection.held_out
    indices = images.held_out_indices[:count]
    if not len(indices):
        raise DataError("data.held_out: no image is held out; name photographs, or hold some out")
    shown = [np.array(images.images[index]) for index in indices]
    return [
        Photo(f"held_out_{number}", pixels, hashlib.sha256(pixels.tobytes()).hexdigest())
        for number, pixels in enumerate(shown, start=1)
    ]
