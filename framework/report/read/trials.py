"""One trial as the report shows it, read from its folder and its row of leaderboard.csv."""

import math
from dataclasses import dataclass, field
from typing import Any

from framework.report.read.json_values import finite
from framework.runs import TrialFolder
from framework.runs.folder import FIRST_COLUMNS, LAST_COLUMNS

_KNOWN_COLUMNS = (*FIRST_COLUMNS, *LAST_COLUMNS)


@dataclass(frozen=True)
class Ancestry:
    """A trial took over another one's checkpoint, as a line of its lineage.jsonl says.

    Attributes:
        images_seen: The clock at which the trial went on.
        from_trial: Whose checkpoint it took.
        from_images_seen: That checkpoint's clock.
        changed: Dotted key -> (before, after).
    """

    images_seen: int
    from_trial: str
    from_images_seen: int
    changed: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Trial:
    """One row of the leaderboard, and the curves behind it."""

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
    extra: dict[str, Any] = field(default_factory=dict)  # columns of the leaderboard that are not known here
    lineage: list[Ancestry] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it ended by a fault."""
        return bool(self.error) or self.state == "failed"

    @property
    def metric(self) -> str | None:
        """What its scores measure; None before the first."""
        scored = (row["score"] for row in reversed(self.metrics) if isinstance(row.get("score"), dict))
        return next((str(score["metric"]) for score in scored if score.get("metric")), None)

    @property
    def scores(self) -> list[tuple[float, float]]:
        """(images seen, score) of each score made while it trained."""
        return [
            (float(row["images_seen"]), number)
            for row in self.metrics
            if isinstance(row.get("score"), dict) and (number := finite(row["score"].get("value"))) is not None
        ]

    def series(self, name: str) -> list[tuple[float, float]]:
        """(images seen, value) of one reported figure; NaN where a report holds no number."""
        return [
            (float(row["images_seen"]), math.nan if (number := finite(row[name])) is None else number)
            for row in self.metrics
            if name in row
        ]


def read_trial(folder: TrialFolder, row: dict[str, Any]) -> Trial:
    """A trial of any state; what is not there yet is empty.

    Args:
        folder: Its folder.
        row: Its row of leaderboard.csv; {} before there is one.
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
    """What the trial took over, oldest first."""
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
