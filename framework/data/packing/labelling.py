"""The labels in a store's manifest: how they get there, and stores of earlier versions, whose labels are read anew."""

import contextlib
import dataclasses
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from framework.config import DataConfig
from framework.data.labels import Labels
from framework.data.packing.report import PackingReport
from framework.data.sources.labels import FOLDERS, LabelReport, find_labels, read_labels
from framework.data.sources.source import Listing
from framework.data.store import MANIFEST, PackedStore
from framework.errors import DataError
from framework.files import read_file

_KEYS = ("labels", "label_classes", "labels_matched", "labels_report")


def label_entries(
    config: DataConfig,
    names: list[str],
    copies: Mapping[str, list[str]],
    packing: PackingReport,
    beside: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The entries of a manifest about labels.

    Args:
        names: The images' names.
        copies: Name of an image -> names of its exact copies, whose labels count where the image itself has none.
        packing: Is told of copies with other labels.
        beside: The labels that lie beside images in the source.

    Raises:
        DataError: `data.labels` cannot be used.
    """
    if not copies or not (config.labels or beside or config.source == "utkface"):
        return _entries(*read_labels(config, names, beside))
    every, report = read_labels(config, [*names, *(copy for each in copies.values() for copy in each)], beside)
    labels = Labels({label: values[: len(names)].copy() for label, values in every.values.items()}, every.classes)
    with contextlib.suppress(DataError):  # the file may name only copies
        alone, about = read_labels(config, names, beside)  # an end of a path may be unique only without the copies
        missing = min(about.rows_without_image, report.rows_without_image)
        report = dataclasses.replace(about, rows_without_image=missing)
        for label, values in labels.values.items():
            if label in alone.values and alone.classes.get(label) == labels.classes.get(label):
                np.copyto(values, alone.values[label], where=~np.isnan(alone.values[label]))
    _compare(labels, every, names, copies, packing)
    return _entries(labels, report)


def _compare(
    labels: Labels, every: Labels, names: list[str], copies: Mapping[str, list[str]], packing: PackingReport
) -> None:
    """Fills unknown labels of images from their copies, and counts the images whose copies have others.

    Args:
        every: Labels of the images and then of their copies, in the order of `copies`.
    """
    places, first = {name: place for place, name in enumerate(names)}, len(names)
    for name, others in copies.items():
        place, differs = places[name], False
        for label, values in labels.values.items():
            for copy, value in zip(others, every.values[label][first : first + len(others)], strict=True):
                if np.isnan(values[place]):
                    values[place] = value
                elif not np.isnan(value) and value != values[place]:
                    differs = True
                    packing.example = packing.example or [name, copy, label]
        packing.copies_differ += differs
        first += len(others)


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
