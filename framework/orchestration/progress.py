"""The interface through which a job shows messages and progress."""

import contextlib
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Shows messages and progress; implemented by the console of the jobs."""

    def say(self, text: str) -> None:
        """Shows a line that stays."""
        ...

    def update(self, text: str) -> None:
        """Shows a line that the next line replaces."""
        ...

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A function that shows a progress line; called with (finished, all)."""
        ...

    def first_interrupt(self, ask: Callable[[int], None]) -> contextlib.AbstractContextManager[None]:
        """Within the block the first interrupt only calls `ask` with the signal number; the second one interrupts."""
        ...

    def end(self, text: str) -> None:
        """Shows the reason and ends the job as SIGTERM does; may be called on any thread."""
        ...
