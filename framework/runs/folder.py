"""The folder of a run. Paths in its files are relative to it, so that it can be moved and zipped."""

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self

from framework.config import Experiment, StorageConfig, experiment_from_text, to_yaml, with_overrides
from framework.config.recipes import searched_settings
from framework.errors import CheckpointError, ConfigError, StorageError
from framework.runs.documents import About, Best, Scores, read_document
from framework.runs.machine import machine, versions
from framework.runs.settings import differences, what_gives_back
from framework.runs.trial import PARAMS, TrialFolder, plain
from framework.storage import Folder, is_uri, open_folder
from framework.storage.folder import storage_errors

EXPERIMENT = "experiment.yaml"
RUN = "run.json"
LEADERBOARD = "leaderboard.csv"
BEST = "best.json"
SCORES = "scores.json"
TEXT_COLUMNS = ("trial", "state", "warnings", "error", "within_noise", "lineage")
FIRST_COLUMNS = ("rank", "trial")
MORE_COLUMNS = (
    "seeds",
    "score_mean",
    "score_sd",
    "within_noise",
    "lineage",
    "budget_minutes",
    "cpu_minutes",
    "gpu_minutes",
    "reason",
)  # only with repeats, in population based training, with a budget, by device, and where a training ended early
LAST_COLUMNS = (
    *("score", "score_images_seen", "last_score", "images_seen", "images_per_second", "state", "warnings", "error"),
)


class RunFolder:
    """The folder `<storage.path>/<name>`, and all files in it that do not belong to a trial."""

    def __init__(self, folder: Folder, experiment: Experiment) -> None:
        self.folder = folder
        self.experiment = experiment
        self.artifacts = folder / "artifacts"
        self.directions = folder / "directions"
        self.projections = folder / "projections"

    @classmethod
    def create(cls, experiment: Experiment, command: list[str], *, data: dict[str, Any] | None = None) -> Self:
        """Creates the run of an experiment, or opens it to resume it.

        Args:
            experiment: The resolved experiment, which is written to experiment.yaml.
            data: Facts about the images for run.json; their `digest` must be that of the existing run.

        Raises:
            ConfigError: storage.path is relative within a submitted job.
            CheckpointError: The run has checkpoints of different settings or images; nothing is changed then.
            StorageError: The storage cannot be reached or written.
        """
        run = cls(run_place(experiment), experiment)
        before = run.about
        run.refuse_other_settings(data or {})
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
        """Opens the run at a path or URI; storage.path and name of its experiment are set to its current location.

        Raises:
            CheckpointError: There is no run at this location, or its experiment.yaml is a link to somewhere else.
            ConfigError: Its experiment.yaml is damaged, or of a newer version; each line names the file.
        """
        folder = open_folder(location)
        if not folder.exists(EXPERIMENT):
            raise CheckpointError(f"{folder.location}: is not a run (it has no {EXPERIMENT})")
        _refuse_link_out(folder)
        text, source = folder.read_text(EXPERIMENT), f"{folder.location}/{EXPERIMENT}"
        try:
            experiment = experiment_from_text(text, source=source, of_run=True)
        except ConfigError as fault:
            lines = (line if line.startswith(source) else f"{source}: {line}" for line in fault.faults)
            raise ConfigError(*lines) from None
        moved = {"storage.path": folder.parent.location, "name": folder.name}
        try:
            return cls(folder, with_overrides(experiment, moved))
        except ConfigError:  # the folder was renamed to a name that is not allowed; the run can still be read
            return cls(folder, with_overrides(experiment, {"storage.path": folder.parent.location}))

    @property
    def about(self) -> dict[str, Any]:
        """The content of run.json: command, machine, versions, data, started, ended, warnings and noted keys."""
        return read_document(self.folder, RUN, About) if self.folder.exists(RUN) else {}

    def note(self, **about: Any) -> None:
        """Sets keys of run.json and keeps the others: `run.note(ended=now(), warnings=[…])`."""
        self.folder.write_json(RUN, plain({**self.about, **about}))

    def trial(self, name: str) -> TrialFolder:
        """The folder of a trial, which need not exist yet."""
        return TrialFolder(self.folder / "trials" / name)

    def trained_by(self, checkpoint: str) -> Experiment:
        """The experiment with the searched settings of a checkpoint's trial (`trials/<id>/checkpoints/<name>`)."""
        trial = self.trial(PurePosixPath(checkpoint).parts[1])
        try:
            return with_overrides(self.experiment, trial.params)
        except ConfigError as fault:
            raise StorageError(f"{trial.folder.location}/{PARAMS}: {fault.faults[0]}") from None

    def trials(self) -> list[TrialFolder]:
        """All trials with a folder, sorted by name.

        Raises:
            StorageError: The name of a folder is not Unicode, so that no document can name it.
        """
        names = (self.folder / "trials").list()
        for name in names:
            if not name.isascii() and name.encode(errors="replace").decode() != name:
                raise StorageError(f"{self.folder.location}/trials: has a name that is not Unicode, {name!r}")
        return [self.trial(name) for name in names]

    def best(self) -> dict[str, Any] | None:
        """`trial`, `checkpoint` (path within the run), `images_seen`, `score`; None before the first score."""
        return read_document(self.folder, BEST, Best) if self.folder.exists(BEST) else None

    def write_best(self, best: dict[str, Any]) -> None:
        """Replaces best.json."""
        self.folder.write_json(BEST, best)

    def leaderboard(self) -> list[dict[str, Any]]:
        """The rows of leaderboard.csv, best first, with numbers as numbers and empty cells as None."""
        if not self.folder.exists(LEADERBOARD):
            return []
        return _table(self.folder.read_text(LEADERBOARD), place=f"{self.folder.location}/{LEADERBOARD}")

    def write_leaderboard(self, rows: list[dict[str, Any]]) -> None:
        """Replaces leaderboard.csv; unknown columns are searched keys and come after the trial."""
        keys = dict.fromkeys(key for row in rows for key in row)
        known = (*FIRST_COLUMNS, *MORE_COLUMNS, *LAST_COLUMNS)
        searched = [key for key in keys if key not in known]
        more = [key for key in MORE_COLUMNS if key in keys]
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, [*FIRST_COLUMNS, *searched, *more, *LAST_COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.folder.write_text(LEADERBOARD, stream.getvalue())

    def scores(self) -> list[dict[str, Any]]:
        """The scores in scores.json: `metric`, `value`, `protocol`, `checkpoint` (a path within the run)."""
        return list(read_document(self.folder, SCORES, Scores)["scores"]) if self.folder.exists(SCORES) else []

    def add_scores(self, scores: list[dict[str, Any]]) -> None:
        """Adds scores to scores.json; a score of the same metric, protocol and checkpoint is replaced."""
        known = self.scores()
        for score in scores:
            places = [index for index, old in enumerate(known) if _subject(old) == _subject(score)]
            if places:
                known[places[0]] = score
            else:
                known.append(score)
        self.folder.write_json(SCORES, {"scores": known})

    def refuse_other_settings(self, data: dict[str, Any]) -> None:
        """Refuses to resume the run with other settings or images than its checkpoints have; writes nothing.

        Args:
            data: Facts about the images; without a `digest`, the images are not compared.

        Raises:
            CheckpointError: Its checkpoints were made with other settings or images.
        """
        if not self.folder.exists(EXPERIMENT) or not any(trial.checkpoints.list() for trial in self.trials()):
            return
        began = RunFolder.open(self.folder.location).experiment
        saved, current = {**began.learned()}, {**self.experiment.learned()}
        old, new = (self.about.get("data") or {}).get("digest"), data.get("digest")
        if old and new:
            saved["data"], current["data"] = old, new
        search = self.experiment.search.space
        searched = {*search, *searched_settings(self.experiment)}  # each trial has its own values
        lines = differences(saved, current)
        if "data" in lines:
            lines["data"] = f"{lines['data']}, {what_gives_back(began.data, self.experiment.data)}"
        changed = [line for key, line in lines.items() if key not in searched]
        if changed:
            raise CheckpointError(
                f"{self.folder.location}: has checkpoints made with different settings ({'; '.join(changed)}); "
                "restore them, or use another name to start a new run"
            )


def run_place(experiment: Experiment) -> Folder:
    """The folder of an experiment's run; nothing is created.

    Raises:
        ConfigError: storage.path is relative within a submitted job.
        StorageError: There is a file in its place.
    """
    refuse_vanishing_storage(experiment.storage)
    return _checked(open_folder(experiment.storage.path)) / experiment.name


def cache_folder(storage: StorageConfig) -> Path:
    """The folder on this machine where packed images, statistics and assessors are kept between runs.

    It is storage.cache_path, else $LATENTSCAPE_CACHE, else <storage.path>/.cache, or ~/.cache/latentscape if
    storage.path is a URI.
    """
    chosen = storage.cache_path or os.environ.get("LATENTSCAPE_CACHE")
    if chosen and _is_elsewhere(chosen):
        raise ConfigError(f"storage.cache_path: must be a local or mounted folder, not {chosen}")
    if not chosen:
        elsewhere = _is_elsewhere(storage.path)
        chosen = "~/.cache/latentscape" if elsewhere else (open_folder(storage.path) / ".cache").location
    return Path(_checked(open_folder(chosen)).location)


def _checked(folder: Folder) -> Folder:
    """The same folder, unless something that is no folder is in its place or above it: a StorageError."""
    if folder.is_local:
        path = Path(folder.location)
        with storage_errors(folder.location, "reached"):
            place = next(place for place in (path, *path.parents) if place.exists())
            is_folder = place.is_dir()
        if not is_folder:
            raise StorageError(f"{place}: is not a folder, which storage.path and storage.cache_path must be")
    return folder


def refuse_vanishing_storage(storage: StorageConfig) -> None:
    """Refuses a relative storage.path in a job of `ray job submit`: it would be deleted with the job's code.

    Raises:
        ConfigError: storage.path is such a folder.
    """
    # Ray sets this variable only for the entry point of a submitted job.
    submitted = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if submitted and not is_uri(storage.path) and not storage.path.startswith(("/", "~")):
        raise ConfigError(
            f"storage.path: {storage.path} would be deleted with this submitted job; "
            "use an absolute path on shared storage, or a URI"
        )


def now() -> str:
    """The current time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _refuse_link_out(folder: Folder) -> None:
    """Refuses an experiment.yaml that is a link out of its run: errors would show lines of another file.

    Raises:
        CheckpointError: It is such a link.
    """
    file = Path(folder.location) / EXPERIMENT
    if folder.is_local and file.is_symlink() and not file.resolve().is_relative_to(Path(folder.location).resolve()):
        raise CheckpointError(f"{file}: is a link out of the run; put a copy of the file in its place")


def _is_elsewhere(location: str) -> bool:
    return is_uri(location) and not location.startswith("file://")


def _table(text: str, *, place: str) -> list[dict[str, Any]]:
    """The rows of a leaderboard.

    Raises:
        StorageError: It is not a table, or a row lacks a cell, its trial, or a rank that is a number or empty.
    """
    try:
        head, *lines = csv.reader(io.StringIO(text, newline=""))
    except (csv.Error, ValueError) as fault:  # ValueError: it has no line
        raise StorageError(f"{place}: is not a table with a heading ({fault})") from None
    rows = []
    for number, line in enumerate(lines, start=2):
        if len(line) != len(head):
            raise StorageError(f"{place}, row {number}: has {len(line)} cells, but the heading has {len(head)}")
        row = {key: _cell(value, text=key in TEXT_COLUMNS) for key, value in zip(head, line, strict=True)}
        if not row.get("trial") or not isinstance(row.get("rank", ""), int | None):
            raise StorageError(f"{place}, row {number}: must have a trial, and a whole number or nothing as its rank")
        rows.append(row)
    return rows


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
