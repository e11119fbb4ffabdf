"""Parallel coordinates: an axis for each searched key and one for the score, and a line for each trial."""

from dataclasses import dataclass

from framework.metrics.importance import ranks
from framework.report.charts.curves import trial_label
from framework.report.charts.line_chart import Axis, padded
from framework.report.charts.search_keys import SearchedKey, complete, keys_of, name_of
from framework.report.read.json_values import finite
from framework.report.read.run import Results
from framework.report.read.trials import Trial
from framework.report.text import format as words

_TOP, _BOTTOM, _LEFT, _RIGHT = 46.0, 330.0, 64.0, 40.0
_LOG_FROM = 4.0  # the score's axis is logarithmic if the largest score is more than this many times the smallest


@dataclass(frozen=True)
class ParallelAxis:
    """One upright axis: its position, its titles, and its ticks as (height, label)."""

    x: float
    title: str
    section: str
    key: str
    ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class ParallelLine:
    """One trial: its height on each axis, and its place among all trials, from 0 for the best to 1 for the worst."""

    trial: str
    label: str
    points: list[tuple[float, float]]
    place: float
    best: bool


@dataclass(frozen=True)
class Parallel:
    """The drawing, as `parallel.html` needs it."""

    name: str
    width: float
    height: float
    top: float
    bottom: float
    axes: list[ParallelAxis]
    lines: list[ParallelLine]
    left_out: int


def parallel(results: Results, *, name: str, width: float, least_step: float = 0.0) -> Parallel | None:
    """The drawing; None with fewer than two searched keys, or fewer than two trials with a score.

    Args:
        results: The results of the run.
        name: Part of the element ids on the page.
        width: In drawing units, about CSS pixels.
        least_step: The minimum distance between two axes; the drawing is widened if necessary.
    """
    keys = keys_of(results.experiment, results.trials)
    trials = complete(keys, results.trials)
    if len(keys) < 2 or len(trials) < 2:
        return None
    step = max(least_step, (width - _LEFT - _RIGHT) / len(keys))
    scores = [trial.score for trial in trials if trial.score is not None]
    rules = [_KeyRule(key) for key in keys]
    rule = _ScoreRule(scores, higher_is_better=results.higher_is_better)
    axes = [
        ParallelAxis(_LEFT + step * index, *_titles(rule.key.key), key=rule.key.key, ticks=rule.ticks())
        for index, rule in enumerate(rules)
    ]
    axes.append(ParallelAxis(_LEFT + step * len(keys), "Best score", "↑ better", key="score", ticks=rule.ticks()))
    order = ranks(scores) if not results.higher_is_better else ranks([-score for score in scores])
    lines = [
        ParallelLine(
            trial.id, f"{words.score(score)} · {trial_label(trial)}",
            points=[(round(axis.x, 1), round(height, 1)) for axis, height in
                    zip(axes, [*(rule.place(trial) for rule in rules), rule.place(score)], strict=True)],
            place=round(float(place - 1) / max(1, len(trials) - 1), 3),
            best=trial is results.best_trial,
        )
        for trial, score, place in zip(trials, scores, order, strict=True)
    ]  # fmt: skip
    lines.sort(key=lambda line: (line.best, -line.place))  # the best are drawn over the others
    return Parallel(
        name, round(axes[-1].x + _RIGHT, 1), _BOTTOM + 14, _TOP, _BOTTOM, axes, lines, len(results.trials) - len(trials)
    )


class _KeyRule:
    """Maps a key's values to heights on its axis; larger values are higher."""

    def __init__(self, key: SearchedKey) -> None:
        self.key = key
        if key.low is None or key.high is None:
            self._axis = None
        else:
            low, high = padded(key.low, key.high, log=False) if key.low == key.high else (key.low, key.high)
            self._axis = Axis(low, high, _BOTTOM, _TOP, log=key.scale == "log")

    def place(self, trial: Trial) -> float:
        value = trial.params[self.key.key]
        number = finite(value)
        if self._axis is None or number is None:
            return self._named(name_of(value))
        return self._axis.place(number)

    def ticks(self) -> list[tuple[float, str]]:
        if self._axis is not None:
            return self._axis.ticks(6)
        shown = self.key.names[:: 1 + len(self.key.names) // 16]
        return [(round(self._named(name), 1), words.shortened(name, 12)) for name in shown]

    def _named(self, name: str) -> float:
        names = self.key.names
        return _BOTTOM - (names.index(name) + 0.5) / len(names) * (_BOTTOM - _TOP)


class _ScoreRule:
    """Maps scores to heights on the last axis; better scores are higher."""

    def __init__(self, scores: list[float], *, higher_is_better: bool) -> None:
        low, high = min(scores), max(scores)
        log = low > 0 and high / low > _LOG_FROM
        low, high = padded(low, high, log=log)
        start, end = (_BOTTOM, _TOP) if higher_is_better else (_TOP, _BOTTOM)
        self._axis = Axis(low, high, start, end, log)

    def place(self, score: float) -> float:
        return self._axis.place(score)

    def ticks(self) -> list[tuple[float, str]]:
        return self._axis.ticks(6)


def _titles(key: str) -> tuple[str, str]:
    """The last part of a dotted key, and the part before it."""
    section, _, name = key.rpartition(".")
    return words.shortened(name.replace("_", " "), 24), words.shortened(section, 24)
