"""Faults in the structure of an image file that would cost much memory or time before Pillow notices them.

Pillow bounds the pixels and some of the metadata. It copies other metadata several times, makes a Python object of each
number in a TIFF file's tags, and decodes each scan of a JPEG over the whole picture. Imports only `re`.
"""

import re
from collections.abc import Iterator

MOST_METADATA_BYTES = 64 << 20
MOST_SCANS = 500  # the limit of libjpeg-turbo's own tools; encoders write about ten
_MOST_CHUNKS = 1 << 20
_MOST_TAG_BYTES = 256 << 20  # Photoshop keeps its layers in a tag
_MOST_TAG_NUMBERS = 1 << 20
_MOST_TAGS = 1 << 16
_OBJECT_BYTES = 256  # what an empty chunk or segment costs in memory
_LARGE_BYTES = 8 << 20  # smaller files cannot have so much metadata
_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IDAT", b"fdAT", b"fcTL"}
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd8])")  # of a JPEG segment with a length, or of its end
_SCAN, _END = b"\xda", b"\xd9"
_TIFF = {b"II*\0": ("little", False), b"MM\0*": ("big", False), b"II+\0": ("little", True), b"MM\0+": ("big", True)}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_RAW_TYPES = {1, 2, 6, 7}  # Pillow keeps them as they are


def structural_fault(data: bytes) -> str | None:
    """What is wrong with the structure of a PNG, JPEG or TIFF file, in a few words; None if nothing is."""
    if data.startswith(_PNG):
        return _png_fault(data) if len(data) >= _LARGE_BYTES else None
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg_fault(data)
    form = _TIFF.get(bytes(data[:4]))
    return _tiff_fault(data, *form) if form else None


def has_several_scans(data: bytes) -> bool:
    """Whether a JPEG has more than one scan, so that libjpeg holds all its coefficients in memory."""
    return _scans(data, most=1) > 1


def _png_fault(data: bytes) -> str | None:
    at, metadata = len(_PNG), 0
    for _ in range(_MOST_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in (b"", b"IEND"):
            return None
        if kind not in _PIXEL_CHUNKS:
            metadata += length + _OBJECT_BYTES
        if metadata > MOST_METADATA_BYTES:
            return f"more than {MOST_METADATA_BYTES >> 20} MiB of metadata"
        at += 12 + length
    return f"more than {_MOST_CHUNKS:,} chunks"


def _jpeg_fault(data: bytes) -> str | None:
    if len(data) >= _LARGE_BYTES:
        metadata = sum(length + _OBJECT_BYTES for kind, length in _segments(data, until=_SCAN) if kind != _SCAN)
        if metadata > MOST_METADATA_BYTES:
            return f"more than {MOST_METADATA_BYTES >> 20} MiB of metadata"
    if data.count(b"\xff\xda") > MOST_SCANS and _scans(data, most=MOST_SCANS) > MOST_SCANS:
        return f"more than {MOST_SCANS} scans"
    return None


def _scans(data: bytes, *, most: int) -> int:
    """The number of scans of the first picture, counted up to one more than `most`."""
    count = 0
    for kind, _ in _segments(data):
        count += kind == _SCAN
        if count > most:
            break
    return count


def _segments(data: bytes, *, until: bytes = _END) -> Iterator[tuple[bytes, int]]:
    """The marker and length of each segment of the first picture of a JPEG file, up to one with a given marker."""
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        kind, length = found[1], int.from_bytes(data[found.end() : found.end() + 2], "big")
        yield kind, length
        if kind in (until, _END):
            return
        at = found.end() + max(length, 2)


def _tiff_fault(data: bytes, order: str, big: bool) -> str | None:
    """Of the first picture's tags, which are all that Pillow reads."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")

    word, count_size = (8, 8) if big else (4, 2)
    at = number(8 if big else 4, word)
    tags, at = number(at, count_size), at + count_size
    if tags > _MOST_TAGS:
        return f"more than {_MOST_TAGS:,} tags"
    kept = numbers = 0
    for entry in range(at, min(at + tags * (4 + 2 * word), len(data)), 4 + 2 * word):
        kind, count = number(entry + 2, 2), number(entry + 4, word)
        size = count * _SIZES.get(kind, 0)
        if size > len(data):
            continue  # Pillow leaves it out
        kept += size
        numbers += 0 if kind in _RAW_TYPES else size and count
    if kept > _MOST_TAG_BYTES:
        return f"more than {_MOST_TAG_BYTES >> 20} MiB of metadata"
    return f"more than {_MOST_TAG_NUMBERS:,} numbers in its tags" if numbers > _MOST_TAG_NUMBERS else None
