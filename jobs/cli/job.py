"""Runs a job as a process: an error is one line, and stdout carries only the JSON document of --json."""

import contextlib
import errno
import functools
import json
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from framework.config.code import gate_shut
from framework.errors import ClusterLostError, LatentscapeError, TrainingError
from jobs.cli import process
from jobs.cli.arguments import (
    SCORE_KEYS,
    STUDY_KEYS,
    TRAINING_SECTIONS,
    WORKER_KEYS,
    Arguments,
    Job,
    help_of,
    parse,
    wants_help,
)
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
    "with_plan",
]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FULL = (errno.ENOSPC, errno.EDQUOT)


Body = Callable[[Arguments], dict[str, Any] | None]


def with_plan(plan: Body) -> Callable[[Body], Body]:
    """Decorates the body of a job with its plan, which --dry-run calls instead of the body.

    A plan reads and writes nothing. It checks what the body will want, and raises the same errors.
    """

    def decorate(body: Body) -> Body:
        @functools.wraps(body)
        def choose(arguments: Arguments) -> dict[str, Any] | None:
            if not arguments.dry_run:
                return body(arguments)
            sys.dont_write_bytecode = True  # of the user's own modules
            return plan(arguments)

        return choose

    return decorate


def run_job(job: Job, body: Body, argv: list[str] | None = None) -> None:
    """Parses the arguments, calls `body`, prints, and ends the process.

    The exit status is 0 on success, 1 after a runtime error, 2 after a usage error and 130 after an interrupt.
    """
    words, console = sys.argv[1:] if argv is None else argv, Console()
    command = shlex.join(["python", "-m", f"jobs.{job.name}", *words])
    with process.signals_handled(console.interrupt):
        try:
            code = _run(job, body, words, console, command)
            process.end_with(code)
        except KeyboardInterrupt:
            code = process.INTERRUPTED
            process.end_with(code)
            console.say(f"Interrupted. Resume with: {command}")
    sys.exit(code)


def _run(job: Job, body: Body, words: list[str], console: Console, command: str) -> int:
    """Does the work of `run_job`, and turns everything but an interrupt into lines and an exit status."""
    try:
        if wants_help(words):
            print(help_of(job), flush=True)
            return 0
        arguments = parse(job, words, console)
        # Libraries may print, and stdout is reserved for the document.
        with gate_shut(), contextlib.redirect_stdout(sys.stderr), _warnings_said(console):
            document = body(arguments)
        console.clear()
        process.let_finish()
        if arguments.json and document is not None:
            print(json.dumps(document, indent=2, allow_nan=False))
        sys.stdout.flush()
    except Exception as fault:
        if console.interrupted:  # a library has made another exception of it
            raise KeyboardInterrupt from None
        return _tell(fault, console, command)
    return 0


def _tell(fault: Exception, console: Console, command: str) -> int:
    """Prints what went wrong; gives the exit status."""
    if isinstance(fault, TrainingError | ClusterLostError):
        console.say(f"failed: {one_line(str(fault))}")
        if isinstance(fault, ClusterLostError):
            console.say(f"Resume with: {command}")
        return 1
    if isinstance(fault, LatentscapeError):
        for line in error_lines(fault):
            console.say(f"error: {line}")
        return 2
    # A named file that cannot be read or written, or a full disk, is the user's to solve; other faults are ours.
    if isinstance(fault, OSError) and (fault.filename or fault.errno in _FULL):
        console.say(shortened(one_line(f"error: {fault.filename or 'storage'}: {fault.strerror or fault}")))
        return 2
    trace = "".join(traceback.format_exception(fault)).rstrip()
    console.say(_COLOUR.sub("", trace))  # Ray adds colours to its own tracebacks
    return 1


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
