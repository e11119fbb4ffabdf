"""A job's command line: what it takes, what was typed, and its --help."""

import dataclasses
import re
import sys
from typing import Any, TextIO

from framework.config import Experiment, load_experiment, parse_overrides, with_overrides
from framework.config.describe import KeyHelp, aligned, help_text
from framework.errors import ConfigError
from framework.runs import RunFolder
from framework.search.space import check_space
from framework.telemetry.trackers import check_trackers
from jobs.cli.console import Console

_OVERRIDE = re.compile(r"[A-Za-z_][\w.-]*=")  # s3://bucket/key?scheme=http is no override
SWITCHES = ("--json", "--dry-run", "--verbose", "--help", "-h")
# Sections and single keys that several jobs read, as `Job.sections` names them.
WORKER_KEYS = ("evaluation.workers", "evaluation.gpus_per_worker", "compute.gpus_per_worker")
_FEATURE_KEYS = (
    *("evaluation.features", "evaluation.weights", "evaluation.tap", "evaluation.resize", "evaluation.precision"),
    *("evaluation.feature_batch_blocks", "evaluation.seed", *WORKER_KEYS),
)
SCORE_KEYS = (
    *("evaluation.metrics", "evaluation.engine", "evaluation.seeds", "evaluation.samples"),
    *_FEATURE_KEYS,
)
# A study opens a run, its images and its assessors, and works in tasks.
STUDY_KEYS = ("data.path", "model.entry", *WORKER_KEYS, "assessor", "latents.seed", "storage")
# A training is scored while it runs, by `search.metric` even where it is the only trial.
TRAINING_SECTIONS = (
    *("name", "seed", "data", "model", "objective", "optimizer", "training"),
    *("evaluation.trial_samples", "evaluation.every_images", *_FEATURE_KEYS, "search.metric"),
    *("assessor", "checkpoint", "storage", "telemetry", "compute"),
)
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
    console: Console
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
            experiment = load_experiment(first, self.overrides, say=self.console.say_once)
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
        from framework.checkpoint.start import with_start  # imports torch, which --help does without

        return with_start(experiment, self.overrides, say=self.console.say)

    def settings(self) -> Experiment:
        """The defaults with the overrides, for jobs that take no config."""
        return with_overrides(Experiment(), self.overrides)


def parse(job: Job, argv: list[str], console: Console) -> Arguments:
    """What was typed after the job's name; --help is answered here and ends the process.

    Raises:
        ConfigError: The job does not take that.
    """
    if "--help" in argv or "-h" in argv:
        print(_help(job))
        sys.exit(0)
    unknown = [word for word in argv if word.startswith("-") and word not in SWITCHES]
    if unknown:
        raise ConfigError(f"{unknown[0]}: unknown switch; there are {', '.join(SWITCHES[:4])}, settings are key=value")
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
