"""How a run's trials stand, while they train or after; on a terminal anew every 2 s, until the job's end."""

import os
import shutil
import time
from typing import Any, TextIO

from framework.report.status import RunStatus, StatusReader
from framework.runs import RunFolder
from jobs.cli.console import obeys
from jobs.cli.job import Arguments, Job, run_job
from jobs.cli.status_table import status_lines

JOB = Job("status", __doc__, "RUN", ())
_REFRESH_SECONDS = 2.0
_LOOK_SECONDS = 0.25  # so soon a window of another size is filled anew


def body(arguments: Arguments) -> dict[str, Any]:
    """Prints the table once where stdout is no terminal or nothing works any more; needs no Ray, writes nothing."""
    reader = StatusReader(RunFolder.open(arguments.positionals[0]))
    status, out = reader.read(now=time.time()), arguments.stdout
    if not arguments.json:
        live = obeys(out)
        if live and not arguments.dry_run:
            status = _watch(reader, status, out)
        print(*status_lines(status, width=_size().columns - 1 if live else None), sep="\n", file=out, flush=True)
    return status.document()


def _watch(reader: StatusReader, status: RunStatus, out: TextIO) -> RunStatus:
    """Shows the run until it works no more, or Ctrl-C, by which a viewer ends well; gives what it showed last."""
    if not status.working:
        return status
    from rich.console import Console as Page  # here, so that --help and a log do without
    from rich.live import Live
    from rich.text import Text

    page = Page(file=out, force_terminal=True, force_jupyter=False)
    # The terminal's second screen: what was on the first stays, and scrolls no further.
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
                    time.sleep(_LOOK_SECONDS)
                status = reader.read(now=time.time())
    except KeyboardInterrupt:
        pass
    return status


def _size() -> os.terminal_size:
    return shutil.get_terminal_size()


if __name__ == "__main__":
    run_job(JOB, body)
