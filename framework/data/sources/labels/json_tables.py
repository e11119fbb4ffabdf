"""Rows of labels from JSON: StyleGAN's dataset.json, objects by file name, lists of objects, and JSON lines."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from framework.errors import DataError, reason_of

FILE_COLUMN = "file"
MOST_COLUMNS = 10_000
_MOST_CELLS = 50_000_000  # CelebA has 8 million
_LEVELS = 4  # of nested objects whose keys become columns a.b.c
_MOST_PARTS = 64  # of a list of numbers that becomes columns


def json_rows(text: str, where: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows.

    Args:
        where: The file, for messages.

    Raises:
        DataError: The text is no JSON, or JSON of none of these forms.
    """
    try:
        flat = [dict(_flat("", record)) for record in _records(_parsed(text))]
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{where} cannot be read as JSON ({reason_of(fault)})") from None
    columns = list(dict.fromkeys(name for record in flat for name in record))
    if len(columns) < 2:
        raise DataError(
            f"{where} has none of the known forms: {{file: {{label: value}}}}, a list or lines of objects with a file "
            'and labels, or {"labels": [[file, class], …]}'
        )
    if len(columns) > MOST_COLUMNS or len(columns) * len(flat) > _MOST_CELLS:
        raise DataError(f"{where} has {len(flat):,} rows of {len(columns):,} values, which are too many")
    return columns, [[record.get(name, "") for name in columns] for record in flat]


def _parsed(text: str) -> Any:
    """The document, or the list of the documents in its lines."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        return json.loads(text)  # its own error says more


def _records(document: Any) -> Iterator[dict[str, Any]]:
    """An object for each image."""
    if isinstance(document, dict):
        pairs = document.get("labels")
        if isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            document = [{FILE_COLUMN: name, "label": _class(value)} for name, value in pairs]
        elif "labels" in document and pairs is None:
            return  # StyleGAN's dataset without labels
    if isinstance(document, dict):
        for name, value in document.items():
            record = value if isinstance(value, dict) else {"label": _class(value)}
            yield {FILE_COLUMN: name, **{key: content for key, content in record.items() if key != FILE_COLUMN}}
    elif isinstance(document, list):
        yield from (entry for entry in document if isinstance(entry, dict))


def _class(value: Any) -> Any:
    """The class of a one-hot list, the content of a list of one; anything else unchanged."""
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if not _is_vector(value):
        return value
    return value.index(1) if sorted(value) == [0] * (len(value) - 1) + [1] else value


def _is_vector(value: Any) -> bool:
    """Whether a value is a short list of numbers."""
    return (
        isinstance(value, list)
        and 1 < len(value) <= _MOST_PARTS
        and all(isinstance(part, int | float) for part in value)
    )


def _flat(name: str, value: Any, level: int = 0) -> Iterable[tuple[str, str]]:
    """(column, cell) of a value; nested objects and short lists of numbers become several columns."""
    if isinstance(value, dict) and level < _LEVELS:
        for key, content in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), content, level + 1)
    elif _is_vector(value):
        for number, part in enumerate(value, start=1):
            yield f"{name}_{number}", _cell(part)
    else:
        yield name, _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value) if isinstance(value, bool | dict | list) else repr(value)
