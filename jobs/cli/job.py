"""A job run as a process: one line for a mistake, exit codes, and stdout for one JSON document alone."""

import contextlib
import errno
import json
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from framework.errors import ClusterLostError, LatentscapeError, TrainingError
from jobs.cli.arguments import SCORE_KEYS, STUDY_KEYS, TRAINING_SECTIONS, WORKER_KEYS, Arguments, Job, parse
from jobs.cli.console import Console, duration, shown

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
    """Parses, calls, prints, and ends the process: 0, 2 (user's mistake), 1 (fault) or 130 (interrupted)."""
    console = Console()
    command = shlex.join(["python", "-m", f"jobs.{job.name}", *(sys.argv[1:] if argv is None else argv)])
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for what a script starts with `&`
            signal.signal(number, console.interrupt)
    try:
        arguments = parse(job, sys.argv[1:] if argv is None else argv, console)
        with contextlib.redirect_stdout(sys.stderr):  # libraries print now and then; stdout is for the document
            document = body(arguments)
        console.clear()
        if arguments.json and document is not None:
            print(json.dumps(document, indent=2, allow_nan=False))
        code = 0
    except KeyboardInterrupt:
        console.say(f"interrupted; to go on: {command}")
        code = 130
    except (TrainingError, ClusterLostError) as fault:
        console.say(f"failed: {fault}")
        if isinstance(fault, ClusterLostError):
            console.say(f"to go on: {command}")
        code = 1
    except LatentscapeError as fault:
        for line in str(fault).splitlines():
            console.say(f"error: {line}")
        code = 2
    except Exception as fault:
        code = 1
        # A place that cannot be read or written, or is full; one without a name is no mistake of the user's.
        if isinstance(fault, OSError) and (fault.filename or fault.errno in _FULL):
            console.say(f"error: {fault.filename or 'storage'}: {fault.strerror or fault}")
            code = 2
        else:
            console.say(_COLOUR.sub("", traceback.format_exc().rstrip()))  # Ray colours its own
    sys.stdout.flush()
    sys.exit(code)
