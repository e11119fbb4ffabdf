"""A job's command line: the arguments it accepts, how they are parsed, and its --help."""

import dataclasses
import re
import sys
from typing import Any, TextIO

from framework.config import Experiment, load_experiment, parse_overrides, with_overrides
from framework.config.describe import KeyHelp, aligned, help_text
from framework.config.secrets import login_fault
from framework.errors import ConfigError
from framework.runs import RunFolder
from framework.runs.begun import as_begun
from framework.search.space import check_space
from framework.telemetry.trackers import check_trackers
from jobs.cli.console import Console

_OVERRIDE = re.compile(r"[A-Za-z_][\w.-]*=")  # must not match s3://bucket/key?scheme=http
SWITCHES = ("--json", "--dry-run", "--verbose", "--help", "-h")
# Sections and single keys that several jobs read, as `Job.sections` names them.
WORKER_KEYS = ("evaluation.workers", "evaluation.gpus_per_worker", "compute.gpus_per_worker")
_FEATURE_KEYS = (
    *("evaluation.features", "evaluation.weights", "evaluation.tap", "evaluation.resize", "evaluation.precision"),
    *("evaluation.feature_batch_blocks", "evaluation.seed", *WORKER_KEYS),
)
SCORE_KEYS = (
    *("evaluation.metrics", "evaluation.engine", "evaluation.seeds", "evaluation.samples", "evaluation.truncation"),
    "evaluation.per_class",
    *_FEATURE_KEYS,
)
# A study opens a run, its images and its assessors, and works in tasks.
STUDY_KEYS = (
    *("data.path", "model.entry", *WORKER_KEYS, "assessor"),
    *("latents.seed", "latents.truncation", "latents.condition", "storage"),
)
# A training is scored while it runs, by `search.metric` even where it is the only trial.
TRAINING_SECTIONS = (
    *("name", "seed", "recipe", "recipes", "data", "model", "objective", "optimizer", "training"),
    *("evaluation.trial_samples", "evaluation.every_images", *_FEATURE_KEYS, "search.metric"),
    *("assessor", "checkpoint", "storage", "telemetry", "compute"),
)
_CUSTOM_GENERATOR = """\
  CONFIG     with model.entry=package.module:function, the generator is what your function returns;
             this runs your code, in this process and in every task on the cluster (docs/foreign.md)

"""


@dataclasses.dataclass(frozen=True)
class Job:
    """A job's arguments and the texts of its --help.

    Args:
        name: The job's module, as in `python -m jobs.<name>`.
        summary: The first line of --help.
        takes: The positional arguments as --help shows them, e.g. "CONFIG" or "RUN".
        sections: The sections of the configuration that --help lists.
        positionals: The minimum and maximum number of positional arguments.
        own: Keys that only this job has and the configuration does not; their values are text.
    """

    name: str
    summary: str | None
    takes: str
    sections: tuple[str, ...]
    positionals: tuple[int, int] = (1, 1)
    own: tuple[KeyHelp, ...] = ()


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A parsed command line. `stdout` is the process's real stdout: `sys.stdout` is redirected while a job runs."""

    job: str
    positionals: list[str]
    overrides: dict[str, Any]
    json: bool
    dry_run: bool
    verbose: bool
    console: Console
    stdout: TextIO
    command: list[str]
    own: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)  # lines that run.json keeps

    @property
    def takes_config(self) -> bool:
        """Whether the first positional is a YAML file."""
        return self.positionals[0].endswith((".yaml", ".yml"))

    def title(self, subject: str) -> str:
        """The name of this job in Ray's dashboard."""
        return f"{self.job} {subject}"

    def experiment(self) -> Experiment:
        """The experiment of the first positional argument, a YAML file or a run, with the overrides applied."""
        first = self.positionals[0]
        if self.takes_config:
            loaded = load_experiment(first, self.overrides, say=self.console.say_once)
            experiment = as_begun(loaded, say=self.console.say_once)
        else:
            experiment = with_overrides(RunFolder.open(first).experiment, self.overrides)
        check_space(experiment)
        check_trackers(experiment)
        return experiment

    def experiment_to_train(self) -> Experiment:
        """The experiment for a job that trains a generator; `training.start_from` is resolved.

        Raises:
            ConfigError: `model.entry` is set, or the experiment does not fit the networks to start from.
        """
        experiment = self.experiment()
        if experiment.model.entry is not None:
            raise ConfigError(
                f"model.entry: {experiment.model.entry}: jobs.{self.job} cannot train a custom generator; "
                "jobs.discover, steer, interpolate, arithmetic and evaluate accept one"
            )
        from framework.checkpoint.start import with_start  # imports torch, which --help does not need

        def say(line: str) -> None:
            self.console.say(line)
            self.notes.append(line)

        return with_start(experiment, self.overrides, say=say)

    def settings(self) -> Experiment:
        """The default configuration with the overrides applied, for jobs without a CONFIG argument."""
        return with_overrides(Experiment(), self.overrides)


def parse(job: Job, argv: list[str], console: Console) -> Arguments:
    """Parses the words after the job's name.

    Raises:
        ConfigError: A switch is unknown, or the number of positional arguments is wrong.
    """
    _refuse_logins(argv)
    unknown = [word for word in argv if word.startswith("-") and word not in SWITCHES]
    if unknown:
        switches = ", ".join(SWITCHES[:4])
        raise ConfigError(f"{unknown[0]}: unknown switch; use one of {switches}, or key=value for a setting")
    words = [word for word in argv if not word.startswith("-")]
    overrides = [word for word in words if _OVERRIDE.match(word)]
    positionals = [word for word in words if not _OVERRIDE.match(word)]
    least, most = job.positionals
    if not least <= len(positionals) <= most:
        raise ConfigError(
            f"jobs.{job.name} takes {job.takes} and key=value settings, not {len(positionals)} positional arguments; "
            f"see python -m jobs.{job.name} --help"
        )
    own = {key.key: key.default for key in job.own}
    own |= {key: value for key, _, value in (word.partition("=") for word in overrides) if key in own}
    return Arguments(
        job=job.name,
        positionals=positionals,
        overrides=parse_overrides(
            [word for word in overrides if word.partition("=")[0] not in own], say=console.say_once
        ),
        own=own,
        json="--json" in argv,
        dry_run="--dry-run" in argv,
        verbose="--verbose" in argv,
        console=console,
        stdout=sys.stdout,
        command=["python", "-m", f"jobs.{job.name}", *argv],
    )


def _refuse_logins(argv: list[str]) -> None:
    """A command line is recorded in run.json, so it must not contain a login.

    Raises:
        ConfigError: It does; the message does not repeat it.
    """
    for number, word in enumerate(argv, start=1):
        fault = login_fault(word)
        if fault:
            setting = _OVERRIDE.match(word)
            raise ConfigError(f"{setting[0].rstrip('=') if setting else f'argument {number}'}: {fault}")


def wants_help(argv: list[str]) -> bool:
    """Whether the words after the job's name ask for --help, whatever else they say."""
    return "--help" in argv or "-h" in argv


def help_of(job: Job) -> str:
    """The text of --help."""
    custom_generator = _CUSTOM_GENERATOR if "model.entry" in job.sections else ""
    own_keys = f"{aligned(list(job.own))}\n\n" if job.own else ""
    return (
        f"{job.summary}\n\n"
        f"usage: python -m jobs.{job.name} {job.takes} [key=value ...] [--switch ...]\n\n{custom_generator}"
        f"  --json     print one JSON document on stdout and everything else on stderr\n"
        f"  --dry-run  resolve the config, open the data, build the models, print the plan; write nothing\n"
        f"  --verbose  show Ray's own log lines too\n\n"
        f"Exit status: 0 success, 1 runtime error, 2 usage error, 130 interrupted\n\n"
        f"{own_keys}{help_text(list(job.sections))}"
    )
