"""Which packed images a side of a score has: those of a split, or those among them that are of one class."""

import hashlib
from typing import Literal

import numpy as np

from framework.data import PackedStore
from framework.evaluation.protocols.protocol import ImageSetSpec


def store_indices(store: PackedStore, split: str) -> np.ndarray:
    """Indices [n] int64 of the packed images of a split."""
    parts = {"training": store.training_indices, "held_out": store.held_out_indices}
    return parts[split] if split in parts else np.arange(len(store.images))


def class_side(
    store: PackedStore, split: Literal["training", "held_out"], label: str, value: str, *, count: int | None = None
) -> ImageSetSpec | None:
    """The side of the images of a split that have a value of a label; None if there are fewer than 2.

    Args:
        value: The name of a class, or 0 or 1.
        count: Take only so many: the first by the sha256 of their content, which does not depend on names or order.
    """
    whole = len(_of_class(store, split, label, value))
    taken = whole if count is None else min(count, whole)
    if taken < 2:
        return None
    _, height, width, channels = store.images.shape
    side = ImageSetSpec(
        count=taken,
        split=split,
        height=height,
        width=width,
        channels=channels,
        sampled_from=whole if taken < whole else None,
        label=label,
        value=value,
    )
    return side.model_copy(update={"digest": side_digest(store, side)})


def side_indices(store: PackedStore, side: ImageSetSpec) -> np.ndarray:
    """Indices [n] int64 of the packed images of a side."""
    if side.label is None:
        return store_indices(store, side.split)
    return _of_class(store, side.split, side.label, str(side.value))[: side.count]


def side_digest(store: PackedStore, side: ImageSetSpec) -> str:
    """The digest of a side: that of the packed images, and for a class also of which ones of them it has."""
    if side.label is None:
        return store.digest
    chosen = [store.hashes[index] for index in side_indices(store, side)]
    return hashlib.sha256("\n".join([store.digest, *chosen]).encode()).hexdigest()


def _of_class(store: PackedStore, split: str, label: str, value: str) -> np.ndarray:
    """The indices of a split whose images have a value of a label, sorted by content; none if the data has no such."""
    indices, classes = store_indices(store, split), store.label_classes.get(label)
    if label not in store.labels or (classes is not None and value not in classes):
        return indices[:0]
    number = float(value) if classes is None else classes.index(value)
    return indices[store.labels[label][indices] == number]
