"""The one door to files that last: a folder here, or one that `pyarrow.fs` opens by its URI."""

from pathlib import Path

from framework.storage.folder import Folder, is_uri
from framework.storage.local import LocalFolder


def open_folder(location: str | Path) -> Folder:
    """The folder at a local path or a URI; it need not be there yet.

    Args:
        location: A path (`~` is the home folder), `file://…`, or what pyarrow opens:
            `s3://bucket/key?endpoint_override=host:port&scheme=http`, `gs://bucket/key`, …

    Raises:
        StorageError: The URI is none that pyarrow opens, or its storage cannot be reached.
    """
    text = str(location)
    if is_uri(text) and not text.startswith("file://"):
        from framework.storage.remote import RemoteFolder  # pyarrow, only where it is needed

        return RemoteFolder(text)
    return LocalFolder.at(text)


__all__ = ["Folder", "is_uri", "open_folder"]
