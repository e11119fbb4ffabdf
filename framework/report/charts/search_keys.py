"""The searched keys and each trial's values, for the parallel coordinates and the importance of parameters."""

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
    """A key in which trials differ.

    Attributes:
        scale: `log` and `linear` for numbers, `category` for names.
        low: The smallest value of the search range and of the trials; None for categories.
        high: The largest value; None for categories.
        names: The categories in order; [] for numbers.
    """

    key: str
    scale: Literal["log", "linear", "category"]
    low: float | None
    high: float | None
    names: list[str]


def keys_of(experiment: Experiment, trials: Sequence[Trial]) -> list[SearchedKey]:
    """The searched keys in the order of `search.space`, or all keys of the trials' settings if none is in the space.

    Keys that are not in the space, such as the seed of a repeat, are not searched.
    """
    tried = searched_keys(list(trials))
    space = experiment.search.space
    searched = [key for key in space if key in tried] or tried
    return [_key(key, space.get(key, {}), [trial.params.get(key) for trial in trials]) for key in searched]


def complete(keys: Sequence[SearchedKey], trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have a score and a value for every key."""
    return [trial for trial in trials if trial.score is not None and all(key.key in trial.params for key in keys)]


def value_of(key: SearchedKey, trial: Trial) -> float | str:
    """A trial's value of a key: a number, or the name of a category."""
    value = trial.params[key.key]
    number = finite(value)
    return name_of(value) if key.scale == "category" or number is None else number


def name_of(value: Any) -> str:
    """The name of a category on an axis."""
    return words.setting(value)


def _key(key: str, spec: dict[str, Any], tried: Sequence[Any]) -> SearchedKey:
    kind, arguments = next(iter(spec.items()), ("", []))
    values = [value for value in tried if value is not None]
    candidates = [*arguments, *values] if isinstance(arguments, list) else values
    numbers = [number for value in candidates if (number := finite(value)) is not None]
    if kind in ("choice", "grid") or len(numbers) < len(candidates) or not numbers:
        ordered = sorted(candidates, key=float) if numbers and len(numbers) == len(candidates) else candidates
        return SearchedKey(key, "category", None, None, list(dict.fromkeys(name_of(value) for value in ordered)))
    low, high = min(numbers), max(numbers)
    log = low > 0 and (kind == "loguniform" or (kind == "" and high / low > 20))
    return SearchedKey(key, "log" if log else "linear", low, high, [])
