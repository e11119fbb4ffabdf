"""Lists the items of a source without opening images: a folder, tar or zip file, MNIST, or faces to be drawn."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.config import DataConfig
from framework.data.sources.archives import (
    DAMAGED,
    archive_fault,
    has_archive_suffix,
    is_full,
    unpacker_of,
)
from framework.data.sources.clutter import clutter
from framework.data.sources.folders import folder_names, stat_line
from framework.data.sources.kinds import HEAD_BYTES
from framework.data.sources.mnist import PIXELS, read_digits
from framework.data.sources.nested import Nested
from framework.data.sources.parquet import MAGIC as PARQUET
from framework.data.sources.spool import Spool
from framework.data.sources.stacks import is_stack
from framework.data.sources.zip_members import Entry, is_zip, read_member
from framework.data.synthetic_faces.labels import face_name
from framework.errors import DataError, reason_of
from framework.files import check_regular, open_regular, read_file, refuse_size, user_path

_LMDB = frozenset(["data.mdb", "lock.mdb"])
DRAWN_FACES = 10_000  # number of drawn faces without data.limit


@dataclass(frozen=True)
class Listing:
    """The items of a source.

    Attributes:
        kind: folder, tar, zip, stack, parquet, mnist or drawn_faces.
        path: The path for `Reader`.
        items: Pairs of the name within the source and the item for `Reader`, listed lazily. If a name occurs twice, its
            last item counts.
        left_out: Reason -> number of files and folders that are never images; filled while the items are iterated.
        beside: Name of an item -> its labels that lie beside it, as text; filled while the items are iterated.
        unpacked: The file for `Reader` with what was unpacked, which exists from the first item on; empty if none is.
    """

    kind: str
    path: str
    items: Iterator[tuple[str, Any]]
    left_out: Counter[str] = field(default_factory=Counter)
    beside: dict[str, dict[str, str]] = field(default_factory=dict)
    unpacked: str = ""


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
    lines = [f"{path}", stat_line(path)]
    if path.is_dir():
        names = folder_names(path, rules=config.packing_rules, left_out=Counter())
        lines += [f"{name} {stat_line(path / name)}" for name in names]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def list_source(config: DataConfig, *, unpack_to: Path | None) -> Listing:
    """Lists the items of a source without what is never an image, always in the same order.

    Args:
        unpack_to: Folder for MNIST's digits and for what is unpacked, which several workers can then read at once; None
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
    kind = "folder" if path.is_dir() else _kind(path, config.packing_rules)
    spool = Spool(unpack_to, most_bytes=config.largest_file_bytes)
    nested = Nested(path, spool, Counter(), flat=config.packing_rules == 1)
    unpacked = "" if spool.path is None else str(spool.path)
    place = unpacked if kind == "tar" and unpacked and _is_compressed(path) else str(path)
    items = _limited(config, _checked(config, path, _items(config, nested, kind), nested.left_out))
    return Listing(kind, place, items, nested.left_out, nested.beside.labels, unpacked)


def _items(config: DataConfig, nested: Nested, kind: str) -> Iterator[tuple[str, Any]]:
    path = nested.path
    with nested.spool:
        if kind == "folder":
            names = folder_names(path, rules=config.packing_rules, left_out=nested.left_out)
            listed = sorted(_limited(config, names))
            if "data.mdb" in listed and _LMDB.issuperset(listed):
                raise DataError(f"data.path: {path} is an LMDB database (as LSUN's); write its images into a folder")
            yield from nested.of_folder(listed)
            return
        with open_regular(path) as file:
            of_kind = {
                "zip": nested.of_zip,
                "tar": nested.of_tar,
                "stack": nested.of_stack,
                "parquet": nested.of_parquet,
            }
            yield from of_kind[kind](file)


def _kind(path: Path, rules: int) -> str:
    """The kind of a file by its content; what is nothing known is read as a tar file."""
    with open_regular(path) as file:
        if rules > 1 and file.read(len(PARQUET)) == PARQUET:
            return "parquet"
        if rules > 1 and is_stack(file):
            return "stack"
        return "zip" if is_zip(file) else "tar"


def _is_compressed(path: Path) -> bool:
    with open_regular(path) as file:
        return unpacker_of(file) is not None


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
        return member, _read_item(path, member, item, most_bytes)
    except (*DAMAGED, RuntimeError, ValueError) as fault:
        raise DataError(f"data.labels: {member} in {path} cannot be read ({reason_of(fault)})") from None


def _read_item(path: Path, member: str, item: Any, most_bytes: int) -> bytes:
    if path.is_dir():
        if not isinstance(item, dict):
            return read_file(path / member, most_bytes=most_bytes)
        path = path / item.get("zip", item.get("tar", ""))
        item = item.get("item")
    if item is None or isinstance(item, dict):
        raise ValueError("it lies in an archive that is compressed or within another one; unpack that")
    size = item.size if isinstance(item, Entry) else item[1]
    refuse_size(size, most_bytes, member)
    with open_regular(path) as file:
        if isinstance(item, Entry):
            return read_member(file, item)
        unpacker = unpacker_of(file)
        with unpacker(file) if unpacker else nullcontext(file) as content:
            content.seek(item[0])
            return content.read(size)


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


def _checked(
    config: DataConfig, path: Path, items: Iterator[tuple[str, Any]], left_out: Counter[str]
) -> Iterator[tuple[str, Any]]:
    """Yields the items without clutter; raises `DataError` if there are none or the archive is damaged."""
    empty = True
    try:
        for item in items:
            if (reason := clutter(item[0], rules=config.packing_rules)) is not None:
                left_out[reason] += 1
                continue
            yield item
            empty = False
    except DAMAGED as fault:
        if is_full(fault):  # the cache, into which the archive is unpacked
            raise
        if path.is_dir():
            raise DataError(f"data.path: {path} cannot be read ({reason_of(fault)})") from None
        with open_regular(path) as file:
            start = file.read(HEAD_BYTES) if empty else b""
        raise archive_fault(str(path), fault, start, named=has_archive_suffix(path) or not empty) from None
    if empty:
        others = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common(4))
        others = f" but what is never an image ({others})" if others else ""
        raise DataError(f"data.path: {path} contains no files{others}; it should be a folder or archive of images")
