"""Access to persistent files: local folders, and folders that `pyarrow.fs` opens by their URI."""

from pathlib import Path

from framework.storage.folder import Folder, is_uri
from framework.storage.local import LocalFolder


def open_folder(location: str | Path) -> Folder:
    """Opens the folder at a local path or a URI; it need not exist yet.

    Args:
        location: A path (`~` is the home folder), `file://…`, or a URI that pyarrow supports, such as
            `s3://bucket/key?endpoint_override=host:port&scheme=http` or `gs://bucket/key`.

    Raises:
        StorageError: pyarrow does not support the URI, or its storage cannot be reached.
    """
    text = str(location)
    if is_uri(text) and not text.startswith("file://"):
        from framework.storage.remote import RemoteFolder  # imported here, because pyarrow is slow to import

        return RemoteFolder(text)
    return LocalFolder.at(text)


__all__ = ["Folder", "is_uri", "open_folder"]
