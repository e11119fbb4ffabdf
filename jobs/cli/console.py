"""Stderr for people: lines that stay, a live line of progress, and interrupts."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_LOG_EVERY_SECONDS = 30.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Console:
    """Stderr for people: one live line on a terminal, a line every 30 s in a log."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = 0
        self._last_line = 0.0
        self._interrupted = False
        self._first: Callable[[int], None] | None = None

    def interrupt(self, number: int, _: object = None) -> None:
        """The handler of SIGINT and SIGTERM."""
        first, self._first = self._first, None
        if first is not None:
            first(number)
            return
        self._interrupted = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def first_interrupt(self, ask: Callable[[int], None]) -> Iterator[None]:
        """Within the block the first interrupt only calls `ask` with the signal's number; the next one interrupts."""
        self._first = ask
        try:
            yield
        finally:
            self._first = None

    def end(self, text: str) -> None:
        """Says why, on any thread, and ends the process as SIGTERM does."""
        self.say(text)
        self._interrupted = True
        os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """The line that is replaced by the next one.

        Raises:
            KeyboardInterrupt: There was one, but it was lost: Python drops what a handler raises within a finaliser.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        if self._live:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            text = text[: width - 1]
            print("\r" + text.ljust(self._shown), end="", file=sys.stderr, flush=True)
            self._shown = len(text)
        elif time.monotonic() - self._last_line >= _LOG_EVERY_SECONDS:
            self._last_line = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A progress callable (done, total) with the time left."""
        started = time.monotonic()

        def show(done: int, total: int) -> None:
            left = (time.monotonic() - started) / max(done, 1) * (total - done)
            self.progress(f"{what}: {done:,} of {total:,}, {duration(left)} left")

        return show

    def _clear(self) -> None:
        if self._shown:
            print("\r" + " " * self._shown + "\r", end="", file=sys.stderr, flush=True)
            self._shown = 0


def one_line(text: str) -> str:
    r"""Text of whoever wrote it, harmless to a terminal: control characters and turned directions as they are typed.

    >>> print(one_line("a\tb\x1b[31m\n"), one_line("Zoë ± 名"))
    a\tb\x1b[31m\n Zoë ± 名
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def duration(seconds: float) -> str:
    """3725.0 -> '1 h 02 min'.

    >>> duration(3725.0), duration(65.0), duration(9.0)
    ('1 h 02 min', '1 min 05 s', '9 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


def shown(location: str) -> str:
    """A path as short as it can be said from here; a URI as it is."""
    if "://" in location:
        return location
    relative = os.path.relpath(location)
    return relative if not relative.startswith("..") else str(Path(location))
