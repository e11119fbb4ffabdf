"""MNIST's four IDX files, gzipped or not: digits of 28x28 grey, each file checked before anything is made of it.

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
_BYTES = 8  # IDX's word for unsigned bytes


@dataclass(frozen=True)
class Digits:
    """One split, in the files' own order.

    Attributes:
        split: train or test.
        pixels: 28 * 28 bytes an image, row after row, 0 for the background.
        labels: A byte an image, 0 to 9.
    """

    split: str
    pixels: bytes
    labels: bytes

    def names(self) -> Iterator[str]:
        """`train-00042-7`: split, place in its file, digit."""
        return (f"{self.split}-{place:05d}-{label}" for place, label in enumerate(self.labels))


def read_digits(folder: Path) -> list[Digits]:
    """Both splits, that for training first.

    Raises:
        DataError: A file is missing, damaged or cut short, or two do not belong together.
    """
    return [_read_split(folder, split) for split in _STEMS]


def is_test_name(name: str) -> bool:
    """Whether an image is of the test split.

    >>> is_test_name("test-00000-7"), is_test_name("train-00000-7")
    (True, False)
    """
    return name.startswith(f"{TEST}-")


def digit_of(name: str) -> int:
    """The digit that a name ends with.

    >>> digit_of("train-00042-7")
    7
    """
    return int(name[-1])


def framed(pixels: bytes, resolution: int) -> bytes:
    """A digit in the middle of a black square, pixel for pixel.

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
        raise DataError(f"data.path: {images.name} holds images of {size[0]}x{size[1]}; MNIST's are {SIDE}x{SIDE}")
    if count != labelled:
        raise DataError(f"data.path: {images.name} holds {count:,} images and {labels.name} {labelled:,} labels")
    if digits and max(digits) > 9:
        raise DataError(f"data.path: {labels.name} holds the label {max(digits)}; MNIST's are 0 to 9")
    return Digits(split, pixels, digits)


def _find(folder: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"data.path: {folder} has no {stem} or {stem}.gz; mnist wants the four IDX files in one folder")


def _read_idx(path: Path, *, dimensions: int) -> tuple[list[int], bytes]:
    """Sizes and bytes of an IDX file of unsigned bytes."""
    data = _unpacked(path)
    head = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, _BYTES, dimensions]):
        wanted = f"an IDX file of unsigned bytes in {dimensions} dimension{'s' if dimensions > 1 else ''}"
        raise DataError(f"data.path: {path.name} is not {wanted} (it begins {data[:4].hex(' ') or 'nowhere: empty'})")
    sizes = [int.from_bytes(data[place : place + 4], "big") for place in range(4, head, 4)]
    wanted, found = head + math.prod(sizes), len(data)
    if found != wanted:
        how = "is cut short" if found < wanted else "is too long"
        raise DataError(f"data.path: {path.name} {how}: {found:,} bytes, and its header says {wanted:,}")
    return sizes, data[head:]


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as fault:
        raise DataError(f"data.path: {path.name} is damaged ({fault}); copy it anew") from None
