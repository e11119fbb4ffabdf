"""Walks a folder of images."""

import os
from collections.abc import Iterator
from pathlib import Path

from framework.data.sources.clutter import is_visible
from framework.errors import DataError


def folder_names(path: Path) -> Iterator[str]:
    """The paths of the files in a folder, relative to it, without hidden ones."""

    def refuse(fault: OSError) -> None:
        raise DataError(f"data.path: {fault.filename} cannot be read ({fault.strerror})")

    start = len(str(path).rstrip(os.sep)) + 1
    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if is_visible(name)]
        yield from (f"{folder}{os.sep}{file}"[start:] for file in files if is_visible(file))


def stat_line(path: Path) -> str:
    """The size and time of change of a file, for the fingerprint of a source."""
    try:
        status = path.stat()
    except OSError:  # a broken link, which is rejected when it is read
        return "missing"
    # A folder's own time also changes with files that are not read, such as hidden ones.
    return "folder" if path.is_dir() else f"{status.st_size} {status.st_mtime_ns}"
