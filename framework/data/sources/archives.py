"""Lists the files of one tar or zip file, compressed or not, and unpacks what does not allow random access."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from framework.data.sources.tar_members import Member, tar_members
from framework.data.sources.xz import XzReader
from framework.data.sources.zip_members import is_zip, zip_members
from framework.files import PIECE_BYTES, open_regular

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": XzReader}


def named_as_archive(path: Path) -> bool:
    """Whether the file's suffix is that of an archive."""
    return any(step in {".tar", ".tgz", ".gz", ".bz2", ".xz", ".zip"} for step in path.suffixes)


def is_zip_file(path: Path) -> bool:
    """Whether a file is a zip file, by its content."""
    with open_regular(path) as file:
        return is_zip(file)


def zip_items(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The name and `Entry` of each file in a zip file."""
    with open_regular(path) as file:
        for entry in zip_members(file):
            yield entry.name, entry


def tar_items(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The name and the (offset, size) of each file in a tar file, before compression."""
    with opened(path) as file:
        for name, member in _linked(tar_members(file)):
            yield name, (member.offset, member.size)


def unpacked_items(path: Path, target: Path, *, most_bytes: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Unpacks a compressed tar file, which does not allow random access, without members above `most_bytes`."""
    places: dict[int, int] = {}  # offset in the archive -> offset in the target
    with opened(path) as file, target.open("wb") as unpacked:
        for name, member in _linked(tar_members(file)):
            if member.offset not in places:
                places[member.offset] = unpacked.tell()
                if member.size <= most_bytes:
                    _copy(file, unpacked, member.size)
                    unpacked.flush()  # a worker reads it while the next ones are unpacked
            yield name, (places[member.offset], member.size)


def _linked(members: Iterator[Member]) -> Iterator[tuple[str, Member]]:
    """The name of each member with the member that has its content, which for a hard link is an earlier one."""
    known: dict[str, Member] = {}
    for member in members:
        content = known.get(member.link) if member.link else member
        if content is not None:
            known[member.name] = content
            yield member.name, content


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0:
        piece = source.read(min(size, PIECE_BYTES))
        if not piece:
            raise tarfile.ReadError("unexpected end of data")
        target.write(piece)
        size -= len(piece)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A tar file, unpacked while it is read."""
    opener = unpacker_of(path)
    with open_regular(path) as file, opener(file) if opener else nullcontext(file) as content:
        yield content


def unpacker_of(path: Path) -> Any:
    """What opens a compressed file for reading; None if the file is not compressed."""
    with open_regular(path) as file:
        start = file.read(6)
    return next((opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None)
