"""What happened when labels were read, and the table of labels that jobs print."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from framework.data.labels import Labels
from framework.data.sources.labels.columns import MOST_CLASSES
from framework.data.sources.labels.names import folders_of
from framework.data.store import PackedStore

FEWEST_MATCHED = 0.9
_MOST_VALUES = 8
_MOST_LABELS = 50
_MOST_NAME = 30
_MOST_OFFERED = 4


@dataclass(frozen=True)
class LabelReport:
    """What happened when labels were read.

    Attributes:
        images: Number of images.
        origin: Name of the file, `folders`, or `file names`; empty if the images have no labels.
        rows: Number of rows of the file; None without a file.
        rows_without_image: Number of rows that name no image.
        images_without_row: Number of images that no row names.
        sampled: Whether the images are a sample, so that rows without an image are expected.
        written: Binary label -> the numbers that stand for no and yes, if not 0 and 1.
        left_out: Column -> why it cannot be a label.
        notes: What its user may not expect.
    """

    images: int = 0
    origin: str = ""
    rows: int | None = None
    rows_without_image: int = 0
    images_without_row: int = 0
    sampled: bool = False
    written: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def matched(self) -> int | None:
        """Number of images that have a row; None without a file."""
        return None if self.rows is None else self.images - self.images_without_row

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "LabelReport":
        """The report from `to_json`; unknown keys are ignored."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        known["written"] = {label: (low, high) for label, (low, high) in document.get("written", {}).items()}
        return cls(**known)


def label_table(labels: Labels, report: LabelReport) -> list[dict[str, Any]]:
    """A row for each label: its name and kind, the number of images that have it, and counts or the range."""
    return [_row(label, values, labels.classes.get(label), report) for label, values in labels.values.items()]


def label_document(labels: Labels, report: LabelReport) -> dict[str, Any]:
    """The table and the report, for a job's JSON document."""
    return {"label_table": label_table(labels, report), "labels_report": report.to_json()}


def _row(label: str, values: np.ndarray, classes: list[str] | None, report: LabelReport) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    row: dict[str, Any] = {"label": label, "kind": kind_of(values, classes), "images": len(known)}
    if classes is not None:
        counts = np.bincount(known.astype(np.int64), minlength=len(classes)).tolist()
        return {**row, "counts": dict(zip(classes, counts, strict=True))}
    if row["kind"] == "binary":
        row["counts"] = {"no": int((known == 0).sum()), "yes": int((known == 1).sum())}
        if label in report.written:
            row["written"] = dict(zip(("no", "yes"), report.written[label], strict=True))
        return row
    return {**row, "least": float(known.min()), "most": float(known.max())} if len(known) else row


def kind_of(values: np.ndarray, classes: list[str] | None) -> str:
    """Binary, class or number."""
    if classes is not None:
        return "class"
    known = values[~np.isnan(values)]
    return "binary" if len(known) and np.isin(known, (0.0, 1.0)).all() else "number"


def label_lines(labels: Labels, report: LabelReport, *, every_label: bool = True) -> list[str]:
    """The lines to print: how many images have labels, a table if `every_label`, and warnings."""
    if not report.origin:
        return []
    table = label_table(labels, report)
    lines = [f"Labels: {len(table)} from {report.origin}{_matched(report)}"]
    if every_label:
        lines += _aligned([_cells(row) for row in table[:_MOST_LABELS]])
        if len(table) > _MOST_LABELS:
            lines.append(f"  and {len(table) - _MOST_LABELS} more labels")
    return [*lines, *warning_lines(report, labelled=bool(table))]


def note_lines(report: LabelReport) -> list[str]:
    """Columns that were left out, and what else its user may not expect."""
    left_out = [f"Labels: column {column!r} is left out: {why}" for column, why in report.left_out.items()]
    if len(left_out) > _MOST_VALUES:
        left_out[_MOST_VALUES:] = [f"Labels: {len(left_out) - _MOST_VALUES} more columns are left out"]
    return [*left_out, *(f"Labels: {note}" for note in report.notes)]


def offer_lines(files: list[str], names: list[str]) -> list[str]:
    """Lines about labels that `data.labels` could take: of files among the images, and of folders of classes.

    Args:
        files: Files that probably hold labels.
        names: The images' names.
    """
    lines = [f"{name!r} lies among the images; data.labels={shlex.quote(name)} takes its labels" for name in files[:3]]
    classes = sorted(set(folders_of(names)) - {""})
    if not lines and 1 < len(classes) <= MOST_CLASSES:
        shown = ", ".join(map(_short, classes[:_MOST_OFFERED])) + (", …" if len(classes) > _MOST_OFFERED else "")
        lines.append(f"The images lie in {len(classes)} folders ({shown}); data.labels=folders makes them classes")
    return lines


def described_labels(store: PackedStore) -> tuple[Labels, LabelReport]:
    """The labels of a store and what happened when they were read."""
    labels = Labels(store.labels, store.label_classes)
    if store.labels_report is not None:
        return labels, LabelReport.from_json(store.labels_report)
    return labels, LabelReport(len(store), "file names" if store.labels else "")


def warning_lines(report: LabelReport, *, labelled: bool) -> list[str]:
    """What looks wrong: no label at all, or under 90% of the rows or images matched."""
    lines = [] if labelled else [f"Warning: {report.origin} gives no label"]
    if report.rows is None:
        return lines
    if report.matched is not None and report.matched < FEWEST_MATCHED * report.images:
        lines.append(
            f"Warning: {report.images_without_row:,} of {report.images:,} images have no row in {report.origin}"
        )
    if not report.sampled and report.rows - report.rows_without_image < FEWEST_MATCHED * report.rows:
        lines.append(f"Warning: {report.rows_without_image:,} of {report.rows:,} rows of {report.origin} name no image")
    return lines


def _matched(report: LabelReport) -> str:
    if report.rows is None:
        return ""
    return (
        f"; {report.matched:,} of {report.images:,} images have a row, "
        f"{report.rows_without_image:,} of {report.rows:,} rows name no image"
    )


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    kind = row["kind"]
    if "written" in row:
        kind += f" ({row['written']['no']} is no, {row['written']['yes']} is yes)"
    if "counts" in row:
        counts = sorted(row["counts"].items(), key=lambda pair: -pair[1]) if kind == "class" else row["counts"].items()
        shown = [f"{_short(name)} {count:,}" for name, count in counts]
        more = [f"and {len(shown) - _MOST_VALUES} more"] if len(shown) > _MOST_VALUES else []
        values = ", ".join([*shown[:_MOST_VALUES], *more])
    else:
        values = f"{row['least']:g} to {row['most']:g}" if "least" in row else "unknown"
    return _short(row["label"]), kind, f"{row['images']:,} images", values


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1]}…"


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {images:>{widths[2]}}  {values}"
        for name, kind, images, values in rows
    ]
