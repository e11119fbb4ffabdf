"""Stacks of pictures in NumPy's files: .npy, and .npz with several arrays. Read by row, mapped or unpacked once."""

import io
import tokenize
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO

import numpy as np

from framework.data.sources.archives import DAMAGED_MEMBER
from framework.data.sources.spool import Spool
from framework.data.sources.zip_members import Entry, content_offset, is_zip, member_pieces, zip_members
from framework.errors import DataError, reason_of

MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 1 << 16
_MOST_LABEL_BYTES = 64 << 20
_FEWEST_PIXELS, _MOST_RATIO = 8, 8
_SCANNED_BYTES = 1 << 24
# The range of values -> what is black and white. Some overshoot is allowed, as resizing leaves it; it is clipped.
_RANGES = (((-0.2, 1.2), (0.0, 1.0)), ((-1.2, 1.2), (-1.0, 1.0)), ((-20.0, 275.0), (0.0, 255.0)))
_UNREADABLE = (*DAMAGED_MEMBER, tokenize.TokenError, SyntaxError, TypeError)


@dataclass(frozen=True)
class _Array:
    """An array in a file.

    Attributes:
        name: Its name in an .npz file; empty in an .npy file.
        start: Length of its header in bytes.
        entry: Its member of the .npz file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int
    entry: Entry | None

    @property
    def layout(self) -> tuple[int, int, int, str] | None:
        """Height, width, channels, and where the channels are in a picture; None if it is no stack of pictures."""
        if self.dtype.kind not in "fiu" or len(self.shape) not in (3, 4) or not self.shape[0]:
            return None
        *sides, last = self.shape[1:]
        forms = [(self.shape[1], last, 1, "last")] if len(self.shape) == 3 else []
        if len(self.shape) == 4:
            forms = [(sides[0], sides[1], last, "last"), (sides[1], last, sides[0], "first")]
        return next((form for form in forms if form[2] in (1, 3, 4) and _is_picture(form[0], form[1])), None)


def stack_items(
    file: BinaryIO, where: str, prefix: str, reference: str, spool: Spool, beside: dict[str, dict[str, str]]
) -> Iterator[tuple[str, Any]]:
    """The pictures of a file of stacks.

    An item is {"stack": reference or "unpacked": ..., "item": [offset, size] in it, "as": how to make it a picture}.

    Args:
        where: The file, for messages.
        prefix: What the names of pictures begin with.
        reference: The name of the file in the folder; empty if it is the source itself.
        beside: Gets the labels, which are other arrays of the same length.

    Raises:
        DataError: The file is damaged, its values are in no range that pictures have, or it is the source itself and
            has no pictures.
    """
    try:
        arrays = list(_arrays(file))
    except _UNREADABLE as fault:
        raise DataError(f"data.path: {where} is damaged, or no array of numbers ({reason_of(fault)})") from None
    stacks = [array for array in arrays if array.layout is not None]
    if not stacks and not prefix:
        shapes = ", ".join(f"{array.name} {list(array.shape)} {array.dtype}".strip() for array in arrays[:8])
        raise DataError(f"data.path: {where} has no stack of pictures [n,h,w], [n,h,w,c] or [n,c,h,w]; it has {shapes}")
    for stack in stacks:
        try:
            labels = _labels(file, stack, arrays, alone=len(stacks) == 1)
        except _UNREADABLE as fault:
            raise DataError(f"data.path: {where} is damaged ({reason_of(fault)})") from None
        inner = f"{prefix}{stack.name}/" if len(stacks) > 1 else prefix
        for row, item in enumerate(_rows(file, stack, where, reference, spool)):
            name = f"{inner}{row:06d}"
            if labels:
                beside[name] = {label: values[row] for label, values in labels.items()}
            yield name, item


def is_stack(file: BinaryIO) -> bool:
    """Whether a file is a NumPy array or a zip file of nothing but these."""
    file.seek(0)
    if file.read(len(MAGIC)) == MAGIC:
        return True
    if not is_zip(file):
        return False
    try:
        names = [entry.name for entry in zip_members(file)]
    except zipfile.BadZipFile:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _arrays(file: BinaryIO) -> Iterator[_Array]:
    file.seek(0)
    if file.read(len(MAGIC)) == MAGIC:
        file.seek(0)
        yield _header(file.read(_HEADER_BYTES), "", None)
        return
    for entry in zip_members(file):
        head = io.BytesIO()
        for piece in member_pieces(file, entry):
            head.write(piece)
            if head.tell() >= _HEADER_BYTES:
                break
        yield _header(head.getvalue(), str(PurePath(entry.name).with_suffix("")), entry)


def _header(head: bytes, name: str, entry: Entry | None) -> _Array:
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return _Array(name, shape, dtype, fortran, stream.tell(), entry)


def _is_picture(height: int, width: int) -> bool:
    small, large = sorted((height, width))
    return small >= _FEWEST_PIXELS and large <= _MOST_RATIO * small


def _rows(file: BinaryIO, stack: _Array, where: str, reference: str, spool: Spool) -> Iterator[dict[str, Any]]:
    assert stack.layout is not None
    if stack.fortran:
        raise DataError(f"data.path: {where} is in Fortran's order; save it again with numpy.ascontiguousarray")
    row = int(np.prod(stack.shape[1:])) * stack.dtype.itemsize
    size = stack.start + row * stack.shape[0]
    place: dict[str, Any] = {"stack": reference}
    start = 0
    if stack.entry is not None and stack.entry.method == zipfile.ZIP_STORED:
        start = content_offset(file, stack.entry)
    elif stack.entry is not None:
        start, _ = spool.add(member_pieces(file, stack.entry), size, whole=True)
        place = {"unpacked": ""}
    low, high = _scale(file, stack, start + stack.start, where, spool)
    form = [*stack.layout, stack.dtype.str, low, high]
    for number in range(stack.shape[0]):
        yield {**place, "item": [start + stack.start + number * row, row], "as": form}


def _scale(file: BinaryIO, stack: _Array, start: int, where: str, spool: Spool) -> tuple[float, float]:
    """The values that are black and white in the whole stack."""
    if stack.dtype == np.uint8 or spool.path is None:
        return 0.0, 255.0
    if stack.dtype.kind in "iu" and stack.dtype.itemsize == 2 and stack.dtype.kind == "u":
        return 0.0, 65535.0
    compressed = stack.entry is not None and stack.entry.method != zipfile.ZIP_STORED
    count, step = int(np.prod(stack.shape)), _SCANNED_BYTES // stack.dtype.itemsize
    low, high = np.inf, -np.inf
    with open(spool.path if compressed else f"/dev/fd/{file.fileno()}", "rb") as mapped:  # noqa: PTH123
        mapped.seek(start)
        while count > 0:
            size = min(step, count) * stack.dtype.itemsize
            data = mapped.read(size)
            if len(data) < size:
                raise DataError(f"data.path: {where} is cut off; copy or download it again")
            values = np.frombuffer(data, stack.dtype)
            count -= len(values)
            finite = values[np.isfinite(values)]
            if len(finite):
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    found = next((scale for (least, most), scale in _RANGES if least <= low and high <= most), None)
    if stack.dtype.kind in "iu" and found is not None:
        found = (0.0, 255.0)
    if found is None:
        raise DataError(
            f"data.path: {where} has values from {low:g} to {high:g}; pictures have 0 to 1, -1 to 1 or 0 to 255"
        )
    return found


def _labels(file: BinaryIO, stack: _Array, arrays: list[_Array], *, alone: bool) -> dict[str, list[str]]:
    """Label -> the value of each picture as text: of one-dimensional arrays as long as the stack."""
    found = {}
    for array in arrays:
        name, _, split = array.name.partition("_")
        fits = alone or split == stack.name.partition("_")[2]
        is_label = array.shape == stack.shape[:1] and array.dtype.kind in "biufU" and array.entry is not None
        if is_label and fits and array.entry is not None and array.entry.size <= _MOST_LABEL_BYTES:
            content = io.BytesIO(b"".join(member_pieces(file, array.entry)))
            values = np.load(content, allow_pickle=False)
            found["label" if name == "arr" else array.name if alone else name] = [
                str(value) for value in values.tolist()
            ]
    return found
