"""A job as a process: interrupts from its first moment to its last, and streams that nobody reads.

Imports little, so that a signal hardly comes before it is handled.
"""

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TYPE_CHECKING = False  # importing `typing` takes as long as all of this
if TYPE_CHECKING:
    from typing import TextIO

    from typing_extensions import Buffer

Handler = Callable[[int, FrameType | None], None]


class _End:
    """How a signal ends the process while no job handles it: with this exit status and this line, if there is one."""

    code = INTERRUPTED
    line = "Interrupted before the job began."


def begin() -> None:
    """Makes a new process ready: its standard streams, and what a signal does until a job handles it.

    A signal then ends the process at once. An exception would be lost or changed in the modules that are imported
    next, and there is nothing yet to be saved or stopped.
    """
    _fill_closed_streams()
    sys.stdout = _stream(1, sys.stdout, tells=True)
    sys.stderr = _stream(2, sys.stderr, tells=False)
    handle_signals(_end_at_once)
    sys.excepthook, sys.unraisablehook = _uncaught, _unraisable
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # `replace_process` blocked them


def handle_signals(handler: Handler) -> None:
    """Handles SIGINT and SIGTERM; one that is ignored stays so, as a script that starts a job with `&` wants it."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_handled(handler: Handler) -> Iterator[None]:
    """Handles SIGINT and SIGTERM in this block."""
    kept = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        handle_signals(handler)
        yield
    finally:
        for number, before in kept.items():
            if before is not None:  # None is a handler that is not Python's
                signal.signal(number, before)


def end_with(code: int) -> None:
    """The job has ended with this exit status: a signal that comes later changes nothing but the time it takes."""
    _End.code, _End.line = code, ""


def let_finish() -> None:
    """The work is done and its result is about to be printed: a signal no longer stops that, but a second one does."""
    _End.line = ""
    handle_signals(_wait_once)


def replace_process(*command: str) -> None:
    """Replaces this process by a command that calls `begin`; a signal waits until then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.execv(command[0], command)  # noqa: S606


def _wait_once(_: int, __: FrameType | None = None) -> None:
    handle_signals(_end_at_once)


def _end_at_once(_: int, __: FrameType | None = None) -> None:
    if _End.line:
        with contextlib.suppress(OSError):
            os.write(2, f"{_End.line}\n".encode())
    os._exit(_End.code)


def _uncaught(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):  # it came just before or just after a job handles signals
        _end_at_once(signal.SIGINT)
    sys.__excepthook__(kind, fault, trace)


def _unraisable(about: "sys.UnraisableHookArgs") -> None:
    """Python drops exceptions that are raised in a finaliser; the console raises a dropped interrupt again."""
    if not issubclass(about.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(about)


class _Descriptor(io.FileIO):
    """A standard stream that no failure of its reader turns into a failure of the job.

    Args:
        descriptor: 1 or 2.
        tells: Whether a full disk is an error. That a pipe's reader has left never is: it has what it wanted.
    """

    def __init__(self, descriptor: int, *, tells: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._tells, self._lost = tells, False

    def write(self, data: "Buffer", /) -> int:
        """Writes; after a failure, everything is dropped, so that the same failure is not met again at the exit."""
        try:
            return memoryview(data).nbytes if self._lost else super().write(data)
        except OSError as fault:
            self._lost = True
            if self._tells and fault.errno != errno.EPIPE:
                raise OSError(fault.errno, fault.strerror, "stdout") from None
            return memoryview(data).nbytes


def _stream(descriptor: int, before: "TextIO | None", *, tells: bool) -> "TextIO":
    """The stream of a descriptor in the encoding it had; characters that this lacks are written as escapes."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(descriptor, tells=tells)),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=getattr(before, "line_buffering", True),
        write_through=getattr(before, "write_through", False),
    )


def _fill_closed_streams() -> None:
    """Opens /dev/null in place of a closed standard stream; else the next file that is opened would become it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
