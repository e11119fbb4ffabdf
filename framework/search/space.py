"""The settings of a search, drawn from `search.space`; each is a pure function of the seed and its number."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from framework.config import RENAMED, Experiment, known_keys, with_overrides
from framework.config.recipes import RECIPE, searched_settings
from framework.config.schedule import ENDS, whole_key
from framework.config.schema import MOST_TRIALS
from framework.config.words import shown
from framework.errors import ConfigError

MUTABLE = ("optimizer.generator_lr", "optimizer.discriminator_lr")
"""Keys that may change during a training, as no shape in a checkpoint depends on them; of schedules `from` and `to`."""

_DISTRIBUTIONS = ("loguniform", "uniform", "randint", "choice", "grid")
_SEARCHABLE = ("model.", "objective.", "optimizer.", "training.", "data.horizontal_flip", "seed", RECIPE)


@dataclass(frozen=True)
class Setting:
    """The setting of one trial: the trial's name, and the dotted keys with their values."""

    trial: str
    parameters: dict[str, JsonValue]


def settings(experiment: Experiment) -> list[Setting]:
    """All settings of the search, in order. A higher `search.trials` only adds settings at the end.

    Each combination of grid values is tried with `search.trials` draws of the other keys, as in Ray Tune.

    Raises:
        ConfigError: The space has an unknown key, an empty range or a value that the schema refuses.
    """
    check_space(experiment)
    space = experiment.search.space
    grids = {key: spec["grid"] for key, spec in space.items() if "grid" in spec}
    drawn = {key: spec for key, spec in space.items() if "grid" not in spec}
    result: list[Setting] = []
    for draw in range(experiment.search.trials):
        sampled = {key: _draw(spec, experiment.search.seed, draw, key) for key, spec in drawn.items()}
        for combination in itertools.product(*grids.values()):
            parameters = {key: (sampled | dict(zip(grids, combination, strict=True)))[key] for key in space}
            result.append(Setting(identity(len(result), parameters), parameters))
    return result


def number_of_settings(experiment: Experiment) -> int:
    """The number of settings: `search.trials` for each combination of grid values."""
    grids = [len(spec["grid"]) for spec in experiment.search.space.values() if isinstance(spec.get("grid"), list)]
    return experiment.search.trials * math.prod(grids)


def check_space(experiment: Experiment) -> None:
    """Raises a ConfigError with all faults if the space could give an invalid setting."""
    search = experiment.search
    if (count := number_of_settings(experiment)) > MOST_TRIALS:
        raise ConfigError(
            f"search.trials: {search.trials:,} for each combination of grid values are {count:,} trials; at most "
            f"{MOST_TRIALS:,} are allowed"
        )
    faults = list(
        dict.fromkeys(fault for key, spec in search.space.items() for fault in _faults(experiment, key, spec))
    )
    if experiment.recipe is not None and RECIPE in search.space:
        faults = [f"{RECIPE}: {experiment.recipe} is chosen, but search.space tries recipes; add {RECIPE}=null"]
    if search.sampler == "optuna":
        grids = [key for key, spec in search.space.items() if "grid" in spec]
        faults += [f"search.space.{key}: optuna does not support grid; use choice" for key in grids]
        if not search.space:
            faults.append("search.sampler: optuna has nothing to sample; search.space is empty")
    if search.scheduler == "pbt":
        faults += [
            f"search.space.{key}: pbt copies weights between trials, so only {' and '.join(MUTABLE)} can vary"
            for key in search.space
            if key not in {name for rate in MUTABLE for name in (rate, *(f"{rate}.{end}" for end in ENDS))}
        ]
        faults += [
            f"search.space.{key}: pbt cannot say which schedule is higher; vary {key}.from and {key}.to instead"
            for key, spec in search.space.items()
            if any(isinstance(value, dict) for values in spec.values() if isinstance(values, list) for value in values)
        ]
        if not search.space or number_of_settings(experiment) < 2:
            faults.append("search.scheduler: pbt needs at least two trials, and learning rates to vary")
        if experiment.training.budget_minutes is not None:
            faults.append(
                "training.budget_minutes: pbt compares trials at the same number of images; use another scheduler"
            )
        if experiment.training.on_collapse != "warn":
            faults.append("training.on_collapse: pbt replaces collapsed trials itself; leave it at warn")
        if search.seeds > 1:
            faults.append("search.seeds: pbt changes the settings of its trials, so they cannot be repeated")
    if search.seeds > 1 and "seed" in search.space:
        faults.append("search.space.seed: cannot be searched while search.seeds repeats trials with other seeds")
    if faults:
        raise ConfigError(*faults)


def _faults(experiment: Experiment, key: str, spec: dict[str, Any]) -> Iterator[str]:
    where = f"search.space.{key}"
    whole = whole_key(key)
    if whole != key and whole in experiment.search.space:
        yield f"{where}: {whole} is searched too; remove one of the two"
        return
    if whole in searched_settings(experiment):
        yield f"{where}: is set by a recipe, and search.space.{RECIPE} searches these; remove it from one of the two"
        return
    if whole not in {*known_keys(), *RENAMED}:
        try:
            with_overrides(experiment, {key: None})
        except ConfigError as fault:  # its message suggests the nearest known key
            yield f"search.space.{fault.faults[0]}"
        else:
            yield f"{where}: unknown key"
        return
    if not key.startswith(_SEARCHABLE):
        yield f"{where}: cannot be searched; allowed are {', '.join(name.rstrip('.') for name in _SEARCHABLE)}"
        return
    if len(spec) != 1 or next(iter(spec)) not in _DISTRIBUTIONS:
        yield f"{where}: must be one of {', '.join(_DISTRIBUTIONS)}, not {shown(spec)}"
        return
    name, arguments = next(iter(spec.items()))
    fault = _shape_fault(name, arguments)
    if fault:
        yield f"{where}.{name}: {fault}, not {shown(arguments)}"
        return
    ends = arguments if name in ("choice", "grid") else [arguments[0], arguments[1] - (name == "randint")]
    for value in ends:
        try:
            with_overrides(experiment, {key: value})
        except ConfigError as refused:
            yield f"{where}.{name}: {refused.faults[0]}"


def _shape_fault(name: str, arguments: Any) -> str | None:
    if not isinstance(arguments, list) or not arguments:
        return "must be a list"
    if name in ("choice", "grid"):
        return None
    kinds = int if name == "randint" else (int, float)
    if len(arguments) != 2 or not all(isinstance(end, kinds) and not isinstance(end, bool) for end in arguments):
        return f"must be [low, high], two {'whole ' if name == 'randint' else ''}numbers"
    low, high = arguments
    if low >= high:
        return "must have low below high"
    return "must have low above 0" if name == "loguniform" and low <= 0 else None


def _draw(spec: dict[str, Any], seed: int, draw: int, key: str) -> Any:
    """A value that depends only on seed, draw and key, so adding a key does not change the values of others."""
    word = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    random = np.random.default_rng([seed, draw, word])
    name, arguments = next(iter(spec.items()))
    if name == "choice":
        return arguments[int(random.integers(len(arguments)))]
    if name == "randint":
        return int(random.integers(*arguments))
    if name == "uniform":
        return float(random.uniform(*arguments))
    return rounded(math.exp(random.uniform(math.log(arguments[0]), math.log(arguments[1]))))


def rounded(value: float) -> float:
    """Rounds to four significant digits, which are enough for a learning rate.

    >>> rounded(0.000123456)
    0.0001235
    """
    return float(f"{value:.4g}")


def identity(number: int, parameters: dict[str, JsonValue]) -> str:
    """A trial's name: its number, and four digits of a digest of its settings.

    >>> identity(3, {"model.latent_size": 64})
    '003-f08a'
    """
    text = json.dumps(parameters, sort_keys=True)
    return f"{number:03d}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"
