"""The labels in a store's manifest: how they get there, and stores of earlier versions, whose labels are read anew."""

import dataclasses
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from framework.config import DataConfig
from framework.data.labels import Labels
from framework.data.sources.labels import FOLDERS, LabelReport, find_labels, read_labels
from framework.data.sources.source import Listing
from framework.data.store import MANIFEST, PackedStore
from framework.files import read_file

_KEYS = ("labels", "label_classes", "labels_matched", "labels_report")


def label_entries(config: DataConfig, names: list[str], beside: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The entries of a manifest about labels.

    Args:
        beside: The labels that lie beside images in the source.

    Raises:
        DataError: `data.labels` cannot be used.
    """
    return _entries(*read_labels(config, names, beside))


def without_label_file(config: DataConfig, listing: Listing) -> Iterator[tuple[str, Any]]:
    """The items of a source without the file of labels, if that lies among them."""
    member = find_labels(config).member if config.labels and config.labels != FOLDERS else None
    return (item for item in listing.items if item[0] != member)


def with_labels(store: PackedStore, config: DataConfig) -> PackedStore:
    """The same store; if an earlier version packed it, with labels that are read anew from the names of its images.

    Raises:
        DataError: `data.labels` cannot be used.
    """
    if store.labels_report is not None or not (config.labels or config.source == "utkface"):
        return store
    labels, report = read_labels(config, store.names)
    return dataclasses.replace(
        store,
        labels=labels.values,
        label_classes=labels.classes,
        labels_matched=report.matched,
        labels_report=report.to_json(),
    )


def write_labels(store: PackedStore) -> None:
    """Writes a store's labels into its manifest, which appears complete; does nothing if they cannot be written."""
    place = store.path / MANIFEST
    manifest = json.loads(read_file(place))
    labels = Labels(store.labels, store.label_classes)
    entries = _entries(labels, LabelReport.from_json(store.labels_report or {}))
    temporary = place.with_name(f".{MANIFEST}.{uuid.uuid4().hex[:12]}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({**manifest, **entries}, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError:  # a cache that is only read, or is full; this process has the labels
        temporary.unlink(missing_ok=True)


def _entries(labels: Labels, report: LabelReport) -> dict[str, Any]:
    values = {name: _or_null(values) for name, values in labels.values.items()}
    return dict(zip(_KEYS, (values, labels.classes, report.matched, report.to_json()), strict=True))


def _or_null(values: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN
