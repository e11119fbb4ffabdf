"""What all jobs share: arguments, one line for a mistake, exit codes, progress on stderr and one JSON document."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from framework.checkpoint.start import with_start
from framework.config import Experiment, load_experiment, parse_overrides, with_overrides
from framework.config.describe import KeyHelp, aligned, help_text
from framework.errors import ClusterLostError, ConfigError, LatentscapeError, TrainingError
from framework.runs import RunFolder
from framework.search.space import check_space
from framework.telemetry.trackers import check_trackers

_OVERRIDE = re.compile(r"[A-Za-z_][\w.-]*=")  # s3://bucket/key?scheme=http is no override
_SWITCHES = ("--json", "--dry-run", "--verbose", "--help", "-h")
_LOG_EVERY_SECONDS = 30.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OWN_GENERATOR = """\
  CONFIG     with model.entry=package.module:function: the generator is what that function of yours gives;
             it is code of yours and is run, here and in every task (docs/foreign.md)

"""


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job's --help says and what it takes.

    Args:
        name: Its module, as in `python -m jobs.<name>`.
        summary: One line.
        takes: Its positional arguments as shown, e.g. "CONFIG" or "RUN".
        sections: The config's sections that matter to it.
        positionals: The least and the most positional arguments.
        own: Keys of its own beside the config's; their values are text.
    """

    name: str
    summary: str | None
    takes: str
    sections: tuple[str, ...]
    positionals: tuple[int, int] = (1, 1)
    own: tuple[KeyHelp, ...] = ()


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A parsed command line, and the process's own stdout, which a job's `sys.stdout` is not."""

    job: str
    positionals: list[str]
    overrides: dict[str, Any]
    json: bool
    dry_run: bool
    verbose: bool
    console: "Console"
    stdout: TextIO
    command: list[str]
    own: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def takes_config(self) -> bool:
        """Whether the first positional is a YAML file."""
        return self.positionals[0].endswith((".yaml", ".yml"))

    def title(self, subject: str) -> str:
        """What Ray's dashboard calls this job."""
        return f"{self.job} {subject}"

    def experiment(self) -> Experiment:
        """From the first positional: a YAML file, or a run whose own experiment it is."""
        first = self.positionals[0]
        if self.takes_config:
            experiment = load_experiment(first, self.overrides)
        else:
            experiment = with_overrides(RunFolder.open(first).experiment, self.overrides)
        check_space(experiment)
        check_trackers(experiment)
        return experiment

    def experiment_to_train(self) -> Experiment:
        """Likewise, for jobs that train a generator, begun with `training.start_from` where that is said.

        Raises:
            ConfigError: It is one of the user's own, or does not fit what it is to begin with.
        """
        experiment = self.experiment()
        if experiment.model.entry is not None:
            raise ConfigError(
                f"model.entry: {experiment.model.entry}: jobs.{self.job} trains a generator, and one of your own "
                "cannot be trained here; jobs.discover, steer, interpolate, arithmetic and evaluate take it"
            )
        return with_start(experiment, self.overrides, say=self.console.say)

    def settings(self) -> Experiment:
        """The defaults with the overrides, for jobs that take no config."""
        return with_overrides(Experiment(), self.overrides)


class Console:
    """Stderr for people: one live line on a terminal, a line every 30 s in a log."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = 0
        self._last_line = 0.0
        self._interrupted = False
        self._first: Callable[[int], None] | None = None

    def interrupt(self, number: int, _: object = None) -> None:
        """The handler of SIGINT and SIGTERM."""
        first, self._first = self._first, None
        if first is not None:
            first(number)
            return
        self._interrupted = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def first_interrupt(self, ask: Callable[[int], None]) -> Iterator[None]:
        """Within the block the first interrupt only calls `ask` with the signal's number; the next one interrupts."""
        self._first = ask
        try:
            yield
        finally:
            self._first = None

    def end(self, text: str) -> None:
        """Says why, on any thread, and ends the process as SIGTERM does."""
        self.say(text)
        self._interrupted = True
        os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """The line that is replaced by the next one.

        Raises:
            KeyboardInterrupt: There was one, but it was lost: Python drops what a handler raises within a finaliser.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        if self._live:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            text = text[: width - 1]
            print("\r" + text.ljust(self._shown), end="", file=sys.stderr, flush=True)
            self._shown = len(text)
        elif time.monotonic() - self._last_line >= _LOG_EVERY_SECONDS:
            self._last_line = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def counter(self, what: str) -> Callable[[int, int], None]:
        """A progress callable (done, total) with the time left."""
        started = time.monotonic()

        def show(done: int, total: int) -> None:
            left = (time.monotonic() - started) / max(done, 1) * (total - done)
            self.progress(f"{what}: {done:,} of {total:,}, {duration(left)} left")

        return show

    def _clear(self) -> None:
        if self._shown:
            print("\r" + " " * self._shown + "\r", end="", file=sys.stderr, flush=True)
            self._shown = 0


def run_job(job: Job, body: Callable[[Arguments], dict[str, Any] | None], argv: list[str] | None = None) -> None:
    """Parses, calls, prints, and ends the process: 0, 2 (user's mistake), 1 (fault) or 130 (interrupted)."""
    console = Console()
    command = shlex.join(["python", "-m", f"jobs.{job.name}", *(sys.argv[1:] if argv is None else argv)])
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for what a script starts with `&`
            signal.signal(number, console.interrupt)
    try:
        arguments = _parse(job, sys.argv[1:] if argv is None else argv, console)
        with contextlib.redirect_stdout(sys.stderr):  # libraries print now and then; stdout is for the document
            document = body(arguments)
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
            console.say(traceback.format_exc().rstrip())
    sys.stdout.flush()
    sys.exit(code)


def _parse(job: Job, argv: list[str], console: Console) -> Arguments:
    if "--help" in argv or "-h" in argv:
        print(_help(job))
        sys.exit(0)
    unknown = [word for word in argv if word.startswith("-") and word not in _SWITCHES]
    if unknown:
        raise ConfigError(f"{unknown[0]}: unknown switch; there are {', '.join(_SWITCHES[:4])}, settings are key=value")
    words = [word for word in argv if not word.startswith("-")]
    overrides = [word for word in words if _OVERRIDE.match(word)]
    positionals = [word for word in words if not _OVERRIDE.match(word)]
    least, most = job.positionals
    if not least <= len(positionals) <= most:
        raise ConfigError(
            f"jobs.{job.name} takes {job.takes} and key=value, not {len(positionals)} positional arguments: "
            f"python -m jobs.{job.name} --help"
        )
    own = {key.key: key.default for key in job.own}
    own |= {key: value for key, _, value in (word.partition("=") for word in overrides) if key in own}
    return Arguments(
        job=job.name,
        positionals=positionals,
        overrides=parse_overrides([word for word in overrides if word.partition("=")[0] not in own]),
        own=own,
        json="--json" in argv,
        dry_run="--dry-run" in argv,
        verbose="--verbose" in argv,
        console=console,
        stdout=sys.stdout,
        command=["python", "-m", f"jobs.{job.name}", *argv],
    )


def _help(job: Job) -> str:
    own = _OWN_GENERATOR if "model.entry" in job.sections else ""
    beside = f"{aligned(list(job.own))}\n\n" if job.own else ""
    return (
        f"{job.summary}\n\n"
        f"usage: python -m jobs.{job.name} {job.takes} [key=value ...] [--switch ...]\n\n{own}"
        f"  --json     one JSON document on stdout, all else on stderr\n"
        f"  --dry-run  resolve the config, open the data, build the models, print the plan; write nothing\n"
        f"  --verbose  Ray's own log lines too\n\n"
        f"exit status: 0 done, 2 a mistake in what was asked, 1 a fault, 130 interrupted\n\n"
        f"{beside}{help_text(list(job.sections))}"
    )


def duration(seconds: float) -> str:
    """3725.0 -> '1 h 02 min'.

    >>> duration(3725.0), duration(65.0), duration(9.0)
    ('1 h 02 min', '1 min 05 s', '9 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


def shown(location: str) -> str:
    """A path as short as it can be said from here; a URI as it is."""
    if "://" in location:
        return location
    relative = os.path.relpath(location)
    return relative if not relative.startswith("..") else str(Path(location))
