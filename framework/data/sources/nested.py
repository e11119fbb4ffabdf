"""Archives among the files of a folder or an archive: the files in them take their place."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from framework.data.sources.archives import (
    DAMAGED,
    DAMAGED_MEMBER,
    Found,
    archive_fault,
    is_full,
    named_as_archive,
    tar_files,
    unpacker_of,
    zip_files,
)
from framework.data.sources.beside import Beside, is_beside_name
from framework.data.sources.clutter import clutter
from framework.data.sources.kinds import HEAD_BYTES
from framework.data.sources.parquet import parquet_items
from framework.data.sources.photographs import rejected_name
from framework.data.sources.spool import Spool
from framework.data.sources.stacks import stack_items
from framework.data.sources.zip_members import Entry, is_zip, obstacle
from framework.errors import DataError, reason_of
from framework.files import open_regular

_TABLES = (".npy", ".npz", ".parquet")
_MOST_HELD = 100_000
_MOST_BESIDE_BYTES = 1 << 16
_NO_IMAGES = frozenset(
    [
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".rst", ".pdf", ".html", ".yaml", ".yml", ".cls"),
        *(".py", ".m", ".mat", ".pts", ".npy", ".npz", ".h5", ".pth", ".pkl", ".docx", ".xlsx", ".wav", ".mp3", ".mp4"),
    ]
)
Item = tuple[str, Any]


@dataclass
class Nested:
    """Lists the files of a source with those of the archives among them, which may hold archives once more.

    An item is, besides those of `Reader` for a folder, tar or zip file: {"zip" or "tar": the name of an archive in the
    folder, "item": an item of it}, {"unpacked": [offset, size] in the spool}, {"rejected": the reason}, or what
    `stack_items` describes.

    Attributes:
        path: The folder or archive.
        spool: Gets what cannot be read where it is.
        left_out: Counts what is left out.
        flat: Whether to list as earlier versions did: archives among the files stay files, and so do labels.
        beside: Gets the labels that lie beside images.
    """

    path: Path
    spool: Spool
    left_out: Counter[str]
    flat: bool = False
    beside: Beside = field(default_factory=Beside)

    def of_folder(self, names: list[str]) -> Iterator[Item]:
        """The items of a folder with these files."""
        for name in names:
            if self.flat:
                yield name, name
            elif named_as_archive(name):
                yield from self._with_images(self._of_file(name))
            elif name.lower().endswith(_TABLES):
                yield from self._of_table(name)
            else:
                yield name, rejected_name(name) or name

    def of_zip(self, file: BinaryIO) -> Iterator[Item]:
        """The items of a zip file."""
        for found in zip_files(file, str(self.path)):
            yield from self._of_found(found, "", lambda found: found.item)

    def of_tar(self, file: BinaryIO) -> Iterator[Item]:
        """The items of a tar file; if it is compressed and unpacked, they are those of the spool."""
        unpacks = self.spool.path is not None and unpacker_of(file) is not None
        yield from self._of_tar(file, "", _Unpacking(self.spool) if unpacks else lambda found: found.item)

    def of_stack(self, file: BinaryIO) -> Iterator[Item]:
        """The items of a source that is a file of stacks."""
        yield from stack_items(file, str(self.path), "", "", self.spool, self.beside.labels)

    def of_parquet(self, file: BinaryIO) -> Iterator[Item]:
        """The items of a source that is a Parquet file."""
        yield from parquet_items(file, str(self.path), "", self.spool, self.left_out, self.beside.labels)

    def _of_table(self, name: str) -> Iterator[Item]:
        """The items of a file of stacks or a Parquet file in a folder; if it holds no pictures, it is left out."""
        where, empty = f"{self.path}/{name}", True
        try:
            opened = open_regular(self.path / name)
        except OSError:
            yield name, name
            return
        with opened as file:
            if name.lower().endswith(".parquet"):
                items = parquet_items(file, where, f"{name}/", self.spool, self.left_out, self.beside.labels)
            else:
                items = stack_items(file, where, f"{name}/", name, self.spool, self.beside.labels)
            for item in items:
                yield item
                empty = False
        if empty:
            self.left_out["table or array without pictures"] += 1

    def _of_file(self, name: str) -> Iterator[Item]:
        """The items of an archive in a folder."""
        try:
            opened = open_regular(self.path / name)
        except OSError:  # a broken link, say, which is rejected by name when it is read
            yield name, name
            return
        with opened as file, _Faults(f"{self.path}/{name}", file):
            if is_zip(file):
                for found in zip_files(file, f"{self.path}/{name}"):
                    yield from self._of_found(found, f"{name}/", lambda found: {"zip": name, "item": found.item})
            elif unpacker_of(file):
                yield from self._of_tar(file, f"{name}/", _Unpacking(self.spool, wrapped=True))
            else:
                yield from self._of_tar(file, f"{name}/", lambda found: {"tar": name, "item": found.item})

    def _of_tar(self, file: BinaryIO, prefix: str, to_item: Callable[[Found], Any]) -> Iterator[Item]:
        if self.flat:
            yield from ((found.name, to_item(found)) for found in tar_files(file))
            return

        def with_text() -> Iterator[tuple[str, Any, bytes | None]]:
            for found in tar_files(file):
                small = found.pieces is not None and found.size <= _MOST_BESIDE_BYTES
                if small and found.pieces is not None and is_beside_name(found.name):
                    text = b"".join(found.pieces())
                    yield prefix + found.name, to_item(_again(found, text)), text
                else:
                    yield from ((*item, None) for item in self._of_found(found, prefix, to_item))

        yield from self.beside.without(with_text(), self.left_out)

    def _of_found(self, found: Found, prefix: str, to_item: Callable[[Found], Any]) -> Iterator[Item]:
        """A file of an archive, or the files of an archive in an archive."""
        name = prefix + found.name
        # macOS puts __MACOSX/._part1.zip beside part1.zip, which is no archive.
        opened = found.pieces is not None and named_as_archive(name) and clutter(name, rules=2) is None
        if self.flat or not opened or found.pieces is None:
            yield name, self._rejected(name) or to_item(found)
            return
        where = f"{self.path}/{name}"
        with tempfile.TemporaryFile(dir=self.spool.path and self.spool.path.parent) as copy:
            try:
                for piece in found.pieces():
                    copy.write(piece)
            except DAMAGED_MEMBER as fault:
                raise (
                    self._full(where, fault) if is_full(fault) else archive_fault(where, fault, b"", named=True)
                ) from None
            copy.seek(0)
            yield from self._with_images(self._of_copy(copy, where, f"{name}/"))

    def _of_copy(self, copy: BinaryIO, where: str, prefix: str) -> Iterator[Item]:
        """The items of an archive in an archive; further archives in it stay files."""
        unpack = _Unpacking(self.spool, wrapped=True)
        with _Faults(where, copy):
            for found in zip_files(copy, where) if is_zip(copy) else tar_files(copy):
                name = prefix + found.name
                yield name, self._rejected(name) or unpack(found)

    def _rejected(self, name: str) -> dict[str, str] | None:
        return None if self.flat else rejected_name(name)

    def _full(self, where: str, fault: BaseException) -> BaseException:
        if self.spool.path is not None:
            return fault
        return DataError(f"data.path: {where} cannot be unpacked to {tempfile.gettempdir()} ({reason_of(fault)})")

    def _with_images(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items of an archive among others, or none if it holds no images, as an archive of notes does."""
        held: list[Item] = []
        for item in items:
            held.append(item)
            if Path(item[0]).suffix.lower() not in _NO_IMAGES or len(held) > _MOST_HELD:
                yield from held
                yield from items
                return
        self.left_out["archive without images"] += 1


@dataclass
class _Unpacking:
    """Unpacks files to the spool, the content of hard links once."""

    spool: Spool
    wrapped: bool = False
    _places: dict[Any, tuple[int, int]] = field(default_factory=dict)

    def __call__(self, found: Found) -> Any:
        key = None if isinstance(found.item, Entry) else found.item
        if key is None or key not in self._places:
            assert found.pieces is not None
            if isinstance(found.item, Entry) and (reason := obstacle(found.item)) is not None:
                return {"rejected": f"{reason} (in the archive)"}
            try:
                place = self.spool.add(found.pieces(), found.size)
            except DAMAGED_MEMBER as fault:
                if key is not None or is_full(fault):  # a tar file ends here; of a zip file others can be read
                    raise
                return {"rejected": f"damaged in the archive: {reason_of(fault)}"}
            self._places[key] = place
        place = self._places[key]
        return {"unpacked": place} if self.wrapped else place


class _Faults:
    """Turns the faults of an archive into an error that names it."""

    def __init__(self, where: str, file: BinaryIO) -> None:
        self._where, self._file = where, file

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if isinstance(fault, DAMAGED) and not is_full(fault):
            self._file.seek(0)
            raise archive_fault(self._where, fault, self._file.read(HEAD_BYTES), named=True) from None


def _again(found: Found, content: bytes) -> Found:
    return Found(found.name, found.item, found.size, lambda: iter((content,)))
