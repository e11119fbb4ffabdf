"""Opens files that a user names: regular ones only, and into memory no more of them than is allowed.

Everything wrong is an OSError whose `strerror` says it in a few words, so whoever opens a file tells these faults as it
tells that the file is missing. Imports only the standard library, so that a decoding worker starts fast.
"""

import errno
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

MOST_DOCUMENT_BYTES = 64 << 20  # a CSV, JSON or YAML file
MOST_FILE_BYTES = 4 << 30  # weights and other files that are read as a whole
PIECE_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what writing to a full disk, or above a limit, raises
_KINDS: Mapping[int, str] = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A file that becomes a pipe between `stat` and `open` must not block, and a terminal must not become ours.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class RefusedFileError(OSError):
    """A file that is not read: it is no regular one, or has more bytes than allowed. `strerror` is the reason."""


def user_path(text: str | Path) -> Path:
    """The path that a user wrote, with `~` as the home folder.

    Raises:
        OSError: It has a NUL or another character that no path can have, or names the home folder of no user.
    """
    try:
        if "\0" in os.fspath(text):
            raise OSError(errno.EINVAL, "a path cannot contain the character NUL", repr(text))
        os.fsencode(text)
        return Path(text).expanduser()
    except UnicodeEncodeError:
        raise OSError(errno.EINVAL, "a path cannot contain half a surrogate pair", repr(text)) from None
    except RuntimeError:
        raise OSError(errno.EINVAL, f"there is no user {os.fspath(text).split('/')[0][1:]}", str(text)) from None


def check_regular(path: str | Path) -> None:
    """Refuses a pipe, socket or device, and a link to one, before it is opened; a folder or nothing passes.

    Raises:
        OSError: The path is such a file, or cannot be looked up.
    """
    try:
        _refuse_special(_status(path).st_mode, path)
    except (FileNotFoundError, NotADirectoryError):
        return


def is_file(text: str | Path) -> bool:
    """Whether a path that a user wrote is that of an existing regular file."""
    try:
        return user_path(text).is_file()
    except OSError:
        return False


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a regular file for reading; opening a pipe would wait for ever, and reading a device may never end.

    Raises:
        OSError: The file does not exist, is not a regular file, or cannot be opened.
    """
    _refuse_special(_status(path).st_mode, path)  # first, because opening alone can do something to a device
    file = os.fdopen(os.open(path, _FLAGS), "rb")
    try:
        _refuse_special(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read_file(path: str | Path, *, most_bytes: int = MOST_FILE_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: As `open_regular`; or the file is larger than `most_bytes`, of which no more is read.
    """
    with open_regular(path) as file:
        refuse_size(os.fstat(file.fileno()).st_size, most_bytes, path)
        return read_stream(file, most_bytes=most_bytes, path=path)


def read_stream(stream: BinaryIO, *, most_bytes: int, path: str | Path) -> bytes:
    """The rest of a stream, piece by piece, since the size that a header or the system tells may be wrong.

    Raises:
        OSError: It is longer than `most_bytes`.
    """
    content = io.BytesIO()
    while piece := stream.read(PIECE_BYTES):
        content.write(piece)
        refuse_size(content.tell(), most_bytes, path)
    return content.getvalue()


def refuse_size(size: int, most_bytes: int, path: str | Path) -> None:
    """Raises an OSError if a file has more bytes than allowed."""
    if size > most_bytes:
        raise RefusedFileError(errno.EFBIG, f"too large: more than {most_bytes:,} bytes", str(path))


def _status(path: str | Path) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - also takes text
    except ValueError as fault:  # a NUL or half a surrogate pair
        raise OSError(errno.EINVAL, f"no path can be like this ({fault})", repr(path)) from None


def _refuse_special(mode: int, path: str | Path) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise RefusedFileError(errno.EINVAL, f"is {kind}, not a file", str(path))
