"""Pictures as data URIs, so that the page needs no other files."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

_LARGE_BYTES = 400_000
_WEBP_QUALITY = 92


@dataclass(frozen=True)
class Picture:
    """A picture with its data URI and texts, as the templates need it."""

    uri: str
    width: int
    height: int
    alt: str
    caption: str = ""


def picture(
    data: bytes, *, alt: str, caption: str = "", longest: int | None = None, webp_over: int | None = None
) -> Picture | None:
    """An image file as a data URI: unchanged if it is small, else as WebP; None if it is not an image.

    Args:
        data: The bytes of the file, usually a PNG of the run.
        alt: Description of the picture for readers who cannot see it.
        caption: Text next to the picture.
        longest: The picture is shrunk until its longer side has at most this many pixels.
        webp_over: Files of more bytes than this are converted to WebP.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError):  # Pillow raises each of these on damaged files
        return None
    kind, large = image.format or "PNG", len(data) > (_LARGE_BYTES if webp_over is None else webp_over)
    if longest is not None and max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        large = True
    if large:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "WEBP", quality=_WEBP_QUALITY)
        data, kind = buffer.getvalue(), "WEBP"
    encoded = base64.b64encode(data).decode("ascii")
    return Picture(f"data:image/{kind.lower()};base64,{encoded}", image.width, image.height, alt, caption)
