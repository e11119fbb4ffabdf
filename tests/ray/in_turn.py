"""Runs jobs one after the other in one process: `python in_turn.py JOBS OUT`. What each costs to import is paid once.

JOBS is a JSON list of lists: the name of a job and its arguments. OUT gets the exit status of each; the first that
fails is the last. Each job prints to stderr alone.
"""

import contextlib
import importlib
import json
import sys
from pathlib import Path

from jobs.cli.job import run_job


def main(jobs, out):
    codes = []
    for name, *arguments in json.loads(Path(jobs).read_text()):
        job = importlib.import_module(f"jobs.{name}")
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run_job(job.JOB, job.body, arguments)
        except SystemExit as ended:
            codes.append(ended.code)
        if codes[-1]:
            break
    Path(out).write_text(json.dumps(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
