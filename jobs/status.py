"""How a run's trials stand, while they train or after; on a terminal anew every 2 s, until the job's end."""

import os
import shutil
import time
from typing import Any, TextIO

from framework.report.status import RunStatus, StatusReader
from framework.runs import RunFolder
from jobs.cli.job import Arguments, Job, run_job
from jobs.cli.status_table import status_lines

JOB = Job("status", __doc__, "RUN", ())
_REFRESH_SECONDS = 2.0
# The terminal's second screen, without a cursor, and back: what was on it before stays, and scrolls no further.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
# Each line is written over the old one and its rest cleared: a screen that is cleared first flickers.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def body(arguments: Arguments) -> dict[str, Any]:
    """Prints the table once where stdout is no terminal or nothing works any more; needs no Ray, writes nothing."""
    reader = StatusReader(RunFolder.open(arguments.positionals[0]))
    status, out = reader.read(now=time.time()), arguments.stdout
    if not arguments.json:
        live = out.isatty() and os.environ.get("TERM") != "dumb"
        if live and not arguments.dry_run:
            status = _watch(reader, status, out)
        print(*status_lines(status, width=_size().columns - 1 if live else None), sep="\n", file=out, flush=True)
    return status.document()


def _watch(reader: StatusReader, status: RunStatus, out: TextIO) -> RunStatus:
    """Shows the run until it works no more, or Ctrl-C, by which a viewer ends well; gives what it showed last."""
    if not status.working:
        return status
    print(_ENTER, end="", file=out)
    try:
        while status.working:
            size = _size()
            # A line of full width would leave the cursor where clearing takes its last character away.
            lines = status_lines(status, width=size.columns - 1, height=size.lines)
            frame = "\n".join(line + _CLEAR_LINE for line in lines)
            print(_HOME + frame + _CLEAR_BELOW, end="", file=out, flush=True)
            time.sleep(_REFRESH_SECONDS)
            status = reader.read(now=time.time())
    except KeyboardInterrupt:
        pass
    finally:
        print(_LEAVE, end="", file=out, flush=True)
    return status


def _size() -> os.terminal_size:
    return shutil.get_terminal_size()


if __name__ == "__main__":
    run_job(JOB, body)
