"""Lists the items of a source without opening images: a folder, tar or zip file, MNIST, or faces to be drawn."""

import bz2
import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from framework.config import DataConfig
from framework.data.sources.mnist import PIXELS, read_digits
from framework.data.sources.tar_members import Member, tar_members
from framework.data.sources.xz import XzReader
from framework.data.sources.zip_members import Entry, is_zip, read_member, zip_members
from framework.data.synthetic_faces.labels import face_name
from framework.errors import DataError, reason_of
from framework.files import FULL, PIECE_BYTES, check_regular, open_regular, read_file, refuse_size, user_path

DRAWN_FACES = 10_000  # number of drawn faces without data.limit
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": XzReader}
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
_NOT_IMAGES = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Listing:
    """The items of a source.

    Attributes:
        kind: folder, tar, zip, mnist or drawn_faces.
        path: The path for `Reader`.
        items: Pairs of the name within the source and the item for `Reader`, listed lazily. If a name occurs twice, its
            last item counts.
        left_out: Reason -> number of files or folders that are not taken; filled while the items are listed.
    """

    kind: str
    path: str
    items: Iterator[tuple[str, Any]]
    left_out: Counter[str] = field(default_factory=Counter)


def locate(config: DataConfig) -> Path | None:
    """The source's absolute path; None for drawn faces.

    Raises:
        DataError: `data.path` is missing or does not exist.
    """
    if config.source == "drawn_faces":
        return None
    if not config.path:
        if config.source == "mnist":
            raise DataError(
                "data.path: data.source mnist needs the folder of the four IDX files, as in data.path=~/mnist"
            )
        raise DataError(
            f"data.path: data.source {config.source} needs a folder, .tar, .tar.gz or .zip, as in data.path=~/images"
        )
    try:
        path = user_path(config.path).absolute()
        check_regular(path)
    except OSError as fault:
        raise DataError(f"data.path: {config.path} cannot be read ({fault.strerror})") from None
    if not path.exists():
        raise DataError(f"data.path: {config.path} does not exist")
    return path


def source_name(config: DataConfig) -> str:
    """The name of the source for people: the last part of its path."""
    path = locate(config)
    return "drawn_faces" if path is None else path.name


def fingerprint(config: DataConfig) -> str:
    """sha256 of a source's paths, sizes and modification times; when it changes, the source is packed again."""
    path = locate(config)
    if path is None:
        return "drawn_faces"
    lines = [f"{path}", _stat_line(path)]
    if path.is_dir():
        lines += [f"{name} {_stat_line(path / name)}" for name in _folder_names(path)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def list_source(config: DataConfig, *, unpack_to: Path | None) -> Listing:
    """Lists the items of a source without hidden files, always in the same order.

    Args:
        unpack_to: Folder for an unpacked tar file or MNIST's digits, which several workers can then read at once; None
            if the items are only counted.

    Raises:
        DataError: The source is missing, empty, damaged or of an unknown kind; partly raised during iteration.
    """
    path = locate(config)
    if path is None:
        count = config.limit or DRAWN_FACES
        return Listing("drawn_faces", "", ((face_name(index), index) for index in range(count)))
    if config.source == "mnist":
        return _mnist_listing(config, path, unpack_to)
    if path.is_dir():
        names = sorted(_limited(config, _folder_names(path)))
        kind, place, items = "folder", path, ((name, name) for name in names)
    elif _is_zip(path):
        kind, place, items = "zip", path, _zip_items(path)
    elif _opener(path) and unpack_to is not None:
        place = unpack_to / "source.tar"
        kind, items = "tar", _unpacked_items(path, place, most_bytes=config.largest_file_bytes)
    else:
        kind, place, items = "tar", path, _tar_items(path)
    return Listing(kind, str(place), _limited(config, _checked(path, items)))


def read_named(config: DataConfig, name: str, *, most_bytes: int) -> tuple[str, bytes] | None:
    """The name and content of a file of a source, by its name or by the end of its path if only one file has that.

    Args:
        most_bytes: A larger file is refused.

    Returns:
        None if there is no such file, or there are several.

    Raises:
        DataError: The source cannot be listed, or the file in it cannot be read.
    """
    path = locate(config)
    if path is None or config.source == "mnist":
        return None
    end = f"/{name.replace(os.sep, '/').removeprefix('./')}"
    found = [item for item in list_source(config, unpack_to=None).items if f"/{_slashed(item[0])}".endswith(end)]
    found = [item for item in found if f"/{_slashed(item[0])}" == end] or found
    if len(found) != 1:
        return None
    member, item = found[0]
    try:
        if path.is_dir():
            return member, read_file(path / member, most_bytes=most_bytes)
        with _opened(path) as file:
            size = item.size if isinstance(item, Entry) else item[1]
            refuse_size(size, most_bytes, member)
            if isinstance(item, Entry):
                return member, read_member(file, item)
            file.seek(item[0])
            return member, file.read(size)
    except (*_DAMAGED, RuntimeError, ValueError) as fault:
        raise DataError(f"data.labels: {member} in {path} cannot be read ({reason_of(fault)})") from None


def _slashed(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _mnist_listing(config: DataConfig, path: Path, unpack_to: Path | None) -> Listing:
    """The digits of both splits, written to one file."""
    if not path.is_dir():
        raise DataError(f"data.path: {path} is not a folder; mnist needs the folder of the four IDX files")
    target = Path(os.devnull) if unpack_to is None else unpack_to / "source.idx"
    with target.open("wb") as pixels:
        splits = read_digits(path, pixels, most_images=config.most_files)
    names = (name for split in splits for name in split.names())
    return Listing("mnist", str(target), ((name, (k * PIXELS, PIXELS)) for k, name in enumerate(names)))


def _limited(config: DataConfig, items: Iterator[Any]) -> Iterator[Any]:
    """The same items; raises `DataError` if there are more than `data.most_files`."""
    for number, item in enumerate(items, start=1):
        if number > config.most_files:
            raise DataError(f"data.most_files: {config.path} has more than {config.most_files:,} files; raise the key")
        yield item


def _checked(path: Path, items: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yields the items without hidden ones; raises `DataError` if there are none or the archive is damaged."""
    empty = True
    try:
        for item in items:
            if _is_visible(item[0]):
                yield item
                empty = False
    except tarfile.ReadError as fault:
        damaged = _named_as_archive(path) or not empty
        kind = "is damaged" if damaged else "is neither a folder nor a .tar, .tar.gz or .zip"
        raise DataError(f"data.path: {path} {kind} ({reason_of(fault)})") from None
    except _DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno in FULL:  # the cache, into which the archive is unpacked
            raise
        raise DataError(f"data.path: {path} is damaged ({reason_of(fault)}); copy it again") from None
    if empty:
        raise DataError(f"data.path: {path} contains no files; it should be a folder or archive of images")


def _named_as_archive(path: Path) -> bool:
    """Whether the file's suffix is that of an archive."""
    return any(step in {".tar", ".tgz", ".gz", ".bz2", ".xz", ".zip"} for step in path.suffixes)


def _folder_names(path: Path) -> Iterator[str]:
    def refuse(fault: OSError) -> None:
        raise DataError(f"data.path: {fault.filename} cannot be read ({fault.strerror})")

    start = len(str(path).rstrip(os.sep)) + 1
    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if _is_visible(name)]
        yield from (f"{folder}{os.sep}{file}"[start:] for file in files if _is_visible(file))


def _is_zip(path: Path) -> bool:
    with open_regular(path) as file:
        return is_zip(file)


def _zip_items(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    with open_regular(path) as file:
        for entry in zip_members(file):
            yield entry.name, entry


def _tar_items(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    with _opened(path) as file:
        for name, member in _linked(tar_members(file)):
            yield name, (member.offset, member.size)


def _unpacked_items(path: Path, target: Path, *, most_bytes: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Unpacks a compressed tar file, which does not allow random access, without members above `most_bytes`."""
    places: dict[int, int] = {}  # offset in the archive -> offset in the target
    with _opened(path) as file, target.open("wb") as unpacked:
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
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A tar file, unpacked while it is read."""
    opener = _opener(path)
    with open_regular(path) as file, opener(file) if opener else nullcontext(file) as content:
        yield content


def _opener(path: Path) -> Any:
    with open_regular(path) as file:
        start = file.read(6)
    return next((opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None)


def _is_visible(name: str) -> bool:
    steps = name.replace("\\", "/").split("/")
    hidden = any(step.startswith(".") and step not in {".", ".."} for step in steps)
    return not hidden and "__MACOSX" not in steps and steps[-1] not in _NOT_IMAGES


def _stat_line(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:  # a broken link, which is rejected when it is read
        return "missing"
    # A folder's own time also changes with files that are not read, such as hidden ones.
    return "folder" if path.is_dir() else f"{status.st_size} {status.st_mtime_ns}"
