"""Labels from UTKFace's file names, MNIST's digits, and CSV files. Values are float32, NaN for unknown ones."""

import csv
import io
import math
import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from framework.data.labels import Labels
from framework.data.sources.mnist import digit_of
from framework.errors import DataError, reason_of
from framework.files import MOST_DOCUMENT_BYTES, read_file, user_path

RACES = ["white", "black", "asian", "indian", "other"]
AGE_GROUPS = ["child", "young", "adult", "old"]
_AGE_GROUP_STARTS = [0, 13, 30, 55]
_UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\D")
_MAX_CLASSES = 50
_LARGEST = float(np.finfo(np.float32).max)


def utkface_labels(names: list[str]) -> Labels:
    """Age in years, female (0 or 1), race and age group from names `<age>_<gender>_<race>_<date>`.

    All labels of a malformed name are unknown.

    >>> labels = utkface_labels(["UTKFace/61_1_3_20170109150557335.jpg.chip.jpg", "61_1_20170109.jpg"])
    >>> labels.values["age"].tolist(), labels.classes["race"][int(labels.values["race"][0])]
    ([61.0, nan], 'indian')
    """
    rows = np.full((len(names), 4), np.nan, np.float32)
    for row, name in zip(rows, names, strict=True):
        match = _UTKFACE_NAME.match(name.rpartition("/")[2])
        if match:
            age, female, race = map(int, match.groups())
            row[:] = age, female, race, np.searchsorted(_AGE_GROUP_STARTS, age, side="right") - 1
    age, female, race, age_group = np.ascontiguousarray(rows.T)
    values = {"age": age, "female": female, "race": race, "age_group": age_group}
    return Labels(values, {"race": RACES, "age_group": AGE_GROUPS})


def mnist_labels(names: list[str]) -> Labels:
    """The label `digit` with the classes 0 to 9.

    >>> mnist_labels(["train-00042-7"]).values["digit"].tolist()
    [7.0]
    """
    digits = np.array([digit_of(name) for name in names], np.float32)
    return Labels({"digit": digits}, {"digit": [str(digit) for digit in range(10)]})


def read_table(path: str | Path) -> bytes | None:
    """The content of a file of labels; None if it does not exist.

    Raises:
        DataError: It cannot be read, is no regular file, or has more than 64 MiB.
    """
    try:
        return read_file(user_path(path), most_bytes=MOST_DOCUMENT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise DataError(f"data.labels: {path} cannot be read ({fault.strerror})") from None


def check_csv(path: str | Path) -> None:
    """Checks a file of labels, so that an error is found before hours of decoding.

    Raises:
        DataError: The file cannot be read as a table.
    """
    _table(path)


def csv_labels(path: str | Path, names: list[str]) -> tuple[Labels, int]:
    """Labels of images from a CSV file whose first column is the file's name, with or without folders.

    A column of numbers is used unchanged (0 to 1 for binary labels), and a column of words becomes a class label. An
    empty cell is unknown.

    Returns:
        The labels, and the number of images that have a row.

    Raises:
        DataError: The file cannot be read as such a table, or has no row for any of the images.
    """
    header, rows = _table(path)
    index = _matched(path, [row[0] for row in rows], names)
    known = np.flatnonzero(index >= 0)
    values, classes = {}, {}
    for column, label in enumerate(header[1:], start=1):
        numbers, words = _column(path, label, [row[column].strip() for row in rows])
        values[label] = np.full(len(names), np.nan, np.float32)
        values[label][known] = numbers[index[known]]
        if words:
            classes[label] = words
    return Labels(values, classes), len(known)


def _table(path: str | Path) -> tuple[list[str], list[list[str]]]:
    data = read_table(path)
    if data is None:
        raise DataError(f"data.labels: {path} does not exist")
    try:
        file = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
        lines = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if any(row)]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DataError(f"data.labels: {path} cannot be read as CSV ({reason_of(fault)})") from None
    if len(lines) < 2 or len(lines[0][1]) < 2:
        raise DataError(f"data.labels: {path} needs a header (file, then one column per label) and one row per image")
    header = [cell.strip() for cell in lines[0][1]]
    twice = [label for label, count in Counter(header).items() if count > 1 or not label]
    if twice:
        raise DataError(f"data.labels: {path} has the column {twice[0]!r} twice or without a name")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise DataError(f"data.labels: {path}, line {number}: {len(row)} cells, but the header has {len(header)}")
    return header, [row for _, row in lines[1:]]


def _matched(path: str | Path, listed: list[str], names: list[str]) -> np.ndarray:
    """The index of each image's row, or -1: by the full name, else by the name without folders if it is unique."""
    whole = {PurePosixPath(name.strip().replace("\\", "/")).as_posix(): row for row, name in enumerate(listed)}
    if len(whole) < len(listed):
        again, _ = Counter(name.strip() for name in listed).most_common(1)[0]
        raise DataError(f"data.labels: {path} names {again} more than once")
    last = {PurePosixPath(name).name: row for name, row in whole.items()}
    rows_of_last = Counter(PurePosixPath(name).name for name in whole)
    images_of_last = Counter(PurePosixPath(name).name for name in names)

    def row(name: str) -> int:
        short = PurePosixPath(name).name
        unique = rows_of_last[short] == images_of_last[short] == 1
        return whole.get(name, last[short] if unique else -1)

    index = np.array([row(name) for name in names], np.int64)
    if (index < 0).all():
        raise DataError(
            f"data.labels: {path} names none of the {len(names):,} images "
            f"(it names {listed[0]!r}; the images are named like {names[0]!r})"
        )
    return index


def _column(path: str | Path, label: str, cells: list[str]) -> tuple[np.ndarray, list[str] | None]:
    """The numbers [rows] of a column, and its classes if it contains words."""
    words = [cell for cell in cells if cell and not _is_number(cell)]
    filled = sum(1 for cell in cells if cell)
    if not words:
        numbers = [float(cell) if cell else math.nan for cell in cells]
        largest = max((abs(number) for number in numbers if not math.isnan(number)), default=0.0)
        if largest > _LARGEST:
            raise DataError(f"data.labels: {path}, column {label}: {largest:g} is too large; at most {_LARGEST:g}")
        return np.array(numbers, np.float32), None
    classes = sorted(set(words))
    if len(words) < filled:
        raise DataError(f"data.labels: {path}, column {label}: {words[0]!r} is not a number, but other cells are")
    if len(classes) > _MAX_CLASSES:
        raise DataError(
            f"data.labels: {path}, column {label}: {len(classes)} different words; at most {_MAX_CLASSES} are allowed"
        )
    codes = {word: float(code) for code, word in enumerate(classes)}
    return np.array([codes.get(cell, np.nan) for cell in cells], np.float32), classes


def _is_number(cell: str) -> bool:
    try:
        return not math.isinf(float(cell))
    except ValueError:
        return False
