"""HEIC photographs, which telephones take; they are opened by pillow-heif, an extra."""

import io

from PIL import Image

HEIC = "HEIC photograph"
INSTALL = "pip install -e '.[heic]'"
_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}


def is_heif(head: bytes) -> bool:
    """Whether a file is a HEIC or HEIF picture, by its first bytes.

    >>> is_heif(bytes([0, 0, 0, 28]) + b"ftypheic"), is_heif(bytes([0, 0, 0, 28]) + b"ftypisom")
    (True, False)
    """
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def open_heif(file: io.BytesIO) -> Image.Image:
    """Opens a HEIC picture, upright.

    Raises:
        ImportError: pillow-heif is not installed.
        Exception: Of many kinds, if the file is damaged.
    """
    import pillow_heif  # pyright: ignore[reportMissingImports]

    pillow_heif.options.DECODE_THREADS = 1  # there is a decoding process for each core
    pillow_heif.register_heif_opener(thumbnails=False)
    file.seek(0)
    return Image.open(file, formats=("HEIF",))
