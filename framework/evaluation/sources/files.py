"""The images of a folder, .zip, .tar or .tar.gz, read by number in any order, without filtering or cropping."""

import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from framework.config import DataConfig
from framework.data.packing.decoding import FORMATS, RejectedError, size_of_whole
from framework.data.packing.reading import Reader
from framework.data.packing.single import SingleDecoder
from framework.data.sources.source import list_source
from framework.errors import DataError, EvaluationError

_NO_IMAGE = ("not an image", "empty file", "too large")


class ImageFiles:
    """All image files of a location, sorted by name: those that `prepare` would decode.

    A file that is named like an image has to be one. Of others the content decides, and those that are no images are
    left out.

    Args:
        path: A folder, which is searched with its subfolders, or an archive.

    Attributes:
        names: Their names within the location.
        left_out: Reason -> number of files and folders that are left out.

    Raises:
        EvaluationError: The location cannot be read, or holds no images.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # The reader keeps the unpacked file of a compressed archive open, so it is readable until this process ends.
        with tempfile.TemporaryDirectory(prefix="latentscape-") as unpacked:
            try:
                source = DataConfig(source="folder", path=str(path))
                listing = list_source(source, unpack_to=Path(unpacked))
                items = dict(sorted(listing.items))  # must come first: listing unpacks a compressed archive
                self._reader = Reader(
                    listing.kind, listing.path, most_bytes=source.largest_file_bytes, unpacked=listing.unpacked
                )
                self._reader.unpacked_fileno()
            except DataError as fault:
                raise EvaluationError(" ".join(str(fault).split()).removeprefix("data.path: ")) from None
        self._decoder = SingleDecoder(self._reader)
        weakref.finalize(self, _close, self._decoder, self._reader)
        self.left_out = Counter(listing.left_out)
        self._items = {name: item for name, item in items.items() if self._is_image(name, item)}
        if not self._items:
            others = f" ({left_out_text(self.left_out)})" if self.left_out else ""
            raise EvaluationError(f"{path}: holds no images{others}")
        self.names = list(self._items)

    def read(self, number: int) -> bytes:
        """The bytes of the file with this number.

        Raises:
            EvaluationError: The file cannot be read.
        """
        try:
            return self._reader.read(self._items[self.names[number]])
        except RejectedError as fault:
            raise self._damaged(number, fault) from None

    def size(self, data: bytes, *, number: int) -> tuple[int, int]:
        """(width, height) of an image after rotation by its EXIF orientation, from its header."""
        try:
            return size_of_whole(data)
        except RejectedError as fault:
            raise self._damaged(number, fault) from None

    def image(self, number: int) -> np.ndarray:
        """The image with this number: uint8 [h,w,3], upright, transparent parts on white.

        Raises:
            EvaluationError: The image is damaged or too large, or has more than 8 bits per channel.
        """
        try:
            pixels, _ = self._decoder.decode(self._items[self.names[number]])
            return pixels
        except RejectedError as fault:
            raise self._damaged(number, fault) from None
        except DataError as fault:
            raise EvaluationError(f"{self.path}: {str(fault).removeprefix('data.path: ')}") from None

    def _is_image(self, name: str, item: Any) -> bool:
        in_table = isinstance(item, dict) and ("as" in item or "image" in item)
        if in_table or Path(name).suffix.lower() in _suffixes():
            return True
        try:
            size_of_whole(self._reader.read(item))
        except RejectedError as fault:
            reason = str(fault).partition(":")[0]
            if reason in _NO_IMAGE or reason.endswith(", not a file"):  # a pipe or a device
                self.left_out[reason] += 1
                return False
        return True

    def _damaged(self, number: int, fault: RejectedError) -> EvaluationError:
        return EvaluationError(f"{self.path}: {self.names[number]} is not a readable image ({fault})")


def holds_pictures(path: Path) -> bool:
    """Whether an .npz file is a stack of pictures; else it may be one of statistics."""
    try:
        listing = list_source(DataConfig(source="folder", path=str(path)), unpack_to=None)
        return next(iter(listing.items), None) is not None and listing.kind == "stack"
    except DataError:
        return False


def left_out_text(left_out: Mapping[str, int]) -> str:
    """What was left out, for a message.

    >>> left_out_text({"hidden": 1, "not an image": 2000})
    'left out: 2,000 not an image, 1 hidden'
    """
    counts = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))
    return "left out: " + ", ".join(f"{count:,} {reason}" for reason, count in counts)


@cache
def _suffixes() -> frozenset[str]:
    """The suffixes of the image formats that are decoded."""
    heif = {".heic", ".heif", ".hif"}
    return frozenset(heif).union(suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS)


def _close(decoder: SingleDecoder, reader: Reader) -> None:
    decoder.close()
    reader.close()
