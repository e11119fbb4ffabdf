"""The trial registry of a search: settings, states and scores of trials, read from RUN and updated while it runs.

All decisions (samplers, early stopping, repeats) are made from the registry, and RUN has everything that it holds. So a
search that was killed decides after a restart as if it had never stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from framework.errors import StorageError
from framework.metrics import cost
from framework.runs import RunFolder, TrialFolder
from framework.runs.trial import ENDED, METRICS, PARAMS

Curve = Sequence[tuple[int, float]]
"""(images seen, cost) of each evaluation of a trial, oldest first. A cost is the score, negated if higher is better."""


@dataclass
class TrialRecord:
    """One trial.

    Attributes:
        trial: Its name, which is its folder in RUN/trials.
        parameters: The searched keys with their values.
        state: pending, running, interrupted, waiting (for the others of its population), finished, stopped or failed.
        curve: Its scores so far, as costs.
        images_seen: Images seen at its newest report.
        repeat_of: For a repeat with another seed, the trial whose setting it repeats.
        total_images: Its length, if it differs from `training.total_images`.
    """

    trial: str
    parameters: dict[str, JsonValue]
    state: str = "pending"
    curve: list[tuple[int, float]] = field(default_factory=list)
    images_seen: int = 0
    repeat_of: str | None = None
    total_images: int | None = None

    @property
    def ended(self) -> bool:
        """Whether it will not be resumed: it has finished, was stopped or has failed."""
        return self.state in ENDED

    @property
    def best(self) -> float | None:
        """The cost of its best evaluation, by which trials are ranked; None without one."""
        return min((score for _, score in self.curve), default=None)


class TrialRegistry:
    """The trials of a run, in the order of their numbers."""

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        self._records = {record.trial: record for record in records}

    @classmethod
    def of(cls, run: RunFolder) -> "TrialRegistry":
        """The registry of a run, read from its folder.

        Raises:
            StorageError: A document of a trial is damaged, or the settings of a trial that was trained are missing.
        """
        return cls([_record_of(trial) for trial in run.trials() if _has_begun(trial)])

    def __getitem__(self, trial: str) -> TrialRecord:
        return self._records[trial]

    def settings(self) -> list[TrialRecord]:
        """One record per setting: all trials except repeats."""
        return [record for record in self._records.values() if record.repeat_of is None]

    def repeats(self, of: str) -> list[TrialRecord]:
        """The repeats of a trial's setting."""
        return [record for record in self._records.values() if record.repeat_of == of]

    def unfinished(self) -> list[TrialRecord]:
        """All trials that have not ended, including repeats."""
        return [record for record in self._records.values() if not record.ended]

    def curves(self) -> Mapping[str, Curve]:
        """The curves of all settings; repeats take no part in the search."""
        return {record.trial: record.curve for record in self.settings()}

    def add(self, record: TrialRecord) -> None:
        """Adds a new trial."""
        self._records[record.trial] = record

    def note_score(self, trial: str, images_seen: int, score: float) -> None:
        """Adds an evaluation, as a cost. Later ones, which an interrupted training had made, are removed."""
        record = self._records[trial]
        record.images_seen = images_seen
        record.curve[:] = [point for point in record.curve if point[0] < images_seen]
        record.curve.append((images_seen, score))


def _has_begun(folder: TrialFolder) -> bool:
    """Whether a trial has its settings; without them its folder is what a killed search left of a new trial."""
    if folder.folder.exists(PARAMS):
        return True
    if folder.folder.exists(METRICS) or folder.folder.exists("checkpoints"):
        raise StorageError(
            f"{folder.folder.location}/{PARAMS}: is missing, so the settings of the trial are unknown; restore it, or "
            "delete the folder of the trial to train it again"
        )
    return False


def _record_of(folder: TrialFolder) -> TrialRecord:
    metrics = folder.metrics()
    curve = [
        (int(row["images_seen"]), cost(row["score"]["metric"], float(row["score"]["value"])))
        for row in metrics
        if row.get("score") and row["score"].get("value") is not None
    ]
    return TrialRecord(
        folder.id,
        folder.params,
        state=str(folder.state.get("state", "pending")),
        curve=curve,
        images_seen=int(metrics[-1]["images_seen"]) if metrics else 0,
        repeat_of=repeated_by(folder.id),
    )


def repeated_by(trial: str) -> str | None:
    """The trial whose setting a repeat repeats, from its name; None for a trial that is not a repeat.

    >>> repeated_by("003-4a79-seed1"), repeated_by("003-4a79")
    ('003-4a79', None)
    """
    return trial.rpartition("-seed")[0] or None
