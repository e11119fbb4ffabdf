"""Selects the labels of a data set that an assessor can learn, and prepares their values for the loss."""

import itertools
from dataclasses import dataclass

import numpy as np

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.errors import ConfigError, DataError
from framework.models.assessor.assessor import AttributeSpec

# Minimum number of images per class and half; with fewer, a label cannot be learned reliably.
FEWEST_EXAMPLES = 20
_MOST_REASONS = 4


@dataclass(frozen=True)
class Label:
    """One label in the form that the loss needs.

    Attributes:
        spec: Its name and classes.
        values: [n] float32 for all images of the store: 0 or 1, or the index of a class; NaN where unknown.
    """

    spec: AttributeSpec
    values: np.ndarray


def usable_labels(
    store: PackedStore, config: AssessorConfig, *, halves: tuple[np.ndarray, np.ndarray]
) -> tuple[list[Label], dict[str, str]]:
    """Selects the labels that can be learned.

    Args:
        config: Names the labels, and the limits from which a value counts as 0 or 1.
        halves: Indices of the training images of each assessor.

    Returns:
        The labels, and for each label that is left out, name -> reason.

    Raises:
        ConfigError: `assessor.attributes` names a label that the data does not have.
        DataError: No label can be learned.
    """
    for name in config.attributes or ():
        if name not in store.labels:
            has = ", ".join(sorted(store.labels)) or "none"
            raise ConfigError(f"assessor.attributes: the data has no label {name!r}; its labels: {has}")
    usable: list[Label] = []
    left_out: dict[str, str] = {}
    for name in config.attributes or store.labels:
        label = _label(store, name, config)
        reason = "its numbers are neither 0 to 1 nor classes" if label is None else _shortage(label, halves)
        if label is None or reason:
            left_out[name] = reason
        else:
            usable.append(label)
    if not usable:
        raise DataError(
            f"{store.source}: there is no label that an assessor can learn ({_reasons(left_out)}); set data.labels to "
            "a file of labels or to folders, or use other features (evaluation.features=efficientnet)"
        )
    return usable, left_out


def _reasons(left_out: dict[str, str]) -> str:
    """Why no label is left: the first ones, and how many more there are."""
    first = [f"{name}: {reason}" for name, reason in itertools.islice(left_out.items(), _MOST_REASONS)]
    more = [f"and {len(left_out) - _MOST_REASONS} more"] if len(left_out) > _MOST_REASONS else []
    return "; ".join([*first, *more]) or "it has none"


def _label(store: PackedStore, name: str, config: AssessorConfig) -> Label | None:
    """A label of the store, with values between the limits masked; None if its numbers are not within 0 to 1."""
    values = store.labels[name]
    if name in store.label_classes:
        return Label(AttributeSpec(name, list(store.label_classes[name])), values)
    known = values[~np.isnan(values)]
    if known.size and (known.min() < 0.0 or known.max() > 1.0):
        return None
    # Limits in float32 like the labels, else a value written as 0.1 would exceed a limit written as 0.1.
    low, high = np.float32(config.low), np.float32(config.high)
    sides = np.where(values <= low, 0.0, np.where(values >= high, 1.0, np.nan)).astype(np.float32)
    return Label(AttributeSpec(name), sides)


def _shortage(label: Label, halves: tuple[np.ndarray, np.ndarray]) -> str:
    """Why a label cannot be learned on the halves; empty if it can."""
    sides = range(len(label.spec.classes or ("low", "high")))
    counts = [min(int((label.values[half] == side).sum()) for half in halves) for side in sides]
    if sum(count >= FEWEST_EXAMPLES for count in counts) >= 2:
        return ""
    if label.spec.classes is None:
        return f"a half has {counts[1]} images with it and {counts[0]} without; at least {FEWEST_EXAMPLES} are needed"
    return f"no two of its classes have {FEWEST_EXAMPLES} images in each half"
