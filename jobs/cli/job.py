"""Runs a job as a process: an error is one line, and stdout carries only the JSON document of --json."""

import contextlib
import errno
import json
import re
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from framework.config.code import gate_shut
from framework.errors import ClusterLostError, LatentscapeError, TrainingError
from jobs.cli.arguments import SCORE_KEYS, STUDY_KEYS, TRAINING_SECTIONS, WORKER_KEYS, Arguments, Job, parse
from jobs.cli.console import Console, duration, error_lines, one_line, shortened, shown

__all__ = [
    "SCORE_KEYS",
    "STUDY_KEYS",
    "TRAINING_SECTIONS",
    "WORKER_KEYS",
    "Arguments",
    "Console",
    "Job",
    "duration",
    "run_job",
    "shown",
]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_job(job: Job, body: Callable[[Arguments], dict[str, Any] | None], argv: list[str] | None = None) -> None:
    """Parses the arguments, calls `body`, prints, and ends the process.

    The exit status is 0 on success, 1 after a runtime error, 2 after a usage error and 130 after an interrupt.
    """
    console = Console()
    command = shlex.join(["python", "-m", f"jobs.{job.name}", *(sys.argv[1:] if argv is None else argv)])
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a script that starts a job with `&` ignores SIGINT
            signal.signal(number, console.interrupt)
    try:
        arguments = parse(job, sys.argv[1:] if argv is None else argv, console)
        # Libraries may print, and stdout is reserved for the document.
        with gate_shut(), contextlib.redirect_stdout(sys.stderr), _warnings_said(console):
            document = body(arguments)
        console.clear()
        if arguments.json and document is not None:
            print(json.dumps(document, indent=2, allow_nan=False))
        code = 0
    except KeyboardInterrupt:
        console.say(f"Interrupted. Resume with: {command}")
        code = 130
    except (TrainingError, ClusterLostError) as fault:
        console.say(f"failed: {one_line(str(fault))}")
        if isinstance(fault, ClusterLostError):
            console.say(f"Resume with: {command}")
        code = 1
    except LatentscapeError as fault:
        for line in error_lines(fault):
            console.say(f"error: {line}")
        code = 2
    except Exception as fault:
        code = 1
        # A named file that cannot be read or written, or a full disk, is the user's to solve; other faults are ours.
        if isinstance(fault, OSError) and (fault.filename or fault.errno in _FULL):
            line = f"error: {fault.filename or 'storage'}: {fault.strerror or fault}"
            console.say(shortened(one_line(line)))
            code = 2
        else:
            console.say(_COLOUR.sub("", traceback.format_exc().rstrip()))  # Ray adds colours to its own tracebacks
    sys.stdout.flush()
    sys.exit(code)


@contextlib.contextmanager
def _warnings_said(console: Console) -> Iterator[None]:
    """Prints Python's warnings as lines of the console in this block: their texts may come from files."""
    before = warnings.showwarning

    def say(message: Warning | str, *_: object, **__: object) -> None:
        console.say(f"Warning: {one_line(str(message))}")

    warnings.showwarning = say
    try:
        yield
    finally:
        warnings.showwarning = before
