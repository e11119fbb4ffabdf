"""Fetches a published file once: into a `.part` file that a later call goes on with, checked by its sha256."""

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from framework.config.secrets import without_logins
from framework.data.locking import locked
from framework.errors import EvaluationError, StorageError

OPEN_SECONDS = 6.0  # to reach the server, in all: without a network the answer must not take long
_READ_SECONDS = 20.0  # without a single byte
_TRIES = 4  # of a connection that breaks off; each goes on where the last one ended
_PIECE = 1 << 18
Done = Callable[[int, int], None]
"""Called with (finished, all)."""


class FetchError(EvaluationError):
    """A file could not be fetched; the message says why in a few words."""


@dataclass(frozen=True)
class Published:
    """A file as its authors published it.

    Attributes:
        name: The name of the file.
        size: Its size in bytes.
    """

    url: str
    name: str
    size: int
    sha256: str

    @property
    def place(self) -> str:
        """The address for messages."""
        return without_logins(self.url)


def fetch(published: Published, folder: Path, *, progress: Done) -> Path:
    """The file in a folder, which is fetched if it is missing. Two jobs at a time fetch it once.

    Raises:
        FetchError: The server cannot be reached or has another file, or the folder cannot be written.
    """
    path = folder / published.name
    try:
        with locked(folder / f".{published.name}.lock"):
            if not path.is_file():
                part = folder / f"{published.name}.part"
                _complete(published, part, progress=progress)
                _check(published, part)
                part.replace(path)
    except StorageError as fault:
        raise FetchError(str(fault)) from None
    except OSError as fault:
        raise FetchError(f"{folder}: {fault.strerror or fault}") from None
    return path


def _complete(published: Published, part: Path, *, progress: Done) -> None:
    """Fetches what a `.part` file lacks."""
    for number in range(1, _TRIES + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_rest(published, part, before, progress=progress)
        except (HTTPException, TimeoutError, ConnectionError) as fault:
            reason = str(fault) or type(fault).__name__
        else:
            reason = "the connection ended early"
        has = part.stat().st_size if part.exists() else 0
        if has >= published.size:
            return
        if number == _TRIES or has <= before:
            raise FetchError(f"{published.place}: {reason}; {has:,} of {published.size:,} bytes are kept in {part}")


def _fetch_rest(published: Published, part: Path, start: int, *, progress: Done) -> None:
    if start >= published.size:
        return
    with _opened(published.url, start) as answer:
        goes_on = start > 0 and answer.status == 206  # any other answer begins the file anew
        with part.open("ab" if goes_on else "wb") as file:
            has = start if goes_on else 0
            progress(has, published.size)
            # Never more than the file is said to have, whatever the server sends.
            while has < published.size and (piece := answer.read(min(_PIECE, published.size - has))):
                file.write(piece)
                has += len(piece)
                progress(has, published.size)


def _opened(url: str, start: int) -> HTTPResponse:
    """Opens a URL from a byte on, within `OPEN_SECONDS`: a name server that does not answer may take minutes."""
    place = without_logins(url)
    if not url.lower().startswith(("http://", "https://")):
        raise FetchError(f"{place}: is no http or https address")
    headers = {"User-Agent": "latentscape"} | ({"Range": f"bytes={start}-"} if start else {})
    found: list[HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310  checked above
            found.append(urllib.request.urlopen(request, timeout=_READ_SECONDS))  # noqa: S310
        except Exception as fault:  # raised below, in the thread that waits
            found.append(fault)

    asking = threading.Thread(target=ask, daemon=True, name="fetch")
    asking.start()
    asking.join(OPEN_SECONDS)
    answer = found[0] if found else TimeoutError(f"no answer within {OPEN_SECONDS:g} s")
    if isinstance(answer, HTTPResponse):
        return answer
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        raise FetchError(f"{place}: the server answers {answer.code}")
    reason = getattr(answer, "reason", None) or answer
    raise FetchError(f"{place}: {getattr(reason, 'strerror', None) or reason}")


def _check(published: Published, part: Path) -> None:
    """Deletes a complete `.part` file that is not the published one.

    Raises:
        FetchError: It is not.
    """
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if (part.stat().st_size, actual) != (published.size, published.sha256):
        part.unlink()
        raise FetchError(
            f"{published.place}: gave another file (sha256 {actual}, not {published.sha256}); it is deleted"
        )
