"""The files of one tar or zip file, compressed or not, in its order."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from framework.data.sources.kinds import kind_of_start, kind_of_zip
from framework.data.sources.tar_members import Member, tar_members
from framework.data.sources.xz import XzReader
from framework.data.sources.zip_members import member_pieces, obstacle, zip_members
from framework.errors import DataError, reason_of
from framework.files import FULL, PIECE_BYTES

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
# What unpacking a member of a zip file raises; RuntimeError is for what its own header asks and the directory does not.
DAMAGED_MEMBER = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError)
NEITHER = "neither a folder nor a .tar, .tar.gz or .zip"
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": XzReader}
_SUFFIXES = frozenset([".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"])
_NESTED = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")


@dataclass(frozen=True)
class Found:
    """A file in an archive.

    Attributes:
        name: Its path in the archive.
        item: An `Entry` of a zip file, or (offset, size) in a tar file before compression.
        size: Length of its content in bytes.
        pieces: Gives its content; in a tar file only until the next file is asked for, and None for a hard link.
    """

    name: str
    item: Any
    size: int
    pieces: Callable[[], Iterator[bytes]] | None


def named_as_archive(name: str) -> bool:
    """Whether a file among images is opened as an archive.

    >>> [named_as_archive(name) for name in ("a/part1.TAR.GZ", "b.zip", "notes.gz", "c.jpg")]
    [True, True, False, False]
    """
    return name.lower().endswith(_NESTED)


def unpacker_of(file: BinaryIO) -> Callable[[BinaryIO], AbstractContextManager[Any]] | None:
    """What opens a compressed file for reading; None if the file is not compressed."""
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    return next((opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None)


def zip_files(file: BinaryIO, where: str) -> Iterator[Found]:
    """The files of a zip file.

    Args:
        where: Its name for messages.

    Raises:
        DataError: None of them can be unpacked, or it is a zip file of something else than images.
    """
    if (kind := kind_of_zip(file)) is not None:
        raise DataError(f"data.path: {where} is {kind[0]}; {kind[1]}")
    obstacles: Counter[str | None] = Counter()
    for entry in zip_members(file):
        obstacles[obstacle(entry)] += 1
        yield Found(entry.name, entry, entry.size, lambda entry=entry: member_pieces(file, entry))
    if obstacles and None not in obstacles:
        raise DataError(
            f"data.path: {where} is {obstacles.most_common(1)[0][0]}; unpack it (7z x), and name the folder"
        )


def tar_files(file: BinaryIO) -> Iterator[Found]:
    """The files of a tar file, which is unpacked while it is read if it is compressed."""
    unpacker = unpacker_of(file)
    with unpacker(file) if unpacker else nullcontext(file) as content:
        for name, member, linked in _linked(tar_members(content)):
            pieces = None if linked else lambda size=member.size: _pieces(content, size)
            yield Found(name, (member.offset, member.size), member.size, pieces)


def archive_fault(where: str, fault: BaseException, start: bytes, *, named: bool) -> DataError:
    """The error for an archive that cannot be read: what it is instead, or that it is damaged.

    Args:
        where: Its name for messages.
        start: The first bytes of the file.
        named: Whether it must be an archive, by its suffix or because some of it was read.
    """
    if isinstance(fault, tarfile.ReadError) and (known := kind_of_start(start)) is not None:
        return DataError(f"data.path: {where} is {known[0]}; {known[1]}")
    if isinstance(fault, tarfile.ReadError) and not named:
        return DataError(f"data.path: {where} is {NEITHER} ({reason_of(fault)})")
    return DataError(f"data.path: {where} is damaged ({reason_of(fault)}); copy or download it again")


def is_full(fault: BaseException) -> bool:
    """Whether the disk is full to which an archive is unpacked."""
    return isinstance(fault, OSError) and fault.errno in FULL


def has_archive_suffix(path: Path) -> bool:
    """Whether one of a file's suffixes is that of an archive."""
    return not _SUFFIXES.isdisjoint(path.suffixes)


def _linked(members: Iterator[Member]) -> Iterator[tuple[str, Member, bool]]:
    """The name of each member with the member that has its content, which for a hard link is an earlier one."""
    known: dict[str, Member] = {}
    for member in members:
        content = known.get(member.link) if member.link else member
        if content is not None:
            known[member.name] = content
            yield member.name, content, bool(member.link)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = file.read(min(size, PIECE_BYTES))
        if not piece:
            raise tarfile.ReadError("unexpected end of data")
        yield piece
        size -= len(piece)
