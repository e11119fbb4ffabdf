"""Reads a table of labels from bytes: CSV in its dialects, CelebA's padded columns, JSON and JSON lines."""

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from framework.data.sources.labels.json_tables import MOST_COLUMNS, json_rows
from framework.errors import DataError, reason_of

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
_SNIFFED_LINES = 200
_SNIFFED_CHARACTERS = 1_000_000
_MOST_ROWS = 5_000_000
_SEP_LINE = re.compile(r'^"?sep=(.)"?\s*$', re.IGNORECASE)
_MOST_SHARED_CHARACTERS = 16  # of a cell; equal short cells are one object, which keeps 40 columns of CelebA small
_FOREIGN = {
    b"PK\x03\x04": "is a workbook (.xlsx, .ods) or an archive; save it as CSV, in Excel with Save As > CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook; save it as CSV, in Excel with Save As > CSV UTF-8",
    b"PAR1": "is a Parquet file; save it as CSV",
    b"SQLi": "is a database; save its table as CSV",
    b"\x1f\x8b": "is compressed; unpack it",
}


@dataclass
class Table:
    """A table as text.

    Attributes:
        header: Names of the columns; None if the file has none.
        rows: All with the same number of cells.
        comma_decimals: Whether numbers may be written as 0,5.
        notes: What was unusual.
    """

    header: list[str] | None
    rows: list[list[str]]
    comma_decimals: bool = False
    notes: list[str] = field(default_factory=list)


def read_table(data: bytes, where: str, *, names_image: Callable[[str], bool]) -> Table:
    """The table in a file's content, of whatever dialect.

    Args:
        where: The file, for messages.
        names_image: Whether a cell is the name of an image; a first row with one is no header.

    Raises:
        DataError: The content is no such table; the message says what it is instead, if it is known.
    """
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise DataError(f"{where} {what}")
    text, notes = _decoded(data)
    if "\0" in text:
        raise DataError(f"{where} cannot be read as CSV (it has the character NUL)")
    start = text.lstrip()[:1]
    if start in ("{", "["):
        header, rows = json_rows(text, where)
        return Table(header, _shared(rows), notes=notes)
    table = _csv_table(text, where, names_image)
    table.notes[:0] = notes
    return table


def _decoded(data: bytes) -> tuple[str, list[str]]:
    """The text, and a note if its encoding is not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), ["its text is UTF-16"]
    sample = data[:1000]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(sample) >= 4 and sample[offset::2].count(0) > 0.9 * len(sample[offset::2]):
            return data.decode(encoding, "replace"), ["its text is UTF-16"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), ["its text is not UTF-8 and was read as Windows-1252"]


def _csv_table(text: str, where: str, names_image: Callable[[str], bool]) -> Table:
    text, separator, passed = _without_first_lines(text)
    separator = separator or _separator(text)
    try:
        lines = list(itertools.islice(_lines(text, separator), _MOST_ROWS + 1))
    except csv.Error as fault:
        raise DataError(f"{where} cannot be read as CSV ({reason_of(fault)})") from None
    if len(lines) > _MOST_ROWS or (lines and len(lines[0][1]) > MOST_COLUMNS):
        raise DataError(f"{where} has more than {_MOST_ROWS:,} rows or {MOST_COLUMNS:,} columns, which are too many")
    notes = [] if separator == "," else [f"its columns are separated by {_SEPARATORS.get(separator, repr(separator))}"]
    if lines and len(lines[0][1]) == 1 and lines[0][1][0].isdigit() and len(lines) > 1:
        del lines[0]  # CelebA's files begin with the number of rows
    if not lines:
        raise _no_table(where)
    header = None if any(map(names_image, lines[0][1])) else [cell.lstrip("#").strip() for cell in lines.pop(0)[1]]
    if header is not None and separator == " " and lines and len(lines[0][1]) == len(header) + 1:
        header = ["", *header]  # CelebA's header has no name for the column of files
    if not lines or len(lines[0][1] if header is None else header) < 2:
        raise _no_table(where)
    if header is None:
        notes.append("it has no header, so its columns are called label or label_1, label_2, …")
    width = len(lines[0][1]) if header is None else len(header)
    for number, row in lines:
        if len(row) != width:
            of = "the first row" if header is None else "the header"
            raise DataError(f"{where}, line {passed + number}: {len(row)} cells, but {of} has {width}")
    return Table(header, _shared([row for _, row in lines]), separator != ",", notes)


def _no_table(where: str) -> DataError:
    return DataError(f"{where} needs a header (file, then one column per label) and one row per image")


def _without_first_lines(text: str) -> tuple[str, str | None, int]:
    """The text without comments and Excel's line `sep=;` at its start; that separator; the number of these lines."""
    separator, passed, start = None, 0, 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        line = text[start:end].rstrip("\n")
        found = _SEP_LINE.match(line)
        if found:
            separator = found[1]
        elif line.strip() and not (line.startswith("#") and not re.search(r"[,;\t|]", line)):
            break
        start, passed = end, passed + 1
    return text[start:], separator, passed


def _separator(text: str) -> str:
    """The separator for which most lines have as many cells as the first one."""
    sample = text[:_SNIFFED_CHARACTERS].splitlines()[:_SNIFFED_LINES]
    if len(sample) > 1 and sample[0].strip().isdigit():
        sample = sample[1:]
    best, best_share = ",", 0.0
    for separator in _SEPARATORS:
        try:
            widths = Counter(len(row) for _, row in _lines("\n".join(sample), separator))
            first = len(next(_lines(sample[0], separator))[1])
        except (csv.Error, IndexError, StopIteration):
            continue
        fits = widths[first] if first > 1 else 0
        if separator == " ":
            fits = max(fits, widths[first + 1])
        share = fits / sum(widths.values())
        if share > best_share:
            best, best_share = separator, share
    return best


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of each line that is not empty."""
    if separator == " ":
        yield from ((number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip())
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    yield from ((number, [cell.strip() for cell in row]) for number, row in enumerate(reader, 1) if any(row))


def _shared(rows: list[list[str]]) -> list[list[str]]:
    """The same rows, in which equal short cells are one object."""
    seen: dict[str, str] = {}
    for row in rows:
        row[:] = [seen.setdefault(cell, cell) if len(cell) <= _MOST_SHARED_CHARACTERS else cell for cell in row]
    return rows
