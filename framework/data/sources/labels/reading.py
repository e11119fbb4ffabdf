"""The labels of images, from their names, their folders and the file that `data.labels` names."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType

import numpy as np

from framework.config import DataConfig
from framework.data.labels import Labels
from framework.data.sources.labels.columns import MOST_CLASSES, NoLabelError, number_of, read_column
from framework.data.sources.labels.files import FOLDERS, find_labels
from framework.data.sources.labels.matching import (
    Matching,
    is_image_name,
    last_steps,
    match,
    share_matched,
    steps_of,
)
from framework.data.sources.labels.names import FOLDER_LABEL, folders_of, mnist_labels, utkface_labels
from framework.data.sources.labels.report import LabelReport
from framework.data.sources.labels.tables import Table, read_table
from framework.data.synthetic_faces.labels import drawn_labels
from framework.errors import DataError

_FILE_COLUMNS = frozenset(
    [
        "file",
        "file_name",
        "filename",
        "filepath",
        "image",
        "image_id",
        "image_name",
        "image_path",
        "img",
        "name",
        "path",
    ]
)
_TRIED_ROWS = 1000
_INDEX_NAMES = frozenset(["", "unnamed: 0", "index"])


def read_labels(
    config: DataConfig, names: list[str], beside: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> tuple[Labels, LabelReport]:
    """The labels of images, and what happened when they were read.

    Those of `data.labels` replace those of the same name that the source itself has.

    Args:
        names: The images' names within the source.
        beside: Name of an image -> its labels that lie beside it in the source, as text.

    Raises:
        DataError: `data.labels` names no file of labels, or one that names none of the images.
    """
    labels, notes = _of_source(config, names)
    origin = {"drawn_faces": "the drawing", "mnist": "MNIST"}.get(config.source, "file names")
    own = LabelReport(len(names), origin if labels.values else "", notes=notes)
    if any(name in beside for name in names):
        labels, own = _joined(labels, own, *_of_beside(names, beside))
    if not config.labels:
        return labels, own
    more, report = _of_folders(names) if config.labels == FOLDERS else _of_file(config, names)
    return _joined(labels, own, more, dataclasses.replace(report, sampled=bool(config.limit)))


def _joined(labels: Labels, own: LabelReport, more: Labels, report: LabelReport) -> tuple[Labels, LabelReport]:
    """Labels with more of them, which replace those of the same name."""
    classes = {name: found for name, found in labels.classes.items() if name not in more.values}
    both = Labels({**labels.values, **more.values}, {**classes, **more.classes})
    fields = {
        **report.to_json(),
        "origin": f"{own.origin} and {report.origin}" if own.origin else report.origin,
        "written": {**own.written, **report.written},
        "left_out": {**own.left_out, **report.left_out},
        "notes": [*own.notes, *report.notes],
    }
    return both, LabelReport.from_json(fields)


def _of_beside(names: list[str], beside: Mapping[str, Mapping[str, str]]) -> tuple[Labels, LabelReport]:
    """The labels that lie beside images in their container, read as the columns of a table are."""
    columns = list(dict.fromkeys(label for name in names for label in beside.get(name, ())))
    rows = [[name, *(beside.get(name, {}).get(label, "") for label in columns)] for name in names]
    table = Table(["file", *columns], rows)
    labels, about = _columns(table, 0, [[row] for row in rows], np.arange(len(names)))
    origin = "the containers of the images" if labels.values else ""
    return labels, LabelReport(
        len(names), origin, written=about.written, left_out=about.left_out, notes=about.notes
    )  # fmt: skip


def _of_source(config: DataConfig, names: list[str]) -> tuple[Labels, list[str]]:
    if config.source == "mnist":
        return mnist_labels(names), []
    if config.source == "drawn_faces":
        return drawn_labels(config.seed, names), []
    if config.source != "utkface":
        return Labels({}, {}), []
    labels = utkface_labels(names)
    malformed = np.flatnonzero(np.isnan(labels.values["age"]))
    if not len(malformed):
        return labels, []
    count = f"{len(malformed):,} of {len(names):,}"
    example = repr(names[malformed[0]])
    return labels, [f"{count} names are not <age>_<gender>_<race>_<date> and give no labels, such as {example}"]


def _of_folders(names: list[str]) -> tuple[Labels, LabelReport]:
    folders = folders_of(names)
    classes = sorted(set(folders) - {""})
    report = LabelReport(len(names), FOLDERS)
    if not classes:
        raise DataError("data.labels: folders, but the images lie in one folder; it needs a folder for each class")
    if len(classes) > MOST_CLASSES:
        why = f"{len(classes):,} folders; at most {MOST_CLASSES} are classes"
        return Labels({}, {}), LabelReport(len(names), FOLDERS, left_out={FOLDER_LABEL: why})
    codes = {name: code for code, name in enumerate(classes)}
    values = np.array([codes.get(name, math.nan) for name in folders], np.float32)
    return Labels({FOLDER_LABEL: values}, {FOLDER_LABEL: classes}), report


def _of_file(config: DataConfig, names: list[str]) -> tuple[Labels, LabelReport]:
    file = find_labels(config)
    known, bare = last_steps(names), last_steps(names, bare=True)
    table = read_table(
        file.data,
        file.where,
        names_image=lambda cell: (
            is_image_name(cell)
            or share_matched([cell], known) == 1
            or (any(map(str.isdigit, cell)) and share_matched([cell], bare) == 1)
        ),
    )
    place = _file_column(table, known, bare)
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for row in table.rows:
        groups.setdefault(steps_of(row[place]), []).append(row)
    listed = [rows[0][place] for rows in groups.values()]
    matching = match(listed, names)
    if (matching.rows < 0).all():
        raise DataError(
            f"{file.where} names none of the {len(names):,} images "
            f"(it names {listed[0]!r}; the images are named like {names[0]!r})"
        )
    labels, about = _columns(table, place, list(groups.values()), matching.rows)
    used = int((matching.rows >= 0).sum())
    report = LabelReport(
        images=len(names),
        origin=PurePath(file.where).name.removeprefix("data.labels: "),
        rows=len(listed),
        rows_without_image=len(listed) - used,
        images_without_row=len(names) - used,
        written=about.written,
        left_out=about.left_out,
        notes=[*table.notes, *_ways(matching), *about.notes],
    )
    return labels, report


def _ways(matching: Matching) -> Iterator[str]:
    for way, images in matching.ways.items():
        yield f"{images:,} images are named {way}"
    if matching.ambiguous:
        yield f"{matching.ambiguous:,} images have no row, because several rows or images have the same end of the path"


def _file_column(table: Table, known: frozenset[str], bare: frozenset[str]) -> int:
    """The column that names files: of which most cells name an image, else that looks like it, else the first."""
    rows = table.rows[:: max(1, len(table.rows) // _TRIED_ROWS)]
    columns = [list(cells) for cells in zip(*rows, strict=True)]
    shares = [
        [share_matched(cells, known) for cells in columns],
        [sum(map(is_image_name, cells)) / len(cells) for cells in columns],
        # Without endings images may be numbers, as labels are; but labels are not all different.
        [share_matched(cells, bare) if len(set(cells)) == len(cells) > 1 else 0.0 for cells in columns],
        [float(name.casefold() in _FILE_COLUMNS) for name in table.header or ()],
    ]
    found = next((share for share in shares if any(share)), [1.0])
    return found.index(max(found))


@dataclass
class _About:
    """What happened to the columns."""

    written: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _columns(table: Table, place: int, groups: list[list[list[str]]], index: np.ndarray) -> tuple[Labels, _About]:
    """The labels of images and what happened to the columns.

    Args:
        place: The column of file names.
        groups: The rows of each file.
        index: The group of each image, or -1.
    """
    about, labels = _About(), Labels({}, {})
    names = _column_names(table, place, about)
    columns = {name: _cells(groups, column, name, about) for column, name in names.items()}
    counts = {name: Counter(cells) for name, cells in columns.items()}
    minus_is_no = any({number_of(cell) for cell in found if cell} == {-1.0, 1.0} for found in counts.values())
    matched = np.flatnonzero(index >= 0)
    for name, cells in columns.items():
        try:
            column = read_column(name, counts[name], comma_decimals=table.comma_decimals, minus_is_no=minus_is_no)
        except NoLabelError as fault:
            about.left_out[name] = str(fault)
            continue
        values = np.full(len(index), np.nan, np.float32)
        values[matched] = np.array([column.numbers.get(cell, math.nan) for cell in cells], np.float32)[index[matched]]
        labels.values[name] = values
        if column.classes:
            labels.classes[name] = column.classes
        if column.written:
            about.written[name] = column.written
        if column.note:
            about.notes.append(f"column {name!r}: {column.note}")
    return labels, about


def _column_names(table: Table, place: int, about: _About) -> dict[int, str]:
    """Column -> name of each that may be a label."""
    width = len(table.rows[0])
    if table.header is None:
        others = [column for column in range(width) if column != place]
        if len(others) == 1:
            return {others[0]: "label"}
        return {column: f"label_{number}" for number, column in enumerate(others, start=1)}
    again = Counter(table.header)
    names: dict[int, str] = {}
    for column, name in enumerate(table.header):
        if column == place or _is_index(table, column):
            continue
        if not name:
            if any(row[column] for row in table.rows):
                about.left_out[f"number {column + 1}"] = "it has no name"
        elif again[name] > 1:
            about.left_out[name] = "several columns have this name"
        else:
            names[column] = name
    return names


def _is_index(table: Table, column: int) -> bool:
    """Whether a column is the index that pandas writes before the others."""
    assert table.header is not None
    return (
        column == 0
        and table.header[0].casefold() in _INDEX_NAMES
        and len({row[0] for row in table.rows}) == len(table.rows)
    )


def _cells(groups: list[list[list[str]]], column: int, name: str, about: _About) -> list[str]:
    """The cell of each file; empty, with a note, where its rows disagree."""
    cells, disagreeing = [], 0
    for rows in groups:
        agree = len(rows) == 1 or len({row[column] for row in rows}) == 1
        cells.append(rows[0][column] if agree else "")
        disagreeing += not agree
    if disagreeing:
        about.notes.append(f"column {name!r}: rows of {disagreeing:,} images disagree, and their values are unknown")
    return cells
