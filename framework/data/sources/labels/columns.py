"""Decides what a column of a table is: a binary label, a class, or a number; or why it cannot be a label."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from framework.data.sources.labels.matching import is_image_name

Kind = Literal["binary", "class", "number"]
MOST_CLASSES = 50
_LARGEST = float(np.finfo(np.float32).max)
_YES = frozenset(["true", "yes", "y", "t", "wahr", "ja", "vrai", "oui", "sí", "si"])
_NO = frozenset(["false", "no", "n", "f", "falsch", "nein", "faux", "non"])
_EMPTY = frozenset(["", "na", "n/a", "#n/a", "nan", "<na>", "null", "?"])
_EMPTY_BESIDE_NUMBERS = _EMPTY | {"none", "unknown", "-"}
_AGES = frozenset(["age", "ages", "year", "years", "yr", "yrs", "alter", "jahr", "jahre", "edad", "anni"])
_FEWEST_DISTINCT_TEXTS = 20  # from so many rows on, texts that are all different are no classes
_LEAST_ROWS_PER_CLASS = 2  # of numbers that are taken as classes
_COMMA_NUMBER = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Column:
    """A label.

    Attributes:
        numbers: Cell -> its value; any other cell is unknown.
        classes: The names of a class label's classes.
        written: The numbers that stand for no and yes in a binary column, if not 0 and 1.
        note: What was decided that its user may not expect; empty if nothing was.
    """

    kind: Kind
    numbers: Mapping[str, float]
    classes: list[str] | None = None
    written: tuple[str, str] | None = None
    note: str = ""


class NoLabelError(ValueError):
    """The column cannot be a label; the message is the reason."""


def read_column(label: str, cells: Counter[str], *, comma_decimals: bool, minus_is_no: bool) -> Column:
    """What a column is.

    Args:
        cells: Number of rows of each cell.
        comma_decimals: Whether 0,5 is a number.
        minus_is_no: Whether −1 means no in this file, so that 0 beside it means unknown.

    Raises:
        NoLabelError: The column cannot be a label.
    """
    known = {cell for cell in cells if cell.casefold() not in _EMPTY}
    if not known:
        raise NoLabelError("it is empty")
    numbers = {cell: number for cell in known if (number := number_of(cell, comma=comma_decimals)) is not None}
    if len(numbers) == len(known):
        return _numbers(label, numbers, cells, minus_is_no=minus_is_no)
    words = {cell for cell in known if cell not in numbers}
    beside = {cell for cell in words if cell.casefold() not in _EMPTY_BESIDE_NUMBERS}
    yes_or_no = {cell: _truth(cell, numbers) for cell in beside | set(numbers)}
    if beside and None not in yes_or_no.values():
        truths = {cell: float(truth or 0) for cell, truth in yes_or_no.items()}
        _refuse_equal(set(truths.values()), truths, cells)
        return Column("binary", truths)
    if numbers and not beside:
        return _numbers(label, numbers, cells, minus_is_no=minus_is_no)
    if numbers:
        raise NoLabelError(f"{_quoted(min(beside))} is not a number, but other cells are")
    return _words(words, cells)


def number_of(cell: str, *, comma: bool = False) -> float | None:
    """The finite number in a cell; None if it is none.

    >>> number_of("1e-3"), number_of("95%"), number_of("0,5", comma=True), number_of("inf")
    (0.001, 0.95, 0.5, None)
    """
    if comma and _COMMA_NUMBER.fullmatch(cell):
        cell = cell.replace(",", ".")
    percent = cell.endswith("%")
    try:
        number = float(cell[:-1] if percent else cell)
    except ValueError:
        return None
    return (number / 100 if percent else number) if math.isfinite(number) else None


def _truth(cell: str, numbers: Mapping[str, float]) -> int | None:
    if cell in numbers:
        return int(numbers[cell]) if numbers[cell] in (0.0, 1.0) else None
    word = cell.casefold()
    return 1 if word in _YES else 0 if word in _NO else None


def _numbers(label: str, numbers: dict[str, float], cells: Counter[str], *, minus_is_no: bool) -> Column:
    values = set(numbers.values())
    largest = max(map(abs, values))
    if largest > _LARGEST:
        raise NoLabelError(f"{largest:g} is too large; at most {_LARGEST:g}")
    _refuse_equal(values, numbers, cells)
    note = ""
    if values == {-1.0, 0.0}:
        raise NoLabelError("it has only −1 and 0, one of which is probably unknown")
    if values == {-1.0, 0.0, 1.0} and minus_is_no:
        values, note = {-1.0, 1.0}, "0 was taken as unknown, because −1 means no in another column"
    elif values >= {-1.0, 0.0} and _is_label(label, values - {-1.0}, numbers, cells):
        values, note = values - {-1.0}, "−1 was taken as unknown"
    numbers = {cell: number for cell, number in numbers.items() if number in values}
    if values <= {0.0, 1.0}:
        return Column("binary", numbers, note=note)
    if min(values) >= 0 and max(values) <= 1:
        return Column("number", numbers, note=note)
    if _is_pair(label, values, numbers, cells):
        low, high = min(values), max(values)
        sides = {cell: float(number == high) for cell, number in numbers.items()}
        return Column("binary", sides, written=(f"{low:g}", f"{high:g}"), note=note)
    if _is_classes(label, values, numbers, cells):
        classes = sorted(values)
        places = {value: float(place) for place, value in enumerate(classes)}
        codes = {cell: places[number] for cell, number in numbers.items()}
        return Column("class", codes, [f"{value:g}" for value in classes], note=note)
    if _is_percent(label, values):
        return Column("number", {cell: number / 100 for cell, number in numbers.items()}, note="0 to 100 became 0 to 1")
    return Column("number", numbers)


def _refuse_equal(values: set[float], numbers: Mapping[str, float], cells: Counter[str]) -> None:
    if len(values) == 1 and sum(cells[cell] for cell in numbers) > 1:
        raise NoLabelError(f"all its values are equal ({_quoted(min(numbers))})")


def _is_label(label: str, values: set[float], numbers: Mapping[str, float], cells: Counter[str]) -> bool:
    """Whether values, from which −1 was taken, can be learned."""
    if min(values) < 0 or len(values) < 2:
        return False
    return max(values) <= 1 or _is_classes(label, values, numbers, cells)


def _is_pair(label: str, values: set[float], numbers: Mapping[str, float], cells: Counter[str]) -> bool:
    """Whether two values stand for no and yes."""
    if len(values) != 2:
        return False
    rows = _rows_of(values, numbers, cells)
    return values in ({-1.0, 1.0}, {1.0, 2.0}) or (not _is_age(label) and min(rows.values()) >= _LEAST_ROWS_PER_CLASS)


def _is_classes(label: str, values: set[float], numbers: Mapping[str, float], cells: Counter[str]) -> bool:
    """Whether numbers are those of classes: few whole ones from 0 or 1 on, each of several rows, and no ages."""
    return (
        2 < len(values) <= MOST_CLASSES
        and all(value >= 0 and value.is_integer() for value in values)
        and max(values) < 2 * len(values)
        and not _is_age(label)
        and sum(_rows_of(values, numbers, cells).values()) >= _LEAST_ROWS_PER_CLASS * len(values)
    )


def _is_percent(label: str, values: set[float]) -> bool:
    """Whether numbers fill the range from 0 to 100 and are not ages."""
    return 0 <= min(values) <= 10 and 90 <= max(values) <= 100 and not _is_age(label)


def _is_age(label: str) -> bool:
    return bool(_AGES & set(re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", label).lower())))


def _rows_of(values: set[float], numbers: Mapping[str, float], cells: Counter[str]) -> Counter[float]:
    rows: Counter[float] = Counter()
    for cell, number in numbers.items():
        if number in values:
            rows[number] += cells[cell]
    return rows


def _words(words: set[str], cells: Counter[str]) -> Column:
    filled = sum(cells[word] for word in words)
    if len(words) == 1 and filled > 1:
        raise NoLabelError(f"all its values are equal ({_quoted(min(words))})")
    if all(map(is_image_name, words)):
        raise NoLabelError(f"it names files, such as {_quoted(min(words))}")
    if any(word.startswith(("[", "{")) for word in words):
        raise NoLabelError(f"it has lists or objects, such as {_quoted(min(words))}")
    if len(words) > MOST_CLASSES:
        raise NoLabelError(f"{len(words):,} different words; at most {MOST_CLASSES} are classes")
    if len(words) == filled >= _FEWEST_DISTINCT_TEXTS:
        raise NoLabelError(f"each of its {filled} rows has a text of its own")
    classes = sorted(words)
    folded = Counter(word.casefold() for word in words)
    again = [word for word in classes if folded[word.casefold()] > 1]
    note = f"classes that differ only in case: {', '.join(map(_quoted, again[:4]))}" if again else ""
    return Column("class", {word: float(code) for code, word in enumerate(classes)}, classes, note=note)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
