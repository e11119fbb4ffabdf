"""The interface of local and remote folders."""

import json
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from framework.errors import StorageError
from framework.files import MOST_DOCUMENT_BYTES, MOST_FILE_BYTES
from framework.storage.json_text import parse_json

if TYPE_CHECKING:
    from pyarrow import fs

# Prefix of files that are being written; `list` and `files` do not show them.
TEMPORARY = ".tmp-"

# Within the class, the method `list` hides the type of that name.
Names = list[str]


def is_uri(location: str) -> bool:
    """Whether a location starts with a scheme.

    >>> is_uri("s3://bucket/runs"), is_uri("./runs"), is_uri("~/a:b")
    (True, False, False)
    """
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", location) is not None


class Folder(ABC):
    """A folder for files, identified by its `location`: an absolute path or a URI.

    Names are relative and may contain "/". Writing a file is atomic: the file is complete or does not exist.
    """

    location: str
    is_local: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the location."""

    @property
    @abstractmethod
    def parent(self) -> "Folder":
        """The folder that contains this one."""

    @abstractmethod
    def arrow(self) -> "tuple[fs.FileSystem, str]":
        """This folder for libraries that use pyarrow: a file system and a path in it."""

    @abstractmethod
    def __truediv__(self, name: str) -> "Folder":
        """The folder `name` in this one."""

    @abstractmethod
    def exists(self, name: str = "") -> bool:
        """Whether the file or folder exists."""

    @abstractmethod
    def modified(self, name: str) -> float:
        """When a file was last written, in seconds since the epoch by the clock of the storage.

        Raises:
            StorageError: The file is missing or cannot be reached.
        """

    @abstractmethod
    def read_bytes(self, name: str, *, most_bytes: int = MOST_FILE_BYTES) -> bytes:
        """The content of a file.

        Raises:
            StorageError: The file is missing, is a pipe or device, has more than `most_bytes`, or cannot be read.
        """

    @abstractmethod
    def write_bytes(self, name: str, data: bytes) -> None:
        """Writes a file atomically, and creates missing folders."""

    def write_many(self, files: Mapping[str, bytes]) -> None:
        """Writes files, each atomically; name -> content."""
        for name, data in files.items():
            self.write_bytes(name, data)

    @abstractmethod
    def append_text(self, name: str, text: str) -> None:
        """Appends text to a file, for a single writer; a remote file is written again as a whole."""

    @abstractmethod
    def list(self) -> Names:
        """Sorted names of the files and folders directly in this folder; empty if it does not exist."""

    @abstractmethod
    def files(self) -> Names:
        """Sorted relative paths of all files in this folder and its subfolders."""

    @abstractmethod
    def delete(self, name: str = "") -> None:
        """Deletes a file or a folder with its content, if it exists."""

    @abstractmethod
    def sweep(self) -> None:
        """Deletes incomplete files of killed writers directly in this folder; call it only from its single writer."""

    @abstractmethod
    def local_copy(self) -> Path:
        """The path of this folder, or of a local copy that exists until the process ends; only changes are fetched."""

    @abstractmethod
    def staged(self, *, last: str | None = None) -> AbstractContextManager[Path]:
        """Yields an empty local folder, whose content replaces this folder when the block ends without an exception.

        A local folder is replaced by one rename. To a remote folder the files are sent one by one, the file `last` at
        the end, so that its presence shows that the others are complete.
        """

    @abstractmethod
    def upload(self, source: Path, *, last: str | None = None) -> None:
        """Replaces this folder by a copy of a local one, as `staged` does."""

    def read_text(self, name: str) -> str:
        """The content of a UTF-8 text file.

        Raises:
            StorageError: The file is missing, larger than 64 MiB, cannot be read, or is not UTF-8.
        """
        data = self.read_bytes(name, most_bytes=MOST_DOCUMENT_BYTES)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise StorageError(f"{self._place(name)}: is not UTF-8 text ({fault})") from None

    def read_json(self, name: str) -> Any:
        """The content of a JSON file.

        Raises:
            StorageError: The file is missing, cannot be read, or has a value that `parse_json` refuses.
        """
        return parse_json(self.read_text(name), place=self._place(name))

    def write_text(self, name: str, text: str) -> None:
        """Writes a UTF-8 text file atomically."""
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as fault:
            raise StorageError(f"{self._place(name)}: cannot be written ({fault})") from None
        self.write_bytes(name, data)

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file atomically; raises ValueError for NaN, which JSON does not have."""
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folder) and other.location == self.location

    def __hash__(self) -> int:
        return hash(self.location)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    def __str__(self) -> str:
        return self.location

    def _place(self, name: str) -> str:
        return (self / name).location if name else self.location


def checked(name: str) -> str:
    """Checks that a name is relative and stays within its folder.

    Raises:
        StorageError: The name is empty, absolute, or contains ".." or the character NUL.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise StorageError(f"{name!r}: must be a relative name without '..'")
    if "\0" in name:
        raise StorageError(f"{name!r}: a name cannot contain NUL")
    return str(path)


def temporary_name(name: str) -> str:
    """A unique temporary name for a file that will be renamed to `name`."""
    return f"{TEMPORARY}{name}-{secrets.token_hex(4)}"


@contextmanager
def storage_errors(location: str, action: str, *faults: type[Exception]) -> Iterator[None]:
    """Turns exceptions of the storage into a `StorageError` of one line with the location.

    Args:
        action: What cannot be done, as a participle: "read", "written".
        faults: Exceptions to convert, in addition to OSError.
    """
    try:
        yield
    except (OSError, *faults) as fault:
        reason = getattr(fault, "strerror", None) or str(fault).strip().split("\n", 1)[0] or type(fault).__name__
        raise StorageError(f"{location}: cannot be {action} ({reason[:300]})") from None
