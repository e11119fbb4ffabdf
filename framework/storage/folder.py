"""What every folder can do, wherever it lies."""

import json
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from framework.errors import StorageError

if TYPE_CHECKING:
    from pyarrow import fs

# Whatever is being written bears this name first; `list` and `files` never show it.
TEMPORARY = ".tmp-"

# The method `list` hides the type of that name within the class.
Names = list[str]


def is_uri(location: str) -> bool:
    """Whether a location names its scheme.

    >>> is_uri("s3://bucket/runs"), is_uri("./runs"), is_uri("~/a:b")
    (True, False, False)
    """
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", location) is not None


class Folder(ABC):
    """A place for files, told by its `location`: an absolute path, or the URI.

    Names are relative and may contain "/". Writing a file is atomic: it is there whole or not at all.
    """

    location: str
    is_local: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """The last step of the location."""

    @property
    @abstractmethod
    def parent(self) -> "Folder":
        """The folder that holds this one."""

    @abstractmethod
    def arrow(self) -> "tuple[fs.FileSystem, str]":
        """What pyarrow calls this folder, for libraries that want it so: a file system and a path in it."""

    @abstractmethod
    def __truediv__(self, name: str) -> "Folder":
        """The folder `name` within this one."""

    @abstractmethod
    def exists(self, name: str = "") -> bool:
        """Whether there is such a file or folder."""

    @abstractmethod
    def read_bytes(self, name: str) -> bytes:
        """A file's content; StorageError where it is missing or cannot be read."""

    @abstractmethod
    def write_bytes(self, name: str, data: bytes) -> None:
        """Put a whole file there at once, with the folders above it."""

    @abstractmethod
    def append_text(self, name: str, text: str) -> None:
        """Add to a file's end; for one writer (remotely the file is written anew)."""

    @abstractmethod
    def list(self) -> Names:
        """Sorted names of what lies directly in it; empty where the folder is not there."""

    @abstractmethod
    def files(self) -> Names:
        """Sorted relative paths of all files below it."""

    @abstractmethod
    def delete(self, name: str = "") -> None:
        """Remove a file or a tree; nothing happens where there is none."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed writers left half-written directly in it. Only for its one writer."""

    @abstractmethod
    def local_copy(self) -> Path:
        """Itself where it is local, else a copy that lives as long as this process (only changes are fetched)."""

    @abstractmethod
    def staged(self, *, last: str | None = None) -> AbstractContextManager[Path]:
        """An empty local folder to fill; when the block ends well, this folder is what was put there.

        Locally all of it appears by one rename. Remotely the files are sent one by one, the one called `last`
        at the end, so that it says that the others are there. A block that raises changes nothing.
        """

    @abstractmethod
    def upload(self, source: Path, *, last: str | None = None) -> None:
        """Make this folder a copy of a local one, as `staged` does."""

    def read_text(self, name: str) -> str:
        """A file's content as UTF-8."""
        data = self.read_bytes(name)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise StorageError(f"{self._place(name)}: is no UTF-8 text ({fault})") from None

    def read_json(self, name: str) -> Any:
        """A JSON file's content."""
        text = self.read_text(name)
        try:
            return json.loads(text)
        except ValueError as fault:
            raise StorageError(f"{self._place(name)}: is no JSON ({fault})") from None

    def write_text(self, name: str, text: str) -> None:
        """As write_bytes, in UTF-8."""
        self.write_bytes(name, text.encode("utf-8"))

    def write_json(self, name: str, value: Any) -> None:
        """As write_text; NaN is refused, since it is no JSON."""
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
    """A relative name that stays within its folder.

    Raises:
        StorageError: It is empty, absolute, or leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise StorageError(f"{name!r}: wants a relative name without '..'")
    return str(path)


def temporary_name(name: str) -> str:
    """A name beside `name` that nobody else has."""
    return f"{TEMPORARY}{name}-{secrets.token_hex(4)}"


@contextmanager
def told(location: str, action: str, *faults: type[Exception]) -> Iterator[None]:
    """Turn the storage's own exceptions into one line that names the location."""
    try:
        yield
    except (OSError, *faults) as fault:
        reason = getattr(fault, "strerror", None) or str(fault).strip().split("\n", 1)[0] or type(fault).__name__
        raise StorageError(f"{location}: cannot be {action} ({reason[:300]})") from None
