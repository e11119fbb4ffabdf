"""The labels of images, from their names, their folders, or a file in one of many forms."""

from framework.data.sources.labels.files import FOLDERS, OFFERED, find_labels, read_outside
from framework.data.sources.labels.reading import read_labels
from framework.data.sources.labels.report import (
    LabelReport,
    described_labels,
    label_document,
    label_lines,
    note_lines,
    offer_lines,
)

__all__ = [
    "FOLDERS",
    "OFFERED",
    "LabelReport",
    "described_labels",
    "find_labels",
    "label_document",
    "label_lines",
    "note_lines",
    "offer_lines",
    "read_labels",
    "read_outside",
]
