"""What a source holds, without opening a single image: folder, tar or zip file, MNIST, or faces to be drawn."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.config import DataConfig
from framework.data.sources.mnist import PIXELS, read_digits
from framework.data.synthetic_faces.labels import face_name
from framework.errors import DataError

DRAWN_FACES = 10_000  # where data.limit does not say
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
_NOT_IMAGES = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Listing:
    """A source's items.

    Args:
        kind: folder, tar, zip, mnist or drawn_faces.
        path: What a `Reader` opens.
        items: (name within the source, what a `Reader` takes), listed while they are iterated; a name that comes
            twice means its last item.
    """

    kind: str
    path: str
    items: Iterator[tuple[str, Any]]


def locate(config: DataConfig) -> Path | None:
    """The source's absolute path; None for drawn faces.

    Raises:
        DataError: No path is given, or nothing is there.
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
    path = Path(config.path).expanduser().absolute()
    if not path.exists():
        raise DataError(f"data.path: {config.path} does not exist")
    return path


def source_name(config: DataConfig) -> str:
    """The source for people: its last step, no path."""
    path = locate(config)
    return "drawn_faces" if path is None else path.name


def fingerprint(config: DataConfig) -> str:
    """What is cheaply seen of a source: paths, sizes, times of change. Another one means: prepare anew."""
    path = locate(config)
    if path is None:
        return "drawn_faces"
    seen = [f"{path}", _stat_line(path)]
    if path.is_dir():
        seen += [f"{name} {_stat_line(path / name)}" for name in _folder_names(path)]
    return hashlib.sha256("\n".join(seen).encode("utf-8", "surrogatepass")).hexdigest()


def list_source(config: DataConfig, *, unpack_to: Path | None) -> Listing:
    """A source's items, hidden files left out; the same source gives the same order.

    Args:
        config: Where the source lies.
        unpack_to: A folder for the tar file within a compressed one, or for MNIST's digits, so that workers can read
            it side by side; None for counting only.

    Raises:
        DataError: It is missing, empty, damaged or none of the known kinds; some of it only while iterating.
    """
    path = locate(config)
    if path is None:
        count = config.limit or DRAWN_FACES
        return Listing("drawn_faces", "", ((face_name(index), index) for index in range(count)))
    if config.source == "mnist":
        return _mnist_listing(path, unpack_to)
    if path.is_dir():
        names = sorted(_folder_names(path))
        return Listing("folder", str(path), _checked(path, ((name, name) for name in names)))
    if zipfile.is_zipfile(path):
        return Listing("zip", str(path), _checked(path, _zip_items(path)))
    if _opener(path) and unpack_to is not None:
        unpacked = unpack_to / "source.tar"
        return Listing("tar", str(unpacked), _checked(path, _unpacked_items(path, unpacked)))
    return Listing("tar", str(path), _checked(path, _tar_items(path)))


def _mnist_listing(path: Path, unpack_to: Path | None) -> Listing:
    """The digits of both splits, one after the other in one file."""
    if not path.is_dir():
        raise DataError(f"data.path: {path} is no folder; mnist wants that of the four IDX files")
    splits = read_digits(path)
    target = path if unpack_to is None else unpack_to / "source.idx"
    if unpack_to is not None:
        target.write_bytes(b"".join(split.pixels for split in splits))
    names = (name for split in splits for name in split.names())
    return Listing("mnist", str(target), ((name, (k * PIXELS, PIXELS)) for k, name in enumerate(names)))


def _checked(path: Path, items: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The same items; none at all and all that archives raise become a DataError."""
    empty = True
    try:
        for item in items:
            if _wanted(item[0]):
                yield item
                empty = False
    except tarfile.ReadError as fault:
        damaged = _named_as_archive(path) or not empty
        kind = "is damaged" if damaged else "is neither a folder nor a .tar, .tar.gz or .zip"
        raise DataError(f"data.path: {path} {kind} ({fault})") from None
    except _DAMAGED as fault:
        raise DataError(f"data.path: {path} is damaged ({str(fault) or type(fault).__name__}); copy it anew") from None
    if empty:
        raise DataError(f"data.path: {path} holds no files; it should be a folder or archive of images")


def _named_as_archive(path: Path) -> bool:
    """Whether a name says that it is an archive."""
    return any(step in {".tar", ".tgz", ".gz", ".bz2", ".xz", ".zip"} for step in path.suffixes)


def _folder_names(path: Path) -> Iterator[str]:
    def refuse(fault: OSError) -> None:
        raise DataError(f"data.path: {fault.filename} cannot be read ({fault.strerror})")

    start = len(str(path).rstrip(os.sep)) + 1
    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if _wanted(name)]
        yield from (f"{folder}{os.sep}{file}"[start:] for file in files if _wanted(file))


def _zip_items(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, member.filename


def _tar_items(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    places: dict[str, tuple[int, int]] = {}
    with (_opener(path) or open)(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if member.isreg() and not member.issparse():
                places[member.name] = member.offset_data, member.size
            elif member.islnk() and member.linkname in places:
                places[member.name] = places[member.linkname]
            else:
                continue
            yield member.name, places[member.name]
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError(f"unexpected end of data at byte {archive.offset:,}")


def _unpacked_items(path: Path, target: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Of the tar file within a compressed one, which allows no reading here and there."""
    with _opener(path)(path, "rb") as source, target.open("wb") as unpacked:
        shutil.copyfileobj(source, unpacked, 1 << 20)
    yield from _tar_items(target)


def _opener(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(6)
    return next((opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None)


def _wanted(name: str) -> bool:
    steps = name.replace("\\", "/").split("/")
    hidden = any(step.startswith(".") and step not in {".", ".."} for step in steps)
    return not hidden and "__MACOSX" not in steps and steps[-1] not in _NOT_IMAGES


def _stat_line(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere: rejected when it is read
        return "missing"
    # a folder's own time changes with files that we do not read, such as hidden ones
    return "folder" if path.is_dir() else f"{found.st_size} {found.st_mtime_ns}"
