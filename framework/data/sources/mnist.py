"""Reads and checks MNIST's four IDX files, gzipped or not: grey digits of 28x28 pixels.

Imports neither numpy nor Pillow, so that a decoding worker starts fast.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framework.errors import DataError

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
        pixels: 28 * 28 bytes per image, row by row, 0 for the background.
        labels: One byte per image, 0 to 9.
    """

    split: str
    pixels: bytes
    labels: bytes

    def names(self) -> Iterator[str]:
        """Names such as `train-00042-7`: split, index in the file, digit."""
        return (f"{self.split}-{place:05d}-{label}" for place, label in enumerate(self.labels))


def read_digits(folder: Path) -> list[Digits]:
    """Reads the training split and the test split.

    Raises:
        DataError: A file is missing, damaged or truncated, or images and labels do not match.
    """
    return [_read_split(folder, split) for split in _STEMS]


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


def _read_split(folder: Path, split: str) -> Digits:
    images, labels = (_find(folder, f"{_STEMS[split]}-{kind}") for kind in _KINDS)
    (count, *size), pixels = _read_idx(images, dimensions=3)
    (labelled,), digits = _read_idx(labels, dimensions=1)
    if size != [SIDE, SIDE]:
        raise DataError(f"data.path: {images.name} contains images of {size[0]}x{size[1]}; MNIST's are {SIDE}x{SIDE}")
    if count != labelled:
        raise DataError(f"data.path: {images.name} contains {count:,} images, but {labels.name} {labelled:,} labels")
    if digits and max(digits) > 9:
        raise DataError(f"data.path: {labels.name} contains the label {max(digits)}; MNIST's are 0 to 9")
    return Digits(split, pixels, digits)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"data.path: {folder} has no {stem} or {stem}.gz; mnist needs the four IDX files in one folder")


def _read_idx(path: Path, *, dimensions: int) -> tuple[list[int], bytes]:
    """The sizes and the data of an IDX file of unsigned bytes."""
    data = _unpacked(path)
    head = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, _BYTES, dimensions]):
        expected = f"an IDX file of unsigned bytes in {dimensions} dimension{'s' if dimensions > 1 else ''}"
        start = f"it starts with {data[:4].hex(' ')}" if data else "it is empty"
        raise DataError(f"data.path: {path.name} is not {expected} ({start})")
    sizes = [int.from_bytes(data[place : place + 4], "big") for place in range(4, head, 4)]
    expected, actual = head + math.prod(sizes), len(data)
    if actual != expected:
        problem = "is truncated" if actual < expected else "is too long"
        raise DataError(f"data.path: {path.name} {problem}: {actual:,} bytes, but its header says {expected:,}")
    return sizes, data[head:]


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as fault:
        raise DataError(f"data.path: {path.name} is damaged ({fault}); copy it again") from None
