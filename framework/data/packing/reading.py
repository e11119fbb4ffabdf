"""Reads the bytes of single items of a source, in the worker process."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

from framework.data.packing.decoding import RejectedError


class Reader:
    """Reads items of a source.

    An item is a relative name in a folder, [offset, size] in a tar file or MNIST, or a name in a zip file.
    """

    def __init__(self, kind: str, path: str) -> None:
        self._path = path
        self._tar = os.open(path, os.O_RDONLY) if kind in ("tar", "mnist") else -1
        self._zip = zipfile.ZipFile(path) if kind == "zip" else None
        readers = {"folder": self._from_folder, "zip": self._from_zip, "tar": self._from_tar, "mnist": self._from_tar}
        self.read = readers[kind]

    def close(self) -> None:
        """Closes the archive, if there is one."""
        if self._tar >= 0:
            os.close(self._tar)
        if self._zip is not None:
            self._zip.close()

    def _from_folder(self, name: str) -> bytes:
        try:
            return Path(self._path, name).read_bytes()
        except OSError as fault:
            raise RejectedError(f"cannot be read: {fault.strerror}") from None

    def _from_tar(self, place: Any) -> bytes:
        offset, size = place
        data = os.pread(self._tar, size, offset)
        while len(data) < size:  # one call reads at most 2 GiB
            more = os.pread(self._tar, size - len(data), offset + len(data))
            if not more:
                raise RejectedError("truncated")
            data += more
        return data

    def _from_zip(self, name: str) -> bytes:
        assert self._zip is not None
        try:
            return self._zip.read(name)
        # zipfile raises RuntimeError for an encrypted entry, and its subclass for an unknown compression.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as fault:
            raise RejectedError(f"damaged in the archive: {' '.join(str(fault).split())}") from None
