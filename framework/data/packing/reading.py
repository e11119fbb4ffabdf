"""Reads the bytes of single items of a source, in the worker process."""

import os
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import Any

from framework.data.packing.decoding import RejectedError
from framework.data.sources.zip_members import Entry, read_member
from framework.errors import reason_of
from framework.files import RefusedFileError, open_regular, read_file


class Reader:
    """Reads items of a source.

    An item is a relative name in a folder, [offset, size] in a tar file or MNIST, or the values of an `Entry` of a zip
    file.

    Args:
        most_bytes: A larger item is rejected, if possible before it is read.
    """

    def __init__(self, kind: str, path: str, *, most_bytes: int) -> None:
        self.kind, self.path, self.most_bytes = kind, path, most_bytes
        self._file = None if kind == "folder" else open_regular(path)
        readers = {"folder": self._from_folder, "zip": self._from_zip, "tar": self._from_tar, "mnist": self._from_tar}
        self.read = readers[kind]

    def close(self) -> None:
        """Closes the archive, if there is one."""
        if self._file is not None:
            self._file.close()

    def fileno(self) -> int | None:
        """The descriptor of the open archive; None for a folder."""
        return None if self._file is None else self._file.fileno()

    def _from_folder(self, name: str) -> bytes:
        try:
            return read_file(Path(self.path, name), most_bytes=self.most_bytes)
        except RefusedFileError as fault:
            raise RejectedError(str(fault.strerror)) from None
        except OSError as fault:
            raise RejectedError(f"cannot be read: {fault.strerror}") from None

    def _from_tar(self, place: Any) -> bytes:
        assert self._file is not None
        offset, size = place
        self._refuse_size(size)
        data = os.pread(self._file.fileno(), size, offset)
        while len(data) < size:  # one call reads at most 2 GiB
            more = os.pread(self._file.fileno(), size - len(data), offset + len(data))
            if not more:
                raise RejectedError("truncated")
            data += more
        return data

    def _from_zip(self, item: Any) -> bytes:
        assert self._file is not None
        entry = Entry(*item)
        self._refuse_size(entry.size)
        try:
            return read_member(self._file, entry)
        # RuntimeError means an encrypted entry, and its subclass an unknown compression.
        except (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, OSError, ValueError) as fault:
            raise RejectedError(f"damaged in the archive: {reason_of(fault)}") from None

    def _refuse_size(self, size: int) -> None:
        if size > self.most_bytes:
            raise RejectedError(f"too large: more than {self.most_bytes:,} bytes")
