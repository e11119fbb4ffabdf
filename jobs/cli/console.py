"""Messages on stderr: permanent lines, a live progress line, and the handling of interrupts."""

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from framework.config.secrets import without_logins
from framework.errors import LatentscapeError

if TYPE_CHECKING:
    import rich.console

_MOST_CHARACTERS = 1000  # of a line about an error
_LOG_EVERY_SECONDS = 30.0
_DRAW_EVERY_SECONDS = 0.1
_BAR_COLUMNS, _BAR_GAP = 24, 2
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"  # the last: bytes of no text
)


class Console:
    """Messages on stderr. Progress is one live line on a terminal, or a line every 30 s in a log."""

    def __init__(self) -> None:
        self._live = obeys(sys.stderr)
        self._page: rich.console.Console | None = None
        self._drawn = False
        self._drawn_at = 0.0
        self._lock = threading.RLock()  # a signal handler may print on the thread that it interrupts
        self.interrupted = False  # whether an interrupt was raised; it may have been lost since
        self._said_once: set[str] = set()
        self._first: Callable[[int], None] | None = None

    def __reduce__(self) -> tuple[type["Console"], tuple[()]]:
        """Pickles as a new console: Tune pickles its arguments, and a lock or a terminal cannot be pickled."""
        return Console, ()

    @property
    def width(self) -> int | None:
        """The terminal's current number of columns; None in a log, where lines have no maximum length."""
        return _columns() if self._live else None

    def interrupt(self, number: int, _: object = None) -> None:
        """The handler of SIGINT and SIGTERM."""
        first, self._first = self._first, None
        if first is not None:
            first(number)
            return
        self.interrupted = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def first_interrupt(self, ask: Callable[[int], None]) -> Iterator[None]:
        """In this block the first interrupt only calls `ask` with the signal's number; the second one interrupts."""
        self._first = ask
        try:
            yield
        finally:
            self._first = None

    def end(self, text: str) -> None:
        """Prints the reason and ends the process as SIGTERM does; may be called on any thread."""
        self.say(text)
        self.interrupted = True
        os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text: str) -> None:
        """Prints one or several permanent lines."""
        with self._lock:
            self.clear()
            print_lines(text, sys.stderr)

    def say_once(self, text: str) -> None:
        """A line that stays, and is not repeated if it comes again."""
        if text not in self._said_once:
            self._said_once.add(text)
            self.say(text)

    def update(self, text: str) -> None:
        """Shows a progress line, which the next one replaces.

        Raises:
            KeyboardInterrupt: An earlier interrupt was lost, because Python drops exceptions raised in a finaliser.
        """
        self._show(text)

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A callable (done, total) that shows progress with the estimated time left."""
        started = time.monotonic()

        def show(done: int, total: int) -> None:
            left = (time.monotonic() - started) / max(done, 1) * (total - done)
            self._show(f"{what}: {done:,} of {total:,}, {duration(left)} left", done / max(total, 1))

        return show

    def _show(self, text: str, share: float | None = None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        now = time.monotonic()
        with self._lock:
            if not self._live:
                if now - self._drawn_at >= _LOG_EVERY_SECONDS:
                    self._drawn_at = now
                    print(one_line(text), file=sys.stderr, flush=True)
            elif not self._drawn or share == 1.0 or now - self._drawn_at >= _DRAW_EVERY_SECONDS:
                self._drawn_at = now
                self._draw(one_line(text), share)

    def _draw(self, text: str, share: float | None) -> None:
        """Draws the line at the terminal's current width, after a bar if there is room; the cursor stays at its end."""
        from rich.console import Console as Page  # imported here because --help and logs do not need rich
        from rich.control import Control
        from rich.progress_bar import ProgressBar
        from rich.segment import ControlType, Segments
        from rich.table import Table
        from rich.text import Text

        if self._page is None:
            self._page = Page(file=sys.stderr, force_terminal=True, force_jupyter=False)
            self._erase = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
        columns = _columns()
        row = Table.grid(padding=(0, _BAR_GAP, 0, 0))
        bar = []  # stands before the text, because the text's length changes
        if share is not None and len(text) + _BAR_GAP + _BAR_COLUMNS < columns:
            row.add_column()
            bar = [ProgressBar(1.0, share, _BAR_COLUMNS, complete_style="green", finished_style="green")]
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(*bar, Text(text))
        # After a full-width line, some terminals move the cursor to the next line and others do not.
        self._page.size = (max(columns - 1, 1), 1)
        self._drawn = True  # set first, in case an interrupt arrives during the next lines
        with self._page:
            self._page.control(self._erase)
            self._page.print(Segments(self._page.render_lines(row, pad=False)[0]), end="")

    def clear(self) -> None:
        """Erases the progress line, before something else is written to the terminal."""
        with self._lock:
            if self._page is not None and self._drawn:
                self._page.control(self._erase)
                self._drawn = False


def obeys(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which written text can be overwritten."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80  # a pseudo-terminal without a set size reports 0


def print_lines(text: str, stream: TextIO) -> None:
    """Prints lines whose content may come from files, as `one_line` shows them."""
    print("\n".join(map(one_line, text.split("\n"))), file=stream, flush=True)


def one_line(text: str) -> str:
    r"""Makes any text safe to show: control characters and changes of direction appear as escapes, logins as ….

    >>> print(one_line("a\tb\x1b[31m\n"), one_line("Zoë ± 名"), one_line("https://alice:pw@host/"))
    a\tb\x1b[31m\n Zoë ± 名 https://…
    """
    text = without_logins(text)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def error_lines(fault: LatentscapeError) -> list[str]:
    """The message as lines: one for each fault of a config or node, else one, whatever a path in it contains."""
    return [shortened(one_line(line)) for line in fault.faults]


def shortened(line: str) -> str:
    """A line of at most 1,000 characters; of a longer one the middle is left out.

    >>> len(shortened("/a" * 3000)), shortened("a path")
    (1000, 'a path')
    """
    start, end = _MOST_CHARACTERS * 2 // 3, _MOST_CHARACTERS // 3
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:start]}…{line[-end:]}"


def duration(seconds: float) -> str:
    """Seconds in readable units.

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
    """The path relative to the current directory if it lies below it, else absolute; always one line."""
    if "://" in location:
        return one_line(location)
    relative = os.path.relpath(location)
    return one_line(relative if not relative.startswith("..") else str(Path(location)))
