"""The images of a folder, .zip, .tar or .tar.gz, read by number in any order, without filtering or cropping."""

import tempfile
import weakref
from pathlib import Path

import numpy as np
from PIL import Image

from framework.config import DataConfig
from framework.data.packing.decoding import RejectedError, size_of_whole
from framework.data.packing.reading import Reader
from framework.data.packing.single import SingleDecoder
from framework.data.sources.source import list_source
from framework.errors import DataError, EvaluationError


class ImageFiles:
    """All image files of a location, sorted by name.

    Args:
        path: A folder, which is searched with its subfolders, or an archive.

    Raises:
        EvaluationError: The location cannot be read, or holds no images.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        suffixes = Image.registered_extensions()
        # The reader keeps the unpacked file of a compressed archive open, so it is readable until this process ends.
        with tempfile.TemporaryDirectory(prefix="latentscape-") as unpacked:
            try:
                source = DataConfig(source="folder", path=str(path))
                listing = list_source(source, unpack_to=Path(unpacked))
                items = dict(sorted(listing.items))  # must come first: listing unpacks a compressed archive
                self._reader = Reader(listing.kind, listing.path, most_bytes=source.largest_file_bytes)
            except DataError as fault:
                raise EvaluationError(" ".join(str(fault).split()).removeprefix("data.path: ")) from None
        self._decoder = SingleDecoder(self._reader)
        weakref.finalize(self, _close, self._decoder, self._reader)
        self._items = {name: item for name, item in items.items() if Path(name).suffix.lower() in suffixes}
        if not self._items:
            raise EvaluationError(f"{path}: holds no images")
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

    def _damaged(self, number: int, fault: RejectedError) -> EvaluationError:
        return EvaluationError(f"{self.path}: {self.names[number]} is not a readable image ({fault})")


def _close(decoder: SingleDecoder, reader: Reader) -> None:
    decoder.close()
    reader.close()
