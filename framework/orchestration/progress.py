"""Who is told how a job goes."""

import contextlib
from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """Who is told how it goes; the jobs' console is one."""

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def progress(self, text: str) -> None:
        """A line that the next one replaces."""
        ...

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A progress line of its own, called with (done, total)."""
        ...

    def first_interrupt(self, ask: Callable[[int], None]) -> contextlib.AbstractContextManager[None]:
        """Within the block the first interrupt only calls `ask` with the signal's number; the next one interrupts."""
        ...

    def end(self, text: str) -> None:
        """Says why, on any thread, and ends the job as SIGTERM does."""
        ...
