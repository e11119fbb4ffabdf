"""The leaderboard as columns and cells, with the text and the sort key of each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.metrics import higher_is_better
from framework.report.read.json_values import finite
from framework.report.read.run import Results, more_columns, searched_keys
from framework.report.read.trials import Trial
from framework.report.shared import score_table
from framework.report.text import format as words

STATES = {"stopped": "ended early", "pending": "waiting"}
_MORE_TITLES = {
    "score_mean": "Mean score",
    "score_sd": "± sd",
    "within_noise": "Within noise of the first",
    "budget_minutes": "Budget (minutes)",
    "cpu_minutes": "CPU-minutes",
    "gpu_minutes": "GPU-minutes",
    "reason": "Ended because",
}


@dataclass(frozen=True)
class Column:
    """A heading; `numeric` sets how the cells are sorted and aligned, `high_first` the order after the first click."""

    title: str
    section: str = ""
    key: str = ""
    numeric: bool = True
    high_first: bool = False


@dataclass(frozen=True)
class Cell:
    """The text of a cell and its sort key; cells with an empty key are sorted last."""

    text: str
    value: str
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """A trial with its rank, its state and its cells, in the order of the columns."""

    trial: Trial
    rank: str
    best: bool
    state: str
    cells: list[Cell]


@dataclass(frozen=True)
class Leaderboard:
    """The columns between the rank and the state, and the rows, best first."""

    columns: list[Column]
    rows: list[Row]


def leaderboard_of(results: Results) -> Leaderboard:
    """The table of all trials; unknown columns of leaderboard.csv are shown as they are."""
    trials = results.trials
    keys, more, measured = searched_keys(trials), more_columns(trials), measured_columns(results)
    high_first = results.higher_is_better
    # The scores come before the settings, because a narrow screen shows only the first columns.
    columns = [Column("Best score", high_first=high_first), *(_more_column(name, trials) for name in more)]
    columns += [_measured_column(column) for column in measured]
    columns += [_searched_column(key, trials) for key in keys]
    columns += [Column("at images"), Column("Last score", high_first=high_first), Column("Images seen")]
    columns += [Column("Images/s")]
    rows = [
        _row(trial, keys, more, [column.scores[number] for column in measured], best=trial is results.best_trial)
        for number, trial in enumerate(trials)
    ]
    return Leaderboard(columns, rows)


def measured_columns(results: Results) -> list[score_table.Column]:
    """The final scores of the trials' best checkpoints, one column per protocol that several trials share."""
    kept: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for score in results.scores:
        steps = str(score.get("checkpoint")).split("/")  # trials/<id>/checkpoints/<images seen>
        if len(steps) == 4 and steps[3].isdigit() and finite(score.get("value")) is not None:
            kept.setdefault((steps[1], int(steps[3])), []).append(score)
    rows = [
        score_table.Row(trial.id, "", clock, kept.get((trial.id, clock), []))
        for trial in results.trials
        for clock in [trial.score_images_seen or 0]
    ]
    all_columns = score_table.columns(rows)
    return [column for column in all_columns if sum(score is not None for score in column.scores) > 1]


def _measured_column(column: score_table.Column) -> Column:
    letter = column.name.removeprefix(column.metric)  # distinguishes several protocols of one metric
    high_first = higher_is_better(column.metric)
    return Column(f"{words.metric_name(column.metric)}{letter}", key=column.metric, high_first=high_first)


def _row(
    trial: Trial,
    keys: Sequence[str],
    more: Sequence[str],
    measured: Sequence[Mapping[str, Any] | None],
    *,
    best: bool,
) -> Row:
    cells = [Cell(words.score(trial.score), sorted_by(trial.score), strong=True)]
    cells += [_more_cell(name, trial.extra.get(name)) for name in more]
    values = [None if score is None else score["value"] for score in measured]
    cells += [Cell(words.score(value), sorted_by(value)) for value in values]
    cells += [Cell(words.setting(trial.params.get(key)), sorted_by(trial.params.get(key))) for key in keys]
    cells.append(_counted(trial.score_images_seen))
    cells.append(Cell(words.score(trial.last_score), sorted_by(trial.last_score)))
    cells.append(_counted(trial.images_seen))
    cells.append(Cell(words.number(trial.images_per_second, 3), sorted_by(trial.images_per_second)))
    rank = str(trial.rank) if trial.rank is not None and trial.score is not None else "–"
    return Row(trial, rank, best, STATES.get(trial.state, trial.state), cells)


def sorted_by(value: Any) -> str:
    """The sort key of a value: numbers in full precision, empty for None.

    >>> sorted_by(0.00043347), sorted_by(None), sorted_by("hinge"), sorted_by(["color", "cutout"])
    ('0.00043347', '', 'hinge', 'color, cutout')
    """
    if value is None:
        return ""
    number = finite(value)
    return words.plain(value) if number is None else repr(number)


def _counted(images: int | None) -> Cell:
    return Cell(words.number(images, 12), sorted_by(images))


def _more_cell(name: str, value: Any) -> Cell:
    number = finite(value)
    text = words.plain(value) if number is None else words.score(number) if "score" in name else words.number(number)
    return Cell(text, sorted_by(value))


def _searched_column(key: str, trials: Sequence[Trial]) -> Column:
    section, _, name = key.rpartition(".")
    return Column(name.replace("_", " "), section, key, _numeric(trial.params.get(key) for trial in trials))


def _more_column(name: str, trials: Sequence[Trial]) -> Column:
    title = _MORE_TITLES.get(name) or (name[:1].upper() + name[1:].replace("_", " "))
    return Column(title, key=name, numeric=_numeric(trial.extra.get(name) for trial in trials))


def _numeric(values: Any) -> bool:
    return all(finite(value) is not None for value in values if value is not None)
