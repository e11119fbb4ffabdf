"""The images of a folder, .zip, .tar or .tar.gz, read by number in any order, without filtering or cropping."""

import io
import tempfile
import weakref
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from framework.config import DataConfig
from framework.data.packing.decoding import RejectedError
from framework.data.packing.reading import Reader
from framework.data.packing.structure import structural_fault
from framework.data.sources.source import list_source
from framework.errors import DataError, EvaluationError, reason_of

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # EXIF: values that swap width and height
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, RejectedError)


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
        weakref.finalize(self, self._reader.close)
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
            data = self._reader.read(self._items[self.names[number]])
            if (fault := structural_fault(data)) is not None:
                raise RejectedError(fault)
            return data
        except RejectedError as fault:
            raise self._damaged(number, fault) from None

    def size(self, data: bytes, *, number: int) -> tuple[int, int]:
        """(width, height) of an image after rotation by its EXIF orientation, from its header."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                turned = image.getexif().get(_ORIENTATION) in _TURNED
                return (image.height, image.width) if turned else image.size
        except _UNREADABLE as fault:
            raise self._damaged(number, fault) from None

    def image(self, number: int) -> np.ndarray:
        """The image with this number: uint8 [h,w,3], upright, transparent parts on white.

        Raises:
            EvaluationError: The image is damaged, or has more than 8 bits per channel.
        """
        try:
            with Image.open(io.BytesIO(self.read(number))) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"colours in mode {image.mode}; python -m jobs.prepare_data converts them")
                upright = ImageOps.exif_transpose(image)
                if upright.has_transparency_data:
                    upright = upright.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
                return np.asarray(upright.convert("RGB"))
        except _UNREADABLE as fault:
            raise self._damaged(number, fault) from None

    def _damaged(self, number: int, fault: BaseException) -> EvaluationError:
        message = reason_of(fault)
        # If Pillow does not know the format, its message contains the BytesIO object, which does not help.
        reason = "unknown image format" if "BytesIO" in message else message
        return EvaluationError(f"{self.path}: {self.names[number]} is not a readable image ({reason})")
