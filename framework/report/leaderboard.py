"""The leaderboard as columns and cells: what is read, and by what it is sorted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.report import words
from framework.report.reading import Results, more_columns, searched_keys
from framework.report.trials import Trial, finite

STATES = {"stopped": "ended early", "pending": "waiting"}
_MORE_TITLES = {"score_mean": "Mean score", "score_sd": "± sd", "within_noise": "Within noise of the first"}


@dataclass(frozen=True)
class Column:
    """A heading; `numeric` says how its cells are sorted and on which side they stand."""

    title: str
    section: str = ""
    key: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """What stands in a row: the text, and by what it is sorted (empty: last)."""

    text: str
    value: str
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """A trial's cells, in the order of the columns, and where it stands."""

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
    """The table of all trials; columns that other versions wrote are shown as they are."""
    trials = results.trials
    keys, more = searched_keys(trials), more_columns(trials)
    # The scores stand before the settings: a narrow screen shows the first columns only.
    columns = [Column("Best score"), *(_more_column(name, trials) for name in more)]
    columns += [_searched_column(key, trials) for key in keys]
    columns += [Column(title) for title in ("at images", "Last score", "Images seen", "Images/s")]
    return Leaderboard(columns, [_row(trial, keys, more, best=trial is results.best_trial) for trial in trials])


def _row(trial: Trial, keys: Sequence[str], more: Sequence[str], *, best: bool) -> Row:
    cells = [Cell(words.score(trial.score), sorted_by(trial.score), strong=True)]
    cells += [_more_cell(name, trial.extra.get(name)) for name in more]
    cells += [Cell(words.setting(trial.params.get(key)), sorted_by(trial.params.get(key))) for key in keys]
    cells.append(_counted(trial.score_images_seen))
    cells.append(Cell(words.score(trial.last_score), sorted_by(trial.last_score)))
    cells.append(_counted(trial.images_seen))
    cells.append(Cell(words.number(trial.images_per_second, 3), sorted_by(trial.images_per_second)))
    rank = str(trial.rank) if trial.rank is not None and trial.score is not None else "–"
    return Row(trial, rank, best, STATES.get(trial.state, trial.state), cells)


def sorted_by(value: Any) -> str:
    """A value as a sort reads it: numbers in full, nothing where there is nothing.

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
