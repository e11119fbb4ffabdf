"""Show a table of a run's trials, during or after training; on a terminal it is live until the job ends."""

import os
import shutil
import time
from typing import Any, TextIO

from framework.report.status import RunStatus, StatusReader
from framework.runs import RunFolder
from jobs.cli.console import obeys, print_lines
from jobs.cli.job import Arguments, Job, run_job, with_plan
from jobs.cli.status_table import status_lines

JOB = Job("status", __doc__, "RUN", ())
_REFRESH_SECONDS = 2.0
_POLL_SECONDS = 0.25  # how often the window's size is checked, so that a resized window is redrawn quickly


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints the table once."""
    return _show(arguments, live=False)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Shows the table live on a terminal while a job works on the run, else prints it once. Needs no Ray."""
    return _show(arguments, live=True)


def _show(arguments: Arguments, *, live: bool) -> dict[str, Any]:
    reader = StatusReader(RunFolder.open(arguments.positionals[0]))
    status, out = reader.read(now=time.time()), arguments.stdout
    if not arguments.json:
        terminal = obeys(out)
        if terminal and live:
            status = _progress(reader, status, out)
        print_lines("\n".join(status_lines(status, width=_size().columns - 1 if terminal else None)), out)
    return status.document()


def _progress(reader: StatusReader, status: RunStatus, out: TextIO) -> RunStatus:
    """Shows the run until its job ends or Ctrl-C, the normal way to quit; returns the last state it showed."""
    if not status.working:
        return status
    from rich.console import Console as Page  # imported here because --help and logs do not need rich
    from rich.live import Live
    from rich.text import Text

    page = Page(file=out, force_terminal=True, force_jupyter=False)
    # Uses the terminal's alternate screen, so that the lines printed before are untouched.
    screen = Live(console=page, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    try:
        with screen:
            while status.working:
                size = _size()
                page.size = size
                screen.update(
                    Text("\n".join(status_lines(status, width=size.columns - 1, height=size.lines))), refresh=True
                )
                until = time.monotonic() + _REFRESH_SECONDS
                while time.monotonic() < until and _size() == size:
                    time.sleep(_POLL_SECONDS)
                status = reader.read(now=time.time())
    except KeyboardInterrupt:
        pass
    return status


def _size() -> os.terminal_size:
    return shutil.get_terminal_size()


if __name__ == "__main__":
    run_job(JOB, body)
