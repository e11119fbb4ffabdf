"""Pictures as data URIs, so that the page needs no other files."""

import base64
import io
import warnings
from dataclasses import dataclass

from PIL import Image

_FORMATS = ("PNG", "WEBP", "GIF", "JPEG")  # Pillow would pass an EPS file to Ghostscript
_MOST_PIXELS = 1 << 26  # of a run that someone sent; 256 MiB of RGBA
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


def opened(data: bytes) -> Image.Image | None:
    """A decoded picture of a run; None if it is damaged, in a format we do not write, or has over 67 megapixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > _MOST_PIXELS:
            return None
        image.load()
    except MemoryError:
        raise
    except Exception:  # Pillow raises OSError, SyntaxError, ValueError, struct.error and more on damaged files
        return None
    return image


def picture(
    data: bytes, *, alt: str, caption: str = "", longest: int | None = None, webp_over: int | None = None
) -> Picture | None:
    """An image file as a data URI: unchanged if it is small, else as WebP; None if `opened` refuses it.

    Args:
        data: The bytes of the file, usually a PNG of the run.
        alt: Description of the picture for readers who cannot see it.
        caption: Text next to the picture.
        longest: The picture is shrunk until its longer side has at most this many pixels.
        webp_over: Files of more bytes than this are converted to WebP.
    """
    image = opened(data)
    if image is None:
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
