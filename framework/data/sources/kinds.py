"""Names files that are no archive of images for what they are, by their first bytes. Imports only small modules."""

import itertools
import zipfile
from typing import BinaryIO

from framework.data.sources.zip_members import zip_members

HEAD_BYTES = 512
_UNPACK = "unpack it, and name the folder"
_FOREIGN = "docs/foreign.md says how its generator is used"
_KERAS = "python -m jobs.import_keras imports its generator"
_ZIP = b"PK\x03\x04"
_WHOLE_ZIP = "a zip file", "name the archive itself"
_EXPORT = "write its images into a folder"
# Where the magic bytes stand, the bytes, what it is, and what to do.
_KINDS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file (as .tar.zst)", "unpack it (tar --zstd -xf), and name the folder"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x), and name the folder"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it (unrar x), and name the folder"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", f"if it is a Keras model, {_KERAS}; else {_EXPORT}"),
    (16, b"\xde\xc0\xef\xbe", "an LMDB database", _EXPORT),
    (0, b"PAR1", "a Parquet file", "name the whole, undamaged file"),
    (0, b"ARROW1", "an Arrow file", "save it as Parquet (Dataset.to_parquet), which is read"),
    (0, b"\x93NUMPY", "a NumPy array", "it must hold pictures: [n,h,w], [n,h,w,c] or [n,c,h,w]"),
    (0, b"SQLite format 3\0", "an SQLite database", _EXPORT),
    (0, b"%PDF-", "a PDF document", _EXPORT),
    (0, _ZIP, *_WHOLE_ZIP),
    (4, b"ftypheic", "a HEIC photograph", "name the folder of the pictures"),
    (4, b"ftypavif", "an AVIF picture", "name the folder of the pictures"),
    (4, b"ftyp", "a video", "write its frames into a folder (ffmpeg)"),
    (0, b"\x1a\x45\xdf\xa3", "a video", "write its frames into a folder (ffmpeg)"),
    (0, b"\xff\xd8\xff", "a JPEG picture", "name the folder of the pictures"),
    (0, b"\x89PNG\r\n", "a PNG picture", "name the folder of the pictures"),
    (0, b"GIF8", "a GIF picture", "name the folder of the pictures"),
    *(
        (0, b"\x80" + bytes([version]), "a Python pickle", f"it is never opened; {_FOREIGN}")
        for version in (2, 3, 4, 5)
    ),
)
_CUT_OFF = "a zip file that is cut off (its end is missing)", "download it again"
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
_ENTRIES = 2000


def kind_of(head: bytes) -> tuple[str, str] | None:
    r"""What a file is and what to do with it, by its first `HEAD_BYTES`; None if that is not known.

    >>> kind_of(b"Rar!\x1a\x07\x01\x00")[0], kind_of(b"words")
    ('a RAR archive', None)
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGE):
        return "a web page: its download failed", "download it in a browser; there may be a login or a quota"
    return next(((what, remedy) for at, magic, what, remedy in _KINDS if head[at:].startswith(magic)), None)


def kind_of_file(file: BinaryIO) -> tuple[str, str] | None:
    """As `kind_of`, of a whole file that lies among images; a zip file is named by what it holds."""
    file.seek(0)
    kind = kind_of(file.read(HEAD_BYTES))
    try:
        return (kind_of_zip(file) if kind == _WHOLE_ZIP else None) or kind
    except (zipfile.BadZipFile, OSError):
        return kind


def kind_of_start(head: bytes) -> tuple[str, str] | None:
    """As `kind_of`, of a file that is no whole zip file."""
    return _CUT_OFF if head.startswith(_ZIP) else kind_of(head)


def kind_of_zip(file: BinaryIO) -> tuple[str, str] | None:
    """What a zip file is if it is the file format of something else than images; None if it is not.

    Raises:
        zipfile.BadZipFile: Its directory is damaged.
    """
    names = {entry.name for entry in itertools.islice(zip_members(file), _ENTRIES)}
    last = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in last:
        script = any("/code/" in name for name in names)
        return ("a TorchScript module" if script else "a file of torch (.pth)"), _FOREIGN
    if {"config.json", "model.weights.h5"} <= names:
        return "a Keras model", _KERAS
    if "[Content_Types].xml" in names:
        return "an Office document (as .xlsx)", "save a table as CSV for data.labels, and name the folder of the images"
    return None
