"""Photographs that no decoder here opens as a camera's owner expects, by their names."""

from pathlib import PurePath

_RAW = frozenset(
    [
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ]
)


def rejected_name(name: str) -> dict[str, str] | None:
    """The item of a file that is rejected by its name; None for any other.

    A RAW photograph often is a TIFF file whose first picture is a small preview, which would be taken for it.

    >>> rejected_name("DSC_0001.NEF"), rejected_name("a.jpg")
    ({'rejected': 'RAW photograph: convert it to JPEG, PNG or TIFF'}, None)
    """
    if PurePath(name).suffix.lower() in _RAW:
        return {"rejected": "RAW photograph: convert it to JPEG, PNG or TIFF"}
    return None
