"""An advisory file lock, which the system releases when its process ends."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framework.errors import StorageError


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Holds a lock file, after waiting for the process that holds it; yields whether it does.

    On file systems without locks it continues without one; an atomic rename still keeps the result complete.

    Raises:
        StorageError: There is something else in the place of the lock file, such as a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through a link we would create or hold another file; a FIFO would block.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(path, flags, 0o666)
    except OSError as fault:
        reason = "it is a link" if path.is_symlink() else fault.strerror
        raise StorageError(f"{path}: cannot be opened as a lock ({reason})") from None
    try:
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            raise StorageError(f"{path}: cannot be opened as a lock (it is no file)")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(lock)


def private_temporary_folder() -> Path:
    """`latentscape-<user id>` in the folder for temporary files, which other users can neither read nor prepare.

    Raises:
        StorageError: There is a link in its place, or a folder of another user.
    """
    folder = Path(tempfile.gettempdir()) / f"latentscape-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise StorageError(f"{folder}: is not a folder of yours; delete it, or set TMPDIR to a folder of your own")
    if about.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
