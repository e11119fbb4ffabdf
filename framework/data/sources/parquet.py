"""Pictures in a Parquet file, as Hugging Face's data sets have them, unpacked in pieces; other columns are labels."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from framework.data.sources.spool import Spool
from framework.errors import DataError, reason_of

MAGIC = b"PAR1"
_BATCH_ROWS = 32
_BUFFER_BYTES = 1 << 20
_NAMES = ("image", "img", "jpg", "jpeg", "png", "picture", "photo", "bytes", "content", "data")
_MOST_TEXT = 200
_MOST_LABELS = 100


def parquet_items(
    file: BinaryIO, where: str, prefix: str, spool: Spool, left_out: Counter[str], beside: dict[str, dict[str, str]]
) -> Iterator[tuple[str, Any]]:
    """The pictures of a Parquet file, as items of the spool; none if it has no column of pictures, in a folder.

    A picture is called by its `path` if these are all different, else by the number of its row.

    Args:
        where: The file, for messages.
        prefix: What the names of pictures begin with.
        left_out: Counts rows without a picture, and those of further columns of pictures.
        beside: Gets the labels.

    Raises:
        DataError: The file is damaged; or it is the source itself and has no column of pictures.
    """
    import pyarrow as pa  # imported here, because few sources need it and it takes a while
    import pyarrow.parquet as pq

    try:
        file.seek(0)
        table = pq.ParquetFile(pa.PythonFile(file, mode="r"), buffer_size=_BUFFER_BYTES, pre_buffer=False)
        features = _features(table.schema_arrow.metadata)
        images = _image_columns(table.schema_arrow, features)
        if not images and not prefix:
            raise DataError(f"data.path: {where} has no column of pictures; it has {table.schema_arrow.names[:20]}")
        if not images:
            return
        column, nested = images[0]
        if len(images) > 1:
            left_out["picture of another column"] += table.metadata.num_rows * (len(images) - 1)
        labels = _label_columns(table.schema_arrow, features)
        paths = _paths(table, column) if nested else None
        bytes_of = f"{column}.bytes" if nested else column
        row = 0
        for batch in table.iter_batches(_BATCH_ROWS, columns=[*([bytes_of] if spool.path else []), *labels]):
            pictures = _pictures(batch, column, nested=nested) if spool.path else [b""] * batch.num_rows
            texts = [batch.column(label).to_pylist() for label in labels]
            for number, picture in enumerate(pictures):
                name = prefix + (paths[row] if paths else f"{row:06d}")
                row += 1
                if picture is None:
                    left_out["row without a picture"] += 1
                    continue
                if labels:
                    cells = zip(labels.items(), texts, strict=True)
                    beside[name] = {label: _text(values[number], names) for (label, names), values in cells}
                yield name, {"unpacked": spool.add([picture], len(picture)), "image": True}
    except (pa.ArrowException, OSError, ValueError, KeyError) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            raise
        raise DataError(f"data.path: {where} is damaged ({reason_of(fault)}); copy or download it again") from None


def _features(metadata: Any) -> dict[str, Any]:
    """Hugging Face's description of the columns; empty if there is none."""
    try:
        return json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}


def _image_columns(schema: Any, features: dict[str, Any]) -> list[tuple[str, bool]]:
    """The columns of pictures, the likeliest first, and whether each is a struct with `bytes`."""
    import pyarrow as pa

    found = []
    for field in schema:
        nested = pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
        described = isinstance(features.get(field.name), dict) and features[field.name].get("_type") == "Image"
        audio = isinstance(features.get(field.name), dict) and features[field.name].get("_type") == "Audio"
        if (nested or binary) and not audio:
            rank = _NAMES.index(field.name.lower()) if field.name.lower() in _NAMES else len(_NAMES)
            found.append((not described, not nested, rank, field.name, nested))
    return [(name, nested) for *_, name, nested in sorted(found)]


def _label_columns(schema: Any, features: dict[str, Any]) -> dict[str, list[str]]:
    """The columns of plain values, each with the names of its classes, or none."""
    import pyarrow as pa

    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    names = [field.name for field in schema if any(test(field.type) for test in tests)]
    described = {name: features.get(name) if isinstance(features.get(name), dict) else {} for name in names}
    return {name: list(map(str, (described[name] or {}).get("names") or [])) for name in names[:_MOST_LABELS]}


def _paths(table: Any, column: str) -> list[str] | None:
    """The paths of all pictures; None if one is missing or two are equal."""
    try:
        batches = list(table.iter_batches(1 << 16, columns=[f"{column}.path"]))
        paths = [row["path"] for batch in batches for row in batch.column(0).to_pylist()]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    whole = all(isinstance(path, str) and path for path in paths) and len(set(paths)) == len(paths)
    return paths if whole and paths else None


def _pictures(batch: Any, column: str, *, nested: bool) -> list[bytes | None]:
    rows = batch.column(column).to_pylist()
    return [row and row["bytes"] for row in rows] if nested else rows


def _text(value: Any, names: list[str]) -> str:
    if value is None:
        return ""
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""
    text = str(value)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
