"""What a source holds, without opening a single image: a folder, a tar or zip file, or faces to be drawn."""

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
from pathlib import Path, PurePosixPath
from typing import Any

from framework.config import DataConfig
from framework.data.faces.labels import face_name
from framework.errors import DataError

DRAWN_FACES = 10_000  # where data.limit does not say
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
_NOT_IMAGES = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Listing:
    """A source's items.

    Args:
        kind: folder, tar, zip or drawn_faces.
        path: What a `Reader` opens.
        items: Name within the source -> what a `Reader` takes; by name.
    """

    kind: str
    path: str
    items: dict[str, Any]


def locate(config: DataConfig) -> Path | None:
    """The source's absolute path; None for drawn faces.

    Raises:
        DataError: No path is given, or nothing is there.
    """
    if config.source == "drawn_faces":
        return None
    if not config.path:
        raise DataError(
            f"data.path: data.source {config.source} needs a folder, .tar, .tar.gz or .zip, as in data.path=~/images"
        )
    path = Path(config.path).expanduser().absolute()
    if not path.exists():
        raise DataError(f"data.path: {config.path} does not exist")
    return path


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
    """A source's items, hidden files left out.

    Args:
        config: Where the source lies.
        unpack_to: A folder for the tar file within a compressed one, so that workers can read it side by side; None
            only counts: its items cannot be read.

    Raises:
        DataError: It is missing, empty, damaged or none of the known kinds.
    """
    path = locate(config)
    if path is None:
        count = config.limit or DRAWN_FACES
        return Listing("drawn_faces", "", {face_name(index): index for index in range(count)})
    listing = _listed(path, unpack_to)
    if not listing.items:
        raise DataError(f"data.path: {config.path} holds no files; it should be a folder or archive of images")
    return listing


def _listed(path: Path, unpack_to: Path | None) -> Listing:
    if path.is_dir():
        return Listing("folder", str(path), {name: name for name in sorted(_folder_names(path))})
    try:
        if zipfile.is_zipfile(path):
            return Listing("zip", str(path), dict(sorted(_zip_items(path))))
        if _opener(path) and unpack_to is not None:
            path = _unpacked(path, unpack_to)
        return Listing("tar", str(path), dict(sorted(_tar_items(path))))
    except tarfile.ReadError as fault:
        looks_right = _named_as_archive(path) or "unexpected end" in str(fault)
        kind = "is damaged" if looks_right else "is neither a folder nor a .tar, .tar.gz or .zip"
        raise DataError(f"data.path: {path} {kind} ({fault})") from None
    except _DAMAGED as fault:
        raise DataError(f"data.path: {path} is damaged ({str(fault) or type(fault).__name__}); copy it anew") from None


def _named_as_archive(path: Path) -> bool:
    """Whether a name says that it is an archive."""
    return any(step in {".tar", ".tgz", ".gz", ".bz2", ".xz", ".zip"} for step in path.suffixes)


def _folder_names(path: Path) -> Iterator[str]:
    def refuse(fault: OSError) -> None:
        raise DataError(f"data.path: {fault.filename} cannot be read ({fault.strerror})")

    for folder, _, files in os.walk(path, onerror=refuse):
        below = Path(folder).relative_to(path)
        for file in files:
            name = (below / file).as_posix()
            if _wanted(name):
                yield name


def _zip_items(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and _wanted(member.filename):
                yield member.filename, member.filename


def _tar_items(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    places: dict[str, tuple[int, int]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isreg() and not member.issparse():
                places[member.name] = member.offset_data, member.size
            elif member.islnk() and member.linkname in places:
                places[member.name] = places[member.linkname]
        if archive.fileobj is not None:
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a damaged header for the end
                raise tarfile.ReadError(f"unexpected end at byte {archive.offset:,}")
    yield from ((name, place) for name, place in places.items() if _wanted(name))


def _opener(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(6)
    return next((opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None)


def _unpacked(path: Path, folder: Path) -> Path:
    """The tar file within a compressed one, which allows no reading here and there."""
    target = folder / "source.tar"
    with _opener(path)(path, "rb") as source, target.open("wb") as unpacked:
        shutil.copyfileobj(source, unpacked, 1 << 20)
    return target


def _wanted(name: str) -> bool:
    steps = PurePosixPath(name).parts
    hidden = any(step.startswith(".") or step == "__MACOSX" for step in steps if step != ".")
    return bool(steps) and not hidden and steps[-1] not in _NOT_IMAGES


def _stat_line(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere: rejected when it is read
        return "missing"
    # a folder's own time changes with files that we do not read, such as hidden ones
    return "folder" if path.is_dir() else f"{found.st_size} {found.st_mtime_ns}"
