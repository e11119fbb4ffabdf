"""A folder at a URI that pyarrow supports, such as S3 and compatible storage or Google Cloud Storage."""

import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import pyarrow as pa
from pyarrow import fs

from framework.config.secrets import login_fault
from framework.errors import StorageError
from framework.files import MOST_FILE_BYTES, read_stream
from framework.storage.folder import Folder, Names, checked, storage_errors

# An endpoint that does not answer is reported within half a minute; with pyarrow's defaults it takes up to 15 minutes.
CONNECT_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 10.0  # without receiving a byte
ATTEMPTS = 3
GCS_RETRY_SECONDS = 20
S3_OPTIONS = ("endpoint_override", "region", "scheme")
COPY_BYTES = 8 << 20
RACY_NANOSECONDS = 2_000_000_000
UNTRUSTED = (-1, -1)


class RemoteFolder(Folder):
    """Objects under one URI; subfolders keep its query part (`?endpoint_override=…`)."""

    is_local = False

    def __init__(self, location: str) -> None:
        with _storage_errors(location, "opened"):
            self._parts = urlsplit(location.strip())
        fault = login_fault(location)
        if fault:  # locations are printed, and written to the files of a run
            raise StorageError(fault)
        path = self._parts.path.rstrip("/")
        self.location = urlunsplit(self._parts._replace(path=path))
        with _storage_errors(self.location, "opened"):
            self._files = _file_system(self._parts.scheme, self._parts.netloc, self._parts.query)
        bucket = self._parts.netloc.rpartition("@")[2]
        self._root = bucket + unquote(path) if self._parts.scheme in ("s3", "gs", "gcs") else unquote(path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._root.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "RemoteFolder":
        """The folder that contains this one."""
        return RemoteFolder(urlunsplit(self._parts._replace(path=self._parts.path.rstrip("/").rpartition("/")[0])))

    def arrow(self) -> tuple[fs.FileSystem, str]:
        """The file system of pyarrow and the path in it."""
        return self._files, self._root

    def __truediv__(self, name: str) -> "RemoteFolder":
        """The folder `name` in this one."""
        path = f"{self._parts.path.rstrip('/')}/{quote(checked(name))}"
        return RemoteFolder(urlunsplit(self._parts._replace(path=path)))

    def exists(self, name: str = "") -> bool:
        """Whether the object or folder exists."""
        return self._info(self._at(name)).type != fs.FileType.NotFound

    def modified(self, name: str) -> float:
        """When an object was last written, by the clock of its server; object stores count whole seconds."""
        info = self._info(self._at(name))
        if info.mtime is None:
            raise StorageError(f"{self._place(name)}: does not exist, or has no time")
        return info.mtime.timestamp()

    def read_bytes(self, name: str, *, most_bytes: int = MOST_FILE_BYTES) -> bytes:
        """The content of an object."""
        place = self._place(name)
        with _storage_errors(place, "read"), self._files.open_input_stream(self._at(name)) as stream:
            return read_stream(stream, most_bytes=most_bytes, path=place)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Writes an object, which becomes visible when its upload is complete."""
        with _storage_errors(self._place(name), "written"), self._output(self._at(name)) as stream:
            stream.write(data)

    def append_text(self, name: str, text: str) -> None:
        """Appends text by reading the object and writing it again."""
        before = self.read_bytes(name) if self.exists(name) else b""
        self.write_bytes(name, before + text.encode("utf-8"))

    def list(self) -> Names:
        """Sorted names of the objects and folders directly in this folder."""
        return sorted(info.base_name for info in self._below(recursive=False))

    def files(self) -> Names:
        """Sorted relative paths of all objects in this folder and its subfolders."""
        return sorted(self._relative(info) for info in self._below(recursive=True) if info.is_file)

    def delete(self, name: str = "") -> None:
        """Deletes an object or a folder with its content, if it exists."""
        path = self._at(name)
        kind = self._info(path).type
        with _storage_errors(self._place(name), "deleted"):
            if kind == fs.FileType.Directory:
                self._files.delete_dir(path)
            elif kind != fs.FileType.NotFound:
                self._files.delete_file(path)

    def sweep(self) -> None:
        """Does nothing, because objects are never incomplete."""

    def local_copy(self) -> Path:
        """The path of a local copy that exists until the process ends; only changed objects are fetched again."""
        target = _download_root() / quote(self.location, safe="")
        objects = {self._relative(info): info for info in self._below(recursive=True) if info.is_file}
        known = _downloaded.setdefault(self.location, {})
        target.mkdir(parents=True, exist_ok=True)
        for name in [name for name in known if name not in objects]:
            (target / name).unlink(missing_ok=True)
            del known[name]
        for name, info in objects.items():
            stamp = (info.size, info.mtime_ns)
            if known.get(name) != stamp:
                self._fetch(name, target / name)
                # S3's times have whole seconds, so an object this young may change without changing its time.
                young = time.time_ns() - info.mtime_ns < RACY_NANOSECONDS
                known[name] = UNTRUSTED if young else stamp
        return target

    @contextmanager
    def staged(self, *, last: str | None = None) -> Iterator[Path]:
        """Yields an empty temporary folder, and uploads it when the block ends without an exception."""
        with tempfile.TemporaryDirectory(prefix="latentscape-") as temporary:
            yield Path(temporary)
            self.upload(Path(temporary), last=last)

    def upload(self, source: Path, *, last: str | None = None) -> None:
        """Replaces this folder by a copy of a local one; old objects are deleted first, so that the two never mix."""
        names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        self.delete()
        for name in sorted(names, key=lambda name: name == last):
            with _storage_errors(self._place(name), "written"):
                self._send(source / name, self._at(name))

    def __reduce__(self) -> tuple[type["RemoteFolder"], tuple[str]]:
        return RemoteFolder, (self.location,)

    def _at(self, name: str) -> str:
        return f"{self._root}/{checked(name)}" if name else self._root

    def _info(self, path: str) -> fs.FileInfo:
        with _storage_errors(self.location, "reached"):
            return self._files.get_file_info(path)

    def _below(self, *, recursive: bool) -> Sequence[fs.FileInfo]:
        with _storage_errors(self.location, "listed"):
            return self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True, recursive=recursive))

    def _relative(self, info: fs.FileInfo) -> str:
        return info.path.removeprefix(self._root).lstrip("/")

    def _output(self, path: str) -> Any:
        if self._parts.scheme not in ("s3", "gs", "gcs"):  # object stores have no folders
            self._files.create_dir(path.rsplit("/", 1)[0], recursive=True)
        return self._files.open_output_stream(path)

    def _send(self, source: Path, path: str) -> None:
        with source.open("rb") as file, self._output(path) as stream:
            shutil.copyfileobj(file, stream, COPY_BYTES)

    def _fetch(self, name: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        place = self._at(name)
        with (
            _storage_errors(self._place(name), "read"),
            self._files.open_input_stream(place) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, COPY_BYTES)


_downloaded: dict[str, dict[str, tuple[int, int]]] = {}


def _storage_errors(location: str, action: str) -> AbstractContextManager[None]:
    return storage_errors(location, action, pa.ArrowException, ValueError)


@functools.cache
def _download_root() -> Path:
    # The cache keeps the folder until the process ends, which deletes it.
    return Path(_lasting_folder().name)


@functools.cache
def _lasting_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="latentscape-", ignore_cleanup_errors=True)


@functools.lru_cache(maxsize=16)
def _file_system(scheme: str, netloc: str, query: str) -> fs.FileSystem:
    if scheme == "s3":
        return _s3(netloc, query)
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in query:
        query = f"{query}&retry_limit_seconds={GCS_RETRY_SECONDS}".lstrip("&")
    files, _ = fs.FileSystem.from_uri(urlunsplit((scheme, netloc, "/", query, "")))
    return files


def _s3(netloc: str, query: str) -> fs.S3FileSystem:
    """Like FileSystem.from_uri, but with timeouts, which a URI cannot contain."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [name for name in options if name not in S3_OPTIONS]
    if unknown:
        raise StorageError(f"s3://{netloc}: unknown option {unknown[0]!r}; allowed: {', '.join(S3_OPTIONS)}")
    if not ("region" in options or "endpoint_override" in options):
        known = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        options["region"] = known or fs.resolve_s3_region(netloc)
    return fs.S3FileSystem(
        **options,
        allow_delayed_open=True,  # a small file is one request, not three
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        request_timeout=REQUEST_TIMEOUT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
