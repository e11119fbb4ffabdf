"""Reads and checks MNIST's four IDX files, gzipped or not: grey digits of 28x28 pixels.

Imports neither numpy nor Pillow, so that a decoding worker starts fast.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from framework.errors import DataError, reason_of
from framework.files import FULL, PIECE_BYTES, open_regular

SIDE = 28
PIXELS = SIDE * SIDE
TEST = "test"
_STEMS = {"train": "train", TEST: "t10k"}
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
_BYTES = 8  # IDX's code for unsigned bytes


@dataclass(frozen=True)
class Digits:
    """One split, in the order of the files.

    Attributes:
        labels: One byte per image, 0 to 9.
    """

    split: str
    labels: bytes

    def names(self) -> Iterator[str]:
        """Names such as `train-00042-7`: split, index in the file, digit."""
        return (f"{self.split}-{place:05d}-{label}" for place, label in enumerate(self.labels))


def read_digits(folder: Path, pixels: BinaryIO, *, most_images: int) -> list[Digits]:
    """Reads the training split and the test split.

    Args:
        pixels: Gets the images of both: 28 * 28 bytes each, row by row, 0 for the background.
        most_images: More images are an error.

    Raises:
        DataError: A file is missing, damaged or truncated, or images and labels do not match.
    """
    return [_read_split(folder, split, pixels, most_images) for split in _STEMS]


def is_test_name(name: str) -> bool:
    """Whether an image belongs to the test split.

    >>> is_test_name("test-00000-7"), is_test_name("train-00000-7")
    (True, False)
    """
    return name.startswith(f"{TEST}-")


def digit_of(name: str) -> int:
    """The digit at the end of a name.

    >>> digit_of("train-00042-7")
    7
    """
    return int(name[-1])


def framed(pixels: bytes, resolution: int) -> bytes:
    """Pads a digit to a black square without resampling.

    Args:
        pixels: 28 * 28 bytes.
        resolution: 28, or an even number above it.
    """
    edge = (resolution - SIDE) // 2
    side, above = bytes(edge), bytes(edge * resolution)
    rows = [side + pixels[start : start + SIDE] + side for start in range(0, PIXELS, SIDE)]
    return above + b"".join(rows) + above


def _read_split(folder: Path, split: str, pixels: BinaryIO, most_images: int) -> Digits:
    images, labels = (_find(folder, f"{_STEMS[split]}-{kind}") for kind in _KINDS)
    with _opened_idx(images) as file:
        count, *size = _sizes(images, file, dimensions=3)
        if size != [SIDE, SIDE]:
            raise DataError(
                f"data.path: {images.name} contains images of {size[0]}x{size[1]}; MNIST's are {SIDE}x{SIDE}"
            )
        if count > most_images:
            raise DataError(f"data.most_files: {images.name} contains {count:,} images, more than {most_images:,}")
        with _opened_idx(labels) as other:
            (labelled,) = _sizes(labels, other, dimensions=1)
            if count != labelled:
                raise DataError(
                    f"data.path: {images.name} contains {count:,} images, but {labels.name} {labelled:,} labels"
                )
            digits = b"".join(_data(labels, other, count, head=8))
        for piece in _data(images, file, count * PIXELS, head=16):
            pixels.write(piece)
    if digits and max(digits) > 9:
        raise DataError(f"data.path: {labels.name} contains the label {max(digits)}; MNIST's are 0 to 9")
    return Digits(split, digits)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"data.path: {folder} has no {stem} or {stem}.gz; mnist needs the four IDX files in one folder")


def _sizes(path: Path, file: BinaryIO, *, dimensions: int) -> list[int]:
    """The sizes in the header of an IDX file of unsigned bytes."""
    header = file.read(4 + 4 * dimensions)
    if header[:4] != bytes([0, 0, _BYTES, dimensions]):
        expected = f"an IDX file of unsigned bytes in {dimensions} dimension{'s' if dimensions > 1 else ''}"
        start = f"it starts with {header[:4].hex(' ')}" if header else "it is empty"
        raise DataError(f"data.path: {path.name} is not {expected} ({start})")
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"data.path: {path.name} is truncated in its header")
    return [int.from_bytes(header[place : place + 4], "big") for place in range(4, len(header), 4)]


def _data(path: Path, file: BinaryIO, size: int, *, head: int) -> Iterator[bytes]:
    """The bytes after the header, in pieces: as many as the header says, and an error if there are fewer or more."""
    left = size
    while left > 0 and (piece := file.read(min(left, PIECE_BYTES))):
        left -= len(piece)
        yield piece
    if left:
        actual, expected = head + size - left, head + size
        raise DataError(f"data.path: {path.name} is truncated: {actual:,} bytes, but its header says {expected:,}")
    if file.read(1):
        raise DataError(f"data.path: {path.name} is too long: more than the {head + size:,} bytes its header says")


@contextmanager
def _opened_idx(path: Path) -> Iterator[BinaryIO]:
    """An IDX file, unpacked while it is read; a fault of the compression is a `DataError`."""
    try:
        with open_regular(path) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file, "rb") if packed else nullcontext(file) as content:
                yield cast("BinaryIO", content)
    except (OSError, EOFError, zlib.error) as fault:
        if isinstance(fault, OSError) and fault.errno in FULL:  # of the cache, into which the pixels are written
            raise
        raise DataError(f"data.path: {path.name} is damaged ({reason_of(fault)}); copy it again") from None
