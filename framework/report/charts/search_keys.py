"""The searched keys with each trial's value: what parallel coordinates and importance are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from framework.config import Experiment
from framework.report.read.json_values import finite
from framework.report.read.run import searched_keys
from framework.report.read.trials import Trial
from framework.report.text import format as words


@dataclass(frozen=True)
class SearchedKey:
    """A key that trials differ in.

    Attributes:
        key: Dotted.
        scale: log and linear have numbers on them, category has names.
        low: The least of the range and of the values; None for categories.
        high: The largest.
        names: The categories in order; [] for numbers.
    """

    key: str
    scale: Literal["log", "linear", "category"]
    low: float | None
    high: float | None
    names: list[str]


def keys_of(experiment: Experiment, trials: Sequence[Trial]) -> list[SearchedKey]:
    """The searched keys in the order of `search.space`; where it has none of them, those the trials' settings name.

    A key that a trial has beside the space (a repeat's seed) is no searched one.
    """
    tried = searched_keys(list(trials))
    space = experiment.search.space
    wanted = [key for key in space if key in tried] or tried
    return [_key(key, space.get(key, {}), [trial.params.get(key) for trial in trials]) for key in wanted]


def complete(keys: Sequence[SearchedKey], trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have a score and a value for every key."""
    return [trial for trial in trials if trial.score is not None and all(key.key in trial.params for key in keys)]


def value_of(key: SearchedKey, trial: Trial) -> float | str:
    """A trial's number, or its category's name."""
    value = trial.params[key.key]
    number = finite(value)
    return name_of(value) if key.scale == "category" or number is None else number


def name_of(value: Any) -> str:
    """A category as it is written on an axis."""
    return words.setting(value)


def _key(key: str, spec: dict[str, Any], tried: Sequence[Any]) -> SearchedKey:
    kind, arguments = next(iter(spec.items()), ("", []))
    values = [value for value in tried if value is not None]
    every = [*arguments, *values] if isinstance(arguments, list) else values
    numbers = [number for value in every if (number := finite(value)) is not None]
    if kind in ("choice", "grid") or len(numbers) < len(every) or not numbers:
        ordered = sorted(every, key=float) if numbers and len(numbers) == len(every) else every
        return SearchedKey(key, "category", None, None, list(dict.fromkeys(name_of(value) for value in ordered)))
    low, high = min(numbers), max(numbers)
    log = low > 0 and (kind == "loguniform" or (kind == "" and high / low > 20))
    return SearchedKey(key, "log" if log else "linear", low, high, [])
