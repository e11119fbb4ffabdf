"""Text in pictures, in Pillow's built-in font, so that all machines draw the same."""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

SMALLEST = 11  # smallest size in pixels; text that is still too long is cut
_SPELLED = str.maketrans({"−": "-", "–": "-", "—": "-", "…": "...", "×": "x", "’": "'", "→": "to"})


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in scalable font at `size` pixels."""
    built_in = ImageFont.load_default(size)
    if not isinstance(built_in, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType, which is needed for text of any size")
    return built_in


def line_height(size: int) -> int:
    """Height of a line in pixels, including the space between lines."""
    return round(size * 1.3)


def text_width(text: str, size: int) -> int:
    """Width of a line in pixels."""
    return round(font(size).getlength(text))


def printable(text: str) -> str:
    """The text in ASCII, which is all that the built-in font has: accents are removed, other letters become '?'.

    >>> printable("glasses − né")
    'glasses - ne'
    """
    parts = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    return "".join(c for c in parts if not unicodedata.combining(c)).encode("ascii", "replace").decode()


def fit(text: str, *, size: int, width: int) -> tuple[str, int]:
    """Fits a line into a width: it is made smaller, down to `SMALLEST`, then cut with three dots.

    Returns:
        The line and its size in pixels.
    """
    line = printable(text)
    while size > SMALLEST and text_width(line, size) > width:
        size -= 1
    kept = line
    while kept and text_width(line, size) > width:
        kept = kept[:-1]
        line = kept.rstrip() + "..."
    return line, size


def wrap(text: str, *, size: int, width: int) -> list[str]:
    """Wraps text at spaces into lines that fit into `width`; existing line breaks are kept."""
    lines: list[str] = []
    for paragraph in printable(text).split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
