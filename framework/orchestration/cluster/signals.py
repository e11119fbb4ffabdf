"""Signals while Ray starts or ends: interrupted there, it would leave half of itself."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from framework.orchestration.cluster.ray_internals import without_sigterm_handler

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """In this block a first SIGINT or SIGTERM waits for the end of the block; a second one does not.

    Afterwards the handlers are those from before: Ray installs its own one for SIGTERM, which aborts the process. The
    block gets a function that sets its handlers again, for when Ray has taken them away.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    kept: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    waiting: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) > 1:
            signal.signal(number, kept[number])
            signal.raise_signal(number)

    def hold_all() -> None:
        for number, handler in kept.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, hold)

    hold_all()
    try:
        with without_sigterm_handler():
            yield hold_all
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])
