"""Reads the bytes of single items of a source, in the worker process."""

import os
from pathlib import Path
from typing import Any, BinaryIO

from framework.data.packing.decoding import RejectedError
from framework.data.packing.rows import as_picture
from framework.data.sources.archives import DAMAGED_MEMBER
from framework.data.sources.zip_members import Entry, obstacle, read_member
from framework.errors import reason_of
from framework.files import RefusedFileError, open_regular, read_file

_MOST_OPEN = 16


class Reader:
    """Reads items of a source.

    An item is a relative name in a folder, [offset, size] in a tar file or MNIST, or the values of an `Entry` of a zip
    file. Of archives within a source it is one of the objects that `Nested` describes.

    Args:
        most_bytes: A larger item is rejected, if possible before it is read.
        unpacked: The file with what was unpacked of the source; empty if nothing was.
    """

    def __init__(self, kind: str, path: str, *, most_bytes: int, unpacked: str = "") -> None:
        self.kind, self.path, self.most_bytes, self.unpacked = kind, path, most_bytes, unpacked
        self._file = None if kind == "folder" else open_regular(path)
        self._unpacked: BinaryIO | None = None
        self._archives: dict[str, BinaryIO] = {}

    def read(self, item: Any) -> bytes:
        """The content of an item.

        Raises:
            RejectedError: It is too large, damaged, or cannot be read.
        """
        if isinstance(item, dict):
            return self._from_nested(item)
        if self.kind == "folder":
            return self._from_folder(item)
        assert self._file is not None
        return self._from_zip(self._file, item) if self.kind == "zip" else self._from_tar(self._file, item)

    def close(self) -> None:
        """Closes all files."""
        for file in (self._file, self._unpacked, *self._archives.values()):
            if file is not None:
                file.close()

    def fileno(self) -> int | None:
        """The descriptor of the open archive; None for a folder."""
        return None if self._file is None else self._file.fileno()

    def unpacked_fileno(self) -> int | None:
        """The descriptor of the file with what was unpacked, which is kept open; None if there is none."""
        if self._unpacked is None and self.unpacked and Path(self.unpacked).exists():
            self._unpacked = open_regular(self.unpacked)
        return None if self._unpacked is None else self._unpacked.fileno()

    def _from_nested(self, item: dict[str, Any]) -> bytes:
        if "rejected" in item:
            raise RejectedError(item["rejected"])
        if "as" in item:
            file = self._spooled() if "unpacked" in item else self._archive(item["stack"])
            return as_picture(self._from_tar(file, item["item"]), *item["as"])
        if "unpacked" in item:
            self._refuse_size(item["unpacked"][1])
            return self._from_tar(self._spooled(), item["unpacked"])
        if "zip" in item:
            return self._from_zip(self._archive(item["zip"]), item["item"])
        return self._from_tar(self._archive(item["tar"]), item["item"])

    def _spooled(self) -> BinaryIO:
        self.unpacked_fileno()
        if self._unpacked is None:
            raise RejectedError("cannot be read: what was unpacked is gone")
        return self._unpacked

    def _archive(self, name: str) -> BinaryIO:
        """An archive in the folder, the last of which stay open; without a name the source itself."""
        if self._file is not None:
            return self._file
        file = self._archives.pop(name, None)
        if file is None:
            try:
                file = open_regular(Path(self.path, name))
            except OSError as fault:
                raise RejectedError(f"cannot be read: {fault.strerror}") from None
        self._archives[name] = file
        if len(self._archives) > _MOST_OPEN:
            self._archives.pop(next(iter(self._archives))).close()
        return file

    def _from_folder(self, name: str) -> bytes:
        try:
            return read_file(Path(self.path, name), most_bytes=self.most_bytes)
        except RefusedFileError as fault:
            raise RejectedError(str(fault.strerror)) from None
        except OSError as fault:
            raise RejectedError(f"cannot be read: {fault.strerror}") from None

    def _from_tar(self, file: BinaryIO, place: Any) -> bytes:
        offset, size = place
        self._refuse_size(size)
        data = os.pread(file.fileno(), size, offset)
        while len(data) < size:  # one call reads at most 2 GiB
            more = os.pread(file.fileno(), size - len(data), offset + len(data))
            if not more:
                raise RejectedError("truncated")
            data += more
        return data

    def _from_zip(self, file: BinaryIO, item: Any) -> bytes:
        entry = Entry(*item)
        self._refuse_size(entry.size)
        if (reason := obstacle(entry)) is not None:
            raise RejectedError(f"{reason} (in the archive)")
        try:
            return read_member(file, entry)
        except DAMAGED_MEMBER as fault:
            raise RejectedError(f"damaged in the archive: {reason_of(fault)}") from None

    def _refuse_size(self, size: int) -> None:
        if size > self.most_bytes:
            raise RejectedError(f"too large: more than {self.most_bytes:,} bytes")
