"""Photographs in the format of a generator's images: the user's files, or held-out images."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.checkpoint import LoadedGenerator
from framework.config import DataConfig
from framework.data.packing.decoding import RejectedError
from framework.data.packing.reading import Reader
from framework.data.packing.single import SingleDecoder
from framework.errors import DataError
from framework.files import user_path
from framework.orchestration.context import RunContext


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture to project.

    Attributes:
        name: The file's name without its ending.
        pixels: [h,w,c] uint8, of the size of the generator's images.
        sha256: Digest of the file; for a held-out image, of its pixels.
    """

    name: str
    pixels: np.ndarray
    sha256: str


def read_photos(paths: Sequence[str], generator: LoadedGenerator, *, rules: int = 1) -> list[Photo]:
    """Photographs as training would see them: upright, the centre square, at the generator's resolution.

    Args:
        paths: The files.
        generator: Has the resolution and the channels.
        rules: `data.rules` of the run.

    Raises:
        DataError: A file cannot be read or is not an image, or two have the same name.
    """
    photos: list[Photo] = []
    folder = Reader("folder", "", most_bytes=DataConfig().largest_file_bytes)  # of absolute paths
    decoder = SingleDecoder(folder, resolution=generator.resolution, channels=generator.channels, rules=rules)
    with contextlib.closing(decoder):
        for path in paths:
            try:
                file = user_path(path)
                pixels, sha256 = decoder.decode(str(file.absolute()))
            except OSError as fault:
                raise DataError(f"{path}: cannot be read ({fault.strerror})") from None
            except RejectedError as fault:
                raise DataError(f"{path}: {fault}") from None
            name = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in file.stem)
            if name in {photo.name for photo in photos}:
                raise DataError(
                    f"{path}: another photograph has the same name {name}; their latents need different files"
                )
            photos.append(Photo(name, pixels, sha256))
    return photos


def held_out_photos(context: RunContext) -> list[Photo]:
    """The first `latents.projection.held_out` held-out images by content: the same for every run of the same data.

    Raises:
        DataError: No image is held out.
    """
    images, count = context.images, context.experiment.latents.projection.held_out
    indices = images.held_out_indices[:count]
    if not len(indices):
        raise DataError("data.held_out: no image is held out; pass photographs, or hold some out")
    shown = [np.array(images.images[index]) for index in indices]
    return [
        Photo(f"held_out_{number}", pixels, hashlib.sha256(pixels.tobytes()).hexdigest())
        for number, pixels in enumerate(shown, start=1)
    ]
