"""Lists the items of a source without opening images: a folder, tar or zip file, MNIST, or faces to be drawn."""

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.config import DataConfig
from framework.data.sources.archives import (
    DAMAGED,
    is_zip_file,
    named_as_archive,
    opened,
    tar_items,
    unpacked_items,
    unpacker_of,
    zip_items,
)
from framework.data.sources.clutter import clutter
from framework.data.sources.folders import folder_names, stat_line
from framework.data.sources.mnist import PIXELS, read_digits
from framework.data.sources.zip_members import Entry, read_member
from framework.data.synthetic_faces.labels import face_name
from framework.errors import DataError, reason_of
from framework.files import FULL, check_regular, read_file, refuse_size, user_path

DRAWN_FACES = 10_000  # number of drawn faces without data.limit


@dataclass(frozen=True)
class Listing:
    """The items of a source.

    Attributes:
        kind: folder, tar, zip, mnist or drawn_faces.
        path: The path for `Reader`.
        items: Pairs of the name within the source and the item for `Reader`, listed lazily. If a name occurs twice, its
            last item counts.
        left_out: Reason -> number of files and folders that are never images; filled while the items are iterated.
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


def rules_of(config: DataConfig) -> int:
    """The rules by which a source is listed: 1 as earlier versions did, 2 as now."""
    return getattr(config, "rules", 2)


def fingerprint(config: DataConfig) -> str:
    """sha256 of a source's paths, sizes and modification times; when it changes, the source is packed again."""
    path = locate(config)
    if path is None:
        return "drawn_faces"
    lines = [f"{path}", stat_line(path)]
    if path.is_dir():
        names = folder_names(path, rules=rules_of(config), left_out=Counter())
        lines += [f"{name} {stat_line(path / name)}" for name in names]
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
    rules, left_out = rules_of(config), Counter[str]()
    if path.is_dir():
        names = sorted(_limited(config, folder_names(path, rules=rules, left_out=left_out)))
        kind, place, items = "folder", path, ((name, name) for name in names)
    elif is_zip_file(path):
        kind, place, items = "zip", path, zip_items(path)
    elif unpacker_of(path) and unpack_to is not None:
        place = unpack_to / "source.tar"
        kind, items = "tar", unpacked_items(path, place, most_bytes=config.largest_file_bytes)
    else:
        kind, place, items = "tar", path, tar_items(path)
    return Listing(kind, str(place), _limited(config, _checked(path, items, rules, left_out)), left_out)


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
        with opened(path) as file:
            size = item.size if isinstance(item, Entry) else item[1]
            refuse_size(size, most_bytes, member)
            if isinstance(item, Entry):
                return member, read_member(file, item)
            file.seek(item[0])
            return member, file.read(size)
    except (*DAMAGED, RuntimeError, ValueError) as fault:
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


def _checked(
    path: Path, items: Iterator[tuple[str, Any]], rules: int, left_out: Counter[str]
) -> Iterator[tuple[str, Any]]:
    """Yields the items without clutter; raises `DataError` if there are none or the archive is damaged."""
    empty = True
    try:
        for item in items:
            if (reason := clutter(item[0], rules=rules)) is not None:
                left_out[reason] += 1
                continue
            yield item
            empty = False
    except tarfile.ReadError as fault:
        damaged = named_as_archive(path) or not empty
        kind = "is damaged" if damaged else "is neither a folder nor a .tar, .tar.gz or .zip"
        raise DataError(f"data.path: {path} {kind} ({reason_of(fault)})") from None
    except DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno in FULL:  # the cache, into which the archive is unpacked
            raise
        raise DataError(f"data.path: {path} is damaged ({reason_of(fault)}); copy it again") from None
    if empty:
        others = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common(4))
        others = f" but what is never an image ({others})" if others else ""
        raise DataError(f"data.path: {path} contains no files{others}; it should be a folder or archive of images")
