"""A folder on this machine or on a shared mount."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from framework.errors import StorageError
from framework.files import MOST_FILE_BYTES, check_regular, read_file, user_path
from framework.storage.folder import TEMPORARY, Folder, Names, checked, storage_errors, temporary_name

if TYPE_CHECKING:
    from pyarrow import fs


class LocalFolder(Folder):
    """A folder at a path. A file is renamed to its name after its content has been written to the disk."""

    is_local = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.location = str(path)

    @classmethod
    def at(cls, location: str) -> "LocalFolder":
        """Opens a path or a `file://` URI; `~` is expanded, and symbolic links are not resolved."""
        with storage_errors(location, "used as a folder", ValueError):  # urlsplit raises it for file://[
            path = user_path(unquote(urlsplit(location).path) if location.startswith("file://") else location)
            return cls(Path(os.path.abspath(path)))  # noqa: PTH100 - resolve() would follow links

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.name

    @property
    def parent(self) -> "LocalFolder":
        """The folder that contains this one."""
        return LocalFolder(self._path.parent)

    def arrow(self) -> "tuple[fs.FileSystem, str]":
        """The local file system of pyarrow and the path."""
        from pyarrow import fs

        return fs.LocalFileSystem(), self.location

    def __truediv__(self, name: str) -> "LocalFolder":
        """The folder `name` in this one."""
        return LocalFolder(self._path / checked(name))

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder exists."""
        path = self._at(name)
        with storage_errors(str(path), "reached"):
            return path.exists()

    def modified(self, name: str) -> float:
        """When a file was last written; on a network mount by the clock of its server."""
        path = self._at(name)
        with storage_errors(str(path), "read"):
            return path.stat().st_mtime

    def read_bytes(self, name: str, *, most_bytes: int = MOST_FILE_BYTES) -> bytes:
        """The content of a regular file."""
        path = self._at(name)
        with storage_errors(str(path), "read"):
            return read_file(path, most_bytes=most_bytes)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Writes a temporary file, syncs it to the disk, and renames it."""
        path = self._at(name)
        temporary = path.with_name(temporary_name(path.name))
        with storage_errors(str(path), "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync(path.parent)

    def write_many(self, files: Mapping[str, bytes]) -> None:
        """Writes temporary files, syncs all of them at once, which is much faster than one by one, and renames them."""
        temporary: dict[Path, Path] = {}
        try:
            for name, data in files.items():
                path = self._at(name)
                with storage_errors(str(path), "written"):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    temporary[path] = path.with_name(temporary_name(path.name))
                    with temporary[path].open("xb") as file:
                        file.write(data)
            os.sync()
            for path, written in temporary.items():
                with storage_errors(str(path), "written"):
                    written.replace(path)
        except BaseException:
            for written in temporary.values():
                written.unlink(missing_ok=True)
            raise

    def append_text(self, name: str, text: str) -> None:
        """Appends text with a single write, so that lines of several writers do not mix; all of it or nothing."""
        path, data = self._at(name), text.encode("utf-8")
        with storage_errors(str(path), "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_regular(path)
            with path.open("ab", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                written = file.write(data)
                try:
                    while written < len(data):  # a disk that is filling up takes a part, and tells why the next time
                        written += file.write(data[written:])
                except OSError:
                    file.truncate(size)
                    raise

    def list(self) -> Names:
        """Sorted names of the files and folders directly in this folder."""
        return sorted(entry.name for entry in self._entries() if not entry.name.startswith(TEMPORARY))

    def files(self) -> Names:
        """Sorted relative paths of all files in this folder and its subfolders."""
        paths = []
        with storage_errors(self.location, "listed"):
            for folder, folders, names in os.walk(self._path):
                folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]
                relative = Path(folder).relative_to(self._path)
                paths += [(relative / name).as_posix() for name in names if not name.startswith(TEMPORARY)]
        return sorted(paths)

    def delete(self, name: str = "") -> None:
        """Deletes a file or a folder with its content, if it exists."""
        path = self._at(name)
        with storage_errors(str(path), "deleted"):
            if path.is_dir() and not path.is_symlink():
                # Renamed first, so that a process killed in between does not leave an incomplete folder.
                doomed = path.with_name(temporary_name(path.name))
                path.rename(doomed)
                shutil.rmtree(doomed)
            else:
                path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Deletes temporary files and folders directly in this folder."""
        for entry in self._entries():
            if entry.name.startswith(TEMPORARY):
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)

    def local_copy(self) -> Path:
        """The path itself."""
        return self._path

    @contextmanager
    def staged(self, *, last: str | None = None) -> Iterator[Path]:  # noqa: ARG002 - one rename needs no order
        """Yields an empty folder next to this one, and renames it when the block ends without an exception."""
        temporary = self._path.with_name(temporary_name(self._path.name))
        with storage_errors(self.location, "written"):
            temporary.mkdir(parents=True)
        try:
            yield temporary
            with storage_errors(self.location, "written"):
                for folder, _, names in os.walk(temporary):
                    for name in [*names, "."]:
                        _sync(Path(folder) / name)
                doomed = self._path.with_name(temporary_name(self._path.name))
                if self._path.exists():
                    self._path.rename(doomed)
                temporary.rename(self._path)
                _sync(self._path.parent)
                shutil.rmtree(doomed, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def upload(self, source: Path, *, last: str | None = None) -> None:
        """Replaces this folder by a copy of another local folder."""
        with self.staged(last=last) as temporary, storage_errors(str(source), "copied", shutil.Error):
            shutil.copytree(source, temporary, dirs_exist_ok=True, copy_function=_copy_regular)

    def __reduce__(self) -> tuple[type["LocalFolder"], tuple[Path]]:
        return LocalFolder, (self._path,)

    def _at(self, name: str) -> Path:
        return self._path / checked(name) if name else self._path

    def _entries(self) -> Sequence[Path]:
        with storage_errors(self.location, "listed"):
            return list(self._path.iterdir()) if self._path.is_dir() else []


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; the file written there takes its place when the block ends well.

    Raises:
        StorageError: It cannot be written.
    """
    temporary = path.with_name(temporary_name(path.name))
    with storage_errors(str(path), "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def check_room(folder: Path, size: int, *, what: str) -> None:
    """Checks that a folder, which need not exist yet, can be written and has so many bytes free; writes nothing.

    Raises:
        StorageError: It has less room, or its nearest existing parent is no folder or cannot be written.
    """
    place = next(each for each in (folder, *folder.parents) if each.exists())
    with storage_errors(str(folder), "written"):
        if not place.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(place, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    free = shutil.disk_usage(place).free
    if free < size:
        raise StorageError(
            f"{folder}: {what} need about {size / 2**20:,.0f} MiB, but {free / 2**20:,.0f} MiB are free there"
        )


def _copy_regular(source: str, target: str) -> None:
    check_regular(source)
    shutil.copy2(source, target)


def _sync(path: Path) -> None:
    """Writes the content of a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # some mounts do not support it for folders
            raise
    finally:
        os.close(descriptor)
