"""Which of a data set's labels an assessor can learn, and what they are to its losses."""

from dataclasses import dataclass

import numpy as np

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.errors import ConfigError, DataError
from framework.models.assessor.assessor import AttributeSpec

# Fewer images of a side than this, in either half, teach nothing that would hold elsewhere.
FEWEST_EXAMPLES = 20


@dataclass(frozen=True)
class Label:
    """One label as the losses take it.

    Attributes:
        spec: Its name and classes.
        values: [n] float32 over all images of the store: 0 or 1, or the number of a class; NaN where it is unknown.
    """

    spec: AttributeSpec
    values: np.ndarray


def usable_labels(
    store: PackedStore, config: AssessorConfig, *, halves: tuple[np.ndarray, np.ndarray]
) -> tuple[list[Label], dict[str, str]]:
    """The labels that can be learned, and why each of the others cannot.

    Args:
        store: The images with their labels.
        config: Which labels are wanted, and from where on a value counts as 0 or 1.
        halves: Indices of the images that either assessor trains on.

    Raises:
        ConfigError: Where `assessor.attributes` names a label that the data has not.
        DataError: Where none can be learned.
    """
    for name in config.attributes or ():
        if name not in store.labels:
            has = ", ".join(sorted(store.labels)) or "none"
            raise ConfigError(f"assessor.attributes: {name!r} is no label of the data, which has {has}")
    found: list[Label] = []
    left_out: dict[str, str] = {}
    for name in config.attributes or store.labels:
        label = _label(store, name, config)
        reason = "it is a plain number, neither 0 to 1 nor classes" if label is None else _shortage(label, halves)
        if label is None or reason:
            left_out[name] = reason
        else:
            found.append(label)
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "it has none"
        raise DataError(
            f"{store.source}: no label that an assessor could learn ({why}); name a CSV with labels in data.labels, "
            "or do without an assessor: name the Inception weights in evaluation.weights"
        )
    return found, left_out


def _label(store: PackedStore, name: str, config: AssessorConfig) -> Label | None:
    """A store's label with doubtful values masked; None where it is a plain number."""
    values = store.labels[name]
    if name in store.label_classes:
        return Label(AttributeSpec(name, list(store.label_classes[name])), values)
    known = values[~np.isnan(values)]
    if known.size and (known.min() < 0.0 or known.max() > 1.0):
        return None
    # In the labels' own float32, else a value written as 0.1 would be over a bound written as 0.1.
    low, high = np.float32(config.low), np.float32(config.high)
    sides = np.where(values <= low, 0.0, np.where(values >= high, 1.0, np.nan)).astype(np.float32)
    return Label(AttributeSpec(name), sides)


def _shortage(label: Label, halves: tuple[np.ndarray, np.ndarray]) -> str:
    """Why a label cannot be learned on the halves; empty where it can."""
    sides = range(len(label.spec.classes or ("low", "high")))
    counts = [min(int((label.values[half] == side).sum()) for half in halves) for side in sides]
    if sum(count >= FEWEST_EXAMPLES for count in counts) >= 2:
        return ""
    if label.spec.classes is None:
        return f"{counts[1]} images of a half have it and {counts[0]} have it not, {FEWEST_EXAMPLES} of each are wanted"
    return f"no two of its classes have {FEWEST_EXAMPLES} images in each half"
