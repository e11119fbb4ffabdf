"""Pictures as data URIs, so that the page needs nothing beside it."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

_LARGE_BYTES = 400_000
_WEBP_QUALITY = 92


@dataclass(frozen=True)
class Picture:
    """A picture as a page takes it."""

    uri: str
    width: int
    height: int
    alt: str
    caption: str = ""


def picture(
    data: bytes, *, alt: str, caption: str = "", longest: int | None = None, webp_over: int | None = None
) -> Picture | None:
    """The bytes of an image file as they are where they are small, else as WebP; None where they are no image.

    Args:
        data: PNG as a run holds it.
        alt: What it shows, for who cannot see it.
        caption: What stands beneath it.
        longest: Shrunk where a side is longer, in pixels.
        webp_over: How many bytes are small.
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
