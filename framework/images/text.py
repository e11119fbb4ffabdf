"""Words in pictures, in Pillow's own font, so that every machine draws the same."""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

SMALLEST = 11  # pixels; below this, text is cut short instead of made smaller
_SPELLED = str.maketrans({"−": "-", "–": "-", "—": "-", "…": "...", "×": "x", "’": "'", "→": "to"})


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in scalable font at `size` pixels."""
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType, so it cannot draw words at a size")
    return found


def line_height(size: int) -> int:
    """Pixels from one line to the next."""
    return round(size * 1.3)


def text_width(text: str, size: int) -> int:
    """Pixels that a line takes."""
    return round(font(size).getlength(text))


def printable(text: str) -> str:
    """The text in what the built-in font has, which is ASCII: accents go, other letters become '?'.

    >>> printable("glasses − né")
    'glasses - ne'
    """
    parts = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    return "".join(c for c in parts if not unicodedata.combining(c)).encode("ascii", "replace").decode()


def fit(text: str, *, size: int, width: int) -> tuple[str, int]:
    """The line and the size at which it fits: first smaller, down to `SMALLEST`, then cut with three dots."""
    line = printable(text)
    while size > SMALLEST and text_width(line, size) > width:
        size -= 1
    kept = line
    while kept and text_width(line, size) > width:
        kept = kept[:-1]
        line = kept.rstrip() + "..."
    return line, size


def wrap(text: str, *, size: int, width: int) -> list[str]:
    """Lines of whole words that fit into `width`; its own line breaks are kept."""
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
