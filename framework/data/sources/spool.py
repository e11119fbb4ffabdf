"""The one file to which contents are unpacked that several processes could not read where they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Self

UNPACKED = "source.tar"


class Spool:
    """Appends contents to a file. Use it as a context manager, which makes the file and closes it.

    Args:
        folder: Where the file is; None if contents are only counted.
        most_bytes: Larger contents are not written; whoever reads them rejects them by their size.
    """

    def __init__(self, folder: Path | None, *, most_bytes: int) -> None:
        self.path = None if folder is None else folder / UNPACKED
        self._most_bytes = most_bytes
        self._file: BinaryIO | None = None
        self._end = 0

    def __enter__(self) -> Self:
        if self.path is not None:  # workers open it for the first item, even if its content is not written
            self._file = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, pieces: Iterable[bytes], size: int, *, whole: bool = False) -> tuple[int, int]:
        """Appends a content, and gives its (offset, size).

        Args:
            pieces: The content; not asked for if it is not written.
            size: Its length in bytes.
            whole: Whether it is many contents in one, which have no limit together.
        """
        if self._file is None or (size > self._most_bytes and not whole):
            return 0, size
        offset = self._file.seek(self._end)  # what a damaged content left is overwritten
        for piece in pieces:
            self._file.write(piece)
        self._file.flush()  # a worker reads it while the next ones are unpacked
        self._end = offset + size
        return offset, size
