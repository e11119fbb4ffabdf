"""The condition of a training: the labels that `model.condition` names, by the values of the packed images."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.config import Experiment
from framework.config.metrics import LEAST_OF_CLASS
from framework.data import PackedStore
from framework.data.labels import Labels
from framework.errors import CheckpointError, ConfigError
from framework.models import sample_latents
from framework.models.condition import Condition, condition_seed
from framework.models.condition_label import Label, Value

KEY = "model.condition"
SAMPLE_COLUMNS = 8
_SAMPLE_ROWS = 8


def condition_of(images: PackedStore, names: list[str]) -> Condition | None:
    """The condition on these labels, by their values in the training images; None without labels.

    Raises:
        ConfigError: The data lacks a label, or it cannot be one of a condition.
    """
    return condition_by(training_labels(images), names) if names else None


def condition_by(labels: Labels, names: list[str]) -> Condition | None:
    """The same by the labels of images.

    Raises:
        ConfigError: As `condition_of`.
    """
    if not names:
        return None
    for name in names:
        if name not in labels.values:
            has = ", ".join(sorted(labels.values)) or "none"
            raise ConfigError(f"{KEY}: the data has no label {name!r}; its labels: {has}")
    try:
        return Condition.of(names, labels.values, labels.classes)
    except ValueError as fault:
        raise ConfigError(f"{KEY}: {fault}") from None


def training_labels(images: PackedStore) -> Labels:
    """The labels of the training images, in their order."""
    values = {name: column[images.training_indices] for name, column in images.labels.items()}
    return Labels(values, images.label_classes)


def check_conditions(labels: Labels, experiment: Experiment) -> list[str]:
    """The labels of `model.condition`, or of each of its values in `search.space`, checked; and a line about them.

    Args:
        labels: Those of the training images.
        experiment: Names the labels.

    Raises:
        ConfigError: As `condition_of`; or the classes of the label of `evaluation.per_class` cannot be scored.
    """
    searched = experiment.search.space.get(KEY, {})
    choices = [value for values in searched.values() for value in values] or [experiment.model.condition]
    conditions = [condition_by(labels, names) for names in choices]
    if experiment.evaluation.per_class is not None:
        for condition in conditions:
            _check_per_class(labels, experiment.evaluation.per_class, condition)
    return [line_of(condition) for condition in conditions if condition is not None]


def _check_per_class(labels: Labels, name: str, condition: Condition | None) -> None:
    key = "evaluation.per_class"
    if condition is None:
        raise ConfigError(f"{key}: {name}, but search.space tries {KEY} without labels; remove one")
    try:
        condition.dividing(name)
    except ValueError as fault:
        raise ConfigError(f"{key}: {fault}") from None
    values = labels.values[name]
    most = max(np.unique(values[~np.isnan(values)], return_counts=True)[1])
    if most < LEAST_OF_CLASS:
        least = f"no class with {LEAST_OF_CLASS} training images"
        raise ConfigError(f"{key}: {name} has {least}; the largest has {most}")


def line_of(condition: Condition) -> str:
    """The labels of a condition with their values, and the size of its code."""
    labels = ", ".join(f"{label.name} ({label.allowed})" for label in condition.labels)
    return f"Condition: {labels}; a code of {condition.size} numbers"


def sample_latents_of(condition: Condition | None, count: int, latent_size: int, *, seed: int) -> np.ndarray:
    """The latents [count, latent_size + size of the code] float32 of a training's samples, always the same.

    With `sample_rows` each row of samples has one value of a label. The other labels are drawn from training images
    with this value.
    """
    rows = sample_rows(condition)
    if condition is None or rows is None:
        latents = sample_latents(count, latent_size, seed=seed)
        codes = [] if condition is None else [condition.draw(count, seed=condition_seed(seed))]
        return np.concatenate([latents, *codes], axis=1)
    latents = sample_latents(len(rows[1]) * SAMPLE_COLUMNS, latent_size, seed=seed)
    codes = [
        condition.draw(SAMPLE_COLUMNS, seed=condition_seed(seed), start=at * SAMPLE_COLUMNS, fixed={rows[0]: value})
        for at, value in enumerate(rows[1])
    ]
    return np.concatenate([latents, np.concatenate(codes)], axis=1)


def sample_rows(condition: Condition | None) -> tuple[str, list[Value]] | None:
    """The label whose values the rows of a training's samples have, and the value of each row; None if no label can.

    It is the first one with classes or with 0 and 1 that has few enough values. There are eight rows, or as many as
    there are values.
    """
    values = None if condition is None else condition.shown_values()
    if values is None:
        return None
    name, shown = values
    rows = max(_SAMPLE_ROWS, len(shown))
    return name, [shown[row * len(shown) // rows] for row in range(rows)]


def row_labels(condition: Condition | None) -> list[str] | None:
    """The caption of each row of a training's samples, such as `glasses 1`; None if rows have no label."""
    rows = sample_rows(condition)
    if rows is None:
        return None
    return [f"{rows[0]} {value:g}" if isinstance(value, float) else f"{rows[0]} {value}" for value in rows[1]]


def codes_of(images: PackedStore, condition: Condition) -> np.ndarray:
    """The code [n, size] float32 of each image of a store."""
    rows = np.stack([images.labels[name].astype(np.float64) for name in condition.names], axis=1)
    # Held-out images are never asked for, and may have numbers beyond those of the training images.
    return condition.encode_rows(rows)


def check_unchanged(condition: Condition | None, kept: Mapping[str, Any] | None) -> Condition | None:
    """The condition of a training that resumes, with the scale of numbers that the training began with.

    Args:
        condition: By the labels of the training images as they are now.
        kept: The `summary` of the condition that the training began with; None if it had none.

    Raises:
        CheckpointError: The labels are not those that the training began with.
    """
    if condition is not None and kept is not None:
        with contextlib.suppress(ValueError):  # a training with a start keeps the scale of its numbers
            condition = condition.scaled_like(tuple(map(Label.read, kept["labels"])))
    ours = None if condition is None else condition.summary()
    if ours == kept:
        return condition
    before = {} if kept is None else {label["name"]: label for label in kept["labels"]}
    now = {} if ours is None else {label["name"]: label for label in ours["labels"]}
    changed = [name for name in [*before, *now] if before.get(name) != now.get(name)] or [*now]
    raise CheckpointError(
        f"{KEY}: the labels {', '.join(dict.fromkeys(changed))} have changed since this training began; "
        "restore them, or use another name to start a new run"
    )
