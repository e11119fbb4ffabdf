"""RUN: one experiment's folder. Paths inside its files are relative to it, so that it can be moved and zipped."""

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self

from framework.config import Experiment, StorageConfig, experiment_from_text, to_yaml, with_overrides
from framework.errors import CheckpointError, ConfigError
from framework.runs.machine import machine, versions
from framework.runs.settings import differences
from framework.runs.trial import TrialFolder, plain
from framework.storage import Folder, is_uri, open_folder

EXPERIMENT = "experiment.yaml"
RUN = "run.json"
LEADERBOARD = "leaderboard.csv"
BEST = "best.json"
SCORES = "scores.json"
TEXT_COLUMNS = ("trial", "state", "warnings", "error", "within_noise", "lineage")
FIRST_COLUMNS = ("rank", "trial")
MORE_COLUMNS = ("seeds", "score_mean", "score_sd", "within_noise", "lineage")  # where repeated, or copied from others
LAST_COLUMNS = (
    *("score", "score_images_seen", "last_score", "images_seen", "images_per_second", "state", "warnings", "error"),
)


class RunFolder:
    """The folder `<storage.path>/<name>` and every file in it that is not a trial's."""

    def __init__(self, folder: Folder, experiment: Experiment) -> None:
        self.folder = folder
        self.experiment = experiment
        self.artifacts = folder / "artifacts"
        self.directions = folder / "directions"
        self.projections = folder / "projections"

    @classmethod
    def create(cls, experiment: Experiment, command: list[str], *, data: dict[str, Any] | None = None) -> Self:
        """The run of an experiment, begun or gone on with.

        Args:
            experiment: Resolved; becomes experiment.yaml.
            command: As typed.
            data: What run.json says of the images; its `digest` is compared with that of the run's beginning.

        Raises:
            ConfigError: A relative storage.path within a submitted job.
            CheckpointError: The run has checkpoints of other settings or other images; nothing was changed.
            StorageError: The storage cannot be reached or written.
        """
        run = cls(run_place(experiment), experiment)
        before = run.about
        run._refuse_other_settings(experiment, data or {}, before)
        run.folder.write_text(EXPERIMENT, to_yaml(experiment))
        run.note(
            command=list(command),
            machine=machine(),
            versions=versions(),
            **({"data": data} if data else {}),
            started=before.get("started") or now(),
            ended=None,
            warnings=[],
        )
        return run

    @classmethod
    def open(cls, location: str | Path) -> Self:
        """The run at a path or URI, wherever it was moved to: its experiment's storage.path and name follow.

        Raises:
            CheckpointError: There is no run.
        """
        folder = open_folder(location)
        if not folder.exists(EXPERIMENT):
            raise CheckpointError(f"{folder.location}: is no run (it has no {EXPERIMENT})")
        text, source = folder.read_text(EXPERIMENT), f"{folder.location}/{EXPERIMENT}"
        experiment = experiment_from_text(text, source=source)
        moved = {"storage.path": folder.parent.location, "name": folder.name}
        try:
            return cls(folder, with_overrides(experiment, moved))
        except ConfigError:  # a name that only a person would give; the run is readable all the same
            return cls(folder, with_overrides(experiment, {"storage.path": folder.parent.location}))

    @property
    def about(self) -> dict[str, Any]:
        """What run.json holds: command, machine, versions, data, started, ended, warnings and what was noted."""
        return self.folder.read_json(RUN) if self.folder.exists(RUN) else {}

    def note(self, **about: Any) -> None:
        """Set keys of run.json, the others stay: `run.note(ended=now(), warnings=[…])`."""
        self.folder.write_json(RUN, plain({**self.about, **about}))

    def trial(self, name: str) -> TrialFolder:
        """A trial's folder; need not be there yet."""
        return TrialFolder(self.folder / "trials" / name)

    def trained_by(self, checkpoint: str) -> Experiment:
        """Its experiment with what the search set for the trial of a checkpoint: `trials/<id>/checkpoints/<name>`."""
        return with_overrides(self.experiment, self.trial(PurePosixPath(checkpoint).parts[1]).params)

    def trials(self) -> list[TrialFolder]:
        """All trials that have a folder, by name."""
        return [self.trial(name) for name in (self.folder / "trials").list()]

    def best(self) -> dict[str, Any] | None:
        """`trial`, `checkpoint` (path within the run), `images_seen`, `score`; None before the first score."""
        return self.folder.read_json(BEST) if self.folder.exists(BEST) else None

    def write_best(self, best: dict[str, Any]) -> None:
        """Replace best.json."""
        self.folder.write_json(BEST, best)

    def leaderboard(self) -> list[dict[str, Any]]:
        """Rows of leaderboard.csv, best first: numbers as numbers, an empty cell as None."""
        if not self.folder.exists(LEADERBOARD):
            return []
        rows = csv.DictReader(io.StringIO(self.folder.read_text(LEADERBOARD), newline=""))
        return [{key: _cell(value, text=key in TEXT_COLUMNS) for key, value in row.items()} for row in rows]

    def write_leaderboard(self, rows: list[dict[str, Any]]) -> None:
        """Replace leaderboard.csv; what is no known column is a searched key and stands after the trial."""
        every = dict.fromkeys(key for row in rows for key in row)
        known = (*FIRST_COLUMNS, *MORE_COLUMNS, *LAST_COLUMNS)
        searched = [key for key in every if key not in known]
        more = [key for key in MORE_COLUMNS if key in every]
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, [*FIRST_COLUMNS, *searched, *more, *LAST_COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.folder.write_text(LEADERBOARD, stream.getvalue())

    def scores(self) -> list[dict[str, Any]]:
        """scores.json: `metric`, `value`, `protocol` and the `checkpoint` (path within the run) of each."""
        return list(self.folder.read_json(SCORES)["scores"]) if self.folder.exists(SCORES) else []

    def add_scores(self, scores: list[dict[str, Any]]) -> None:
        """Add scores; one of the same metric, protocol and checkpoint is replaced."""
        known = self.scores()
        for score in scores:
            places = [index for index, old in enumerate(known) if _subject(old) == _subject(score)]
            if places:
                known[places[0]] = score
            else:
                known.append(score)
        self.folder.write_json(SCORES, {"scores": known})

    def _refuse_other_settings(self, experiment: Experiment, data: dict[str, Any], before: dict[str, Any]) -> None:
        if not self.folder.exists(EXPERIMENT) or not any(trial.checkpoints.list() for trial in self.trials()):
            return
        there = {**RunFolder.open(self.folder.location).experiment.learned()}
        here = {**experiment.learned()}
        old, new = (before.get("data") or {}).get("digest"), data.get("digest")
        if old and new:
            there["data"], here["data"] = old, new
        searched = set(experiment.search.space)  # each trial has its own
        found = [line for key, line in differences(there, here).items() if key not in searched]
        if found:
            raise CheckpointError(
                f"{self.folder.location}: has checkpoints made with other settings ({'; '.join(found)}); "
                "give back its settings, or another name to begin anew"
            )


def run_place(experiment: Experiment) -> Folder:
    """Where an experiment's run lies; nothing is made.

    Raises:
        ConfigError: A relative storage.path within a submitted job.
    """
    refuse_vanishing_storage(experiment.storage)
    return open_folder(experiment.storage.path) / experiment.name


def cache_folder(storage: StorageConfig) -> Path:
    """Where packed images, statistics and assessors are kept between runs, on this machine.

    storage.cache_path, else $LATENTSCAPE_CACHE, else <storage.path>/.cache; for a URI ~/.cache/latentscape.
    """
    chosen = storage.cache_path or os.environ.get("LATENTSCAPE_CACHE")
    if chosen and _is_elsewhere(chosen):
        raise ConfigError(f"storage.cache_path: wants a folder on this machine or a mount, not {chosen}")
    if not chosen:
        elsewhere = _is_elsewhere(storage.path)
        chosen = "~/.cache/latentscape" if elsewhere else (open_folder(storage.path) / ".cache").location
    return Path(open_folder(chosen).location)


def refuse_vanishing_storage(storage: StorageConfig) -> None:
    """Within a job that `ray job submit` started, a relative folder would vanish with the job's copy of the code.

    Raises:
        ConfigError: storage.path is such a folder.
    """
    # Ray sets this variable for the entry point of a submitted job and nowhere else.
    submitted = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if submitted and not is_uri(storage.path) and not Path(storage.path).expanduser().is_absolute():
        raise ConfigError(
            f"storage.path: {storage.path} would vanish with this submitted job; "
            "name a folder that stays (an absolute path on shared storage) or a URI"
        )


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_elsewhere(location: str) -> bool:
    return is_uri(location) and not location.startswith("file://")


def _subject(score: dict[str, Any]) -> tuple[Any, ...]:
    return score.get("metric"), score.get("protocol"), score.get("checkpoint")


def _cell(value: str, *, text: bool) -> Any:
    if value == "":
        return None
    for kind in () if text else (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
