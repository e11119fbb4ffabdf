# PYTHON_ARGCOMPLETE_OK
"""The command `latentscape`: runs a job by its name, as `python -m jobs.<name>` does."""

import ast
import difflib
import importlib.metadata
import os
import shutil
import sys
import textwrap

from jobs.cli import process
from jobs.cli.console import one_line
from jobs.cli.job_files import job_names, job_source

_USAGE = """\
usage: latentscape JOB [argument ...] [key=value ...] [--switch ...]

"""
_MORE = """
latentscape JOB --help   the arguments and keys of a job
latentscape --version    the version of Latentscape
"""


def main() -> None:
    """Lists the jobs, or replaces this process by the job that the arguments name."""
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        from jobs.cli.completion import complete

        complete()
    words = sys.argv[1:]
    if not words or words[0] in ("--help", "-h"):
        _print(f"{_USAGE}{_listing()}\n{_MORE}")
        return
    if words[0] == "--version":
        _print(f"latentscape {_version()}\n")
        return
    module = words[0].replace("-", "_")
    if module not in job_names():
        _refuse(words[0])
    # exec keeps the process: sys.path, sys.argv, signals and the exit status are exactly those of `python -m`.
    process.replace_process(sys.executable, "-m", f"jobs.{module}", *words[1:])


def _print(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except OSError as fault:
        print(f"error: {fault.filename or 'stdout'}: {fault.strerror}", file=sys.stderr)
        sys.exit(2)


def _listing() -> str:
    """One line per job, wrapped to the width of the terminal."""
    names = job_names()
    indent = max(map(len, names)) + 4
    width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else sys.maxsize
    lines = [(ast.get_docstring(job_source(name)) or "").partition("\n")[0] for name in names]
    return "\n".join(
        textwrap.fill(
            line, max(width, indent + 20), initial_indent=f"  {name:<{indent - 2}}", subsequent_indent=" " * indent
        )
        for name, line in zip(names, lines, strict=True)
    )


def _refuse(typed: str) -> None:
    if typed.startswith("-"):
        reason = "unknown switch; use --help or --version, or put switches after the name of a job"
    else:
        close = difflib.get_close_matches(typed.replace("-", "_"), job_names())
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        reason = f"no such job{meant} (run latentscape alone to list the jobs)"
    print(f"error: {one_line(typed)}: {reason}", file=sys.stderr)
    sys.exit(2)


def _version() -> str:
    try:
        return importlib.metadata.version("latentscape")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


if __name__ == "__main__":
    main()
