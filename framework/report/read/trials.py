"""One trial for the report, read from its folder and its row of leaderboard.csv."""

import math
from dataclasses import dataclass, field
from typing import Any

from framework.report.read.json_values import finite
from framework.runs import TrialFolder
from framework.runs.folder import FIRST_COLUMNS, LAST_COLUMNS

_KNOWN_COLUMNS = (*FIRST_COLUMNS, *LAST_COLUMNS)


@dataclass(frozen=True)
class Ancestry:
    """A line of a trial's lineage.jsonl: the trial continued from another trial's checkpoint.

    Attributes:
        images_seen: The images that the trial had seen when it was continued.
        from_trial: The trial whose checkpoint was copied.
        from_images_seen: The images that the copied checkpoint had seen.
        changed: Dotted key -> (before, after), of the settings that were changed.
    """

    images_seen: int
    from_trial: str
    from_images_seen: int
    changed: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Trial:
    """One row of the leaderboard, and the reports of its training."""

    id: str
    rank: int | None
    params: dict[str, Any]
    score: float | None
    score_images_seen: int | None
    last_score: float | None
    images_seen: int | None
    images_per_second: float | None
    state: str
    warnings: list[str]
    error: str
    metrics: list[dict[str, Any]]
    extra: dict[str, Any] = field(default_factory=dict)  # other columns of the leaderboard
    lineage: list[Ancestry] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return bool(self.error) or self.state == "failed"

    @property
    def metric(self) -> str | None:
        """The metric of its scores; None before the first score."""
        scored = (row["score"] for row in reversed(self.metrics) if isinstance(row.get("score"), dict))
        return next((str(score["metric"]) for score in scored if score.get("metric")), None)

    @property
    def scores(self) -> list[tuple[float, float]]:
        """(images seen, score) of each score measured during the training."""
        return [
            (float(row["images_seen"]), number)
            for row in self.metrics
            if isinstance(row.get("score"), dict) and (number := finite(row["score"].get("value"))) is not None
        ]

    def series(self, name: str) -> list[tuple[float, float]]:
        """(images seen, value) of one reported measurement; NaN if a report contains no number for it."""
        return [
            (float(row["images_seen"]), math.nan if (number := finite(row[name])) is None else number)
            for row in self.metrics
            if name in row
        ]


def read_trial(folder: TrialFolder, row: dict[str, Any]) -> Trial:
    """Reads a trial in any state; what does not exist yet is empty.

    Args:
        folder: The folder of the trial.
        row: Its row of leaderboard.csv; {} if it has none yet.
    """
    metrics = [report for report in folder.metrics() if finite(report.get("images_seen")) is not None]
    numbers = {key: finite(row.get(key)) for key in ("rank", "score_images_seen", "images_seen")}
    whole = {key: None if value is None else int(value) for key, value in numbers.items()}
    state, params = folder.state, folder.params
    warnings = dict.fromkeys(str(text) for report in metrics for text in report.get("warnings") or [])
    return Trial(
        id=folder.id,
        params=params,
        rank=whole["rank"],
        score=finite(row.get("score")),
        score_images_seen=whole["score_images_seen"],
        last_score=finite(row.get("last_score")),
        images_seen=whole["images_seen"],
        images_per_second=finite(row.get("images_per_second")),
        state=str(state.get("state") or row.get("state") or "pending"),
        warnings=list(warnings),
        error=str(state.get("error") or row.get("error") or ""),
        metrics=metrics,
        extra={key: value for key, value in row.items() if key and key not in {*_KNOWN_COLUMNS, *params}},
        lineage=_lineage(folder),
    )


def _lineage(folder: TrialFolder) -> list[Ancestry]:
    """The copies of checkpoints that the trial continued from, oldest first."""
    found = [ancestry for row in folder.lineage() if (ancestry := _ancestry(row)) is not None]
    return sorted(found, key=lambda ancestry: ancestry.images_seen)


def _ancestry(row: dict[str, Any]) -> Ancestry | None:
    clock, donor_clock = finite(row.get("images_seen")), finite(row.get("from_images_seen"))
    if clock is None or not row.get("from_trial"):
        return None
    changed = row.get("changed")
    pairs = {
        str(key): (pair[0], pair[1])
        for key, pair in (changed.items() if isinstance(changed, dict) else ())
        if isinstance(pair, list) and len(pair) == 2
    }
    return Ancestry(int(clock), str(row["from_trial"]), int(clock if donor_clock is None else donor_clock), pairs)
