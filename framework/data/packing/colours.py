"""Converts the colours of a picture to 8 bits without transparency; strip by strip, as that needs several copies."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageChops

from framework.data.packing.scales import Range, Scale, scale_of, scale_of_one

if TYPE_CHECKING:
    import numpy as np

_STRIP_PIXELS = 1 << 22  # of a larger picture, this many are converted at a time
_NEARLY_WHITE = 240.0  # mean of the visible part; such a picture is put on black
_EIGHT_BITS = Scale(0.0, 65535.0)  # of pictures of 8 bits, where it does nothing


class Conversion(NamedTuple):
    """How colours become 8 bits without transparency: the scale of wide values, and the ground, 0 or 255."""

    scale: Scale = _EIGHT_BITS
    ground: int = 255


def conversion_of(
    picture: Image.Image, *, rules: int, scale: tuple[float, float] | None, facts: dict[str, Any]
) -> Conversion:
    """How a picture is converted.

    Args:
        picture: It is loaded.
        rules: `data.rules`.
        scale: That of the set, for values of more than 8 bits; None for that of this picture.
        facts: By rules 2, `range` and `scale` are told there, and `how` if the pixels are others than by rules 1.

    Raises:
        ValueError, OSError: Pillow cannot convert its colours.
    """
    if picture.mode.startswith(("I", "F")):
        return Conversion(_scale(picture, rules, scale, facts))
    if rules > 1 and picture.has_transparency_data and _is_nearly_white(picture):
        facts["how"] = "on black"
        return Conversion(ground=0)
    return Conversion()


def converted(picture: Image.Image, mode: str, how: Conversion) -> Image.Image:
    """Converts a picture from any mode to one without transparency, such as "L" or "RGB".

    Raises:
        ValueError, OSError: Pillow cannot convert its colours.
    """
    if picture.mode == mode and "transparency" not in picture.info:
        return picture
    if picture.width * picture.height <= _STRIP_PIXELS:
        return _strip_converted(picture, mode, how)
    result = Image.new(mode, picture.size)
    for row, strip in _strips(picture):
        result.paste(_strip_converted(strip, mode, how), (0, row))
    return result


def _scale(picture: Image.Image, rules: int, scale: tuple[float, float] | None, facts: dict[str, Any]) -> Scale:
    values = _range(picture)
    before = scale_of_one(values)
    if rules == 1:
        return before
    found = scale_of(values) if scale is None else Scale(*scale)
    facts |= {"range": values, "scale": found}
    if found != before:
        facts["how"] = f"{found.black:g} to {found.white:g}"
    return found


def _strips(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of a picture, some at a time."""
    rows = max(1, _STRIP_PIXELS // picture.width)
    for row in range(0, picture.height, rows):
        yield row, picture.crop((0, row, picture.width, min(row + rows, picture.height)))


def _strip_converted(strip: Image.Image, mode: str, how: Conversion) -> Image.Image:
    if strip.mode.startswith(("I", "F")):
        strip = _eight_bits(strip, how.scale)
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        ground = Image.new("RGBA", strip.size, (how.ground,) * 3 + (255,))
        strip = Image.alpha_composite(ground, strip)
    return strip.convert(mode)


def _is_nearly_white(picture: Image.Image) -> bool:
    """Whether the visible part of a transparent picture would hardly be seen on white; False if it has no hole."""
    visible = light = 0
    for _, strip in _strips(picture):
        seen = strip.convert("RGBA")
        alpha = seen.getchannel("A")
        visible += _sum(alpha)
        light += _sum(ImageChops.multiply(seen.convert("RGB").convert("L"), alpha))
    return 0 < visible < 255 * picture.width * picture.height and 255.0 * light > _NEARLY_WHITE * visible


def _sum(band: Image.Image) -> int:
    return sum(value * count for value, count in enumerate(band.histogram()))


def _range(picture: Image.Image) -> Range:
    """The least and the greatest value, for grey values of 16 or 32 bits or floats."""
    least, most = float("inf"), float("-inf")
    for _, strip in _strips(picture):
        values = _values(strip)
        least, most = min(least, float(values.min())), max(most, float(values.max()))
    return Range(not picture.mode.startswith("F"), least, most)


def _eight_bits(strip: Image.Image, scale: Scale) -> Image.Image:
    """Scales grey values of 16 or 32 bits, or floats, to 8 bits; Pillow's conversion would clip them at 255."""
    import numpy as np  # imported here, because few workers need it

    values = _values(strip)
    values -= scale.black
    values *= 255.0 / (scale.white - scale.black)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _values(strip: Image.Image) -> "np.ndarray":
    """The values [h,w] float64, 0 where they are not finite."""
    import numpy as np

    return np.nan_to_num(np.asarray(strip).astype(np.float64), posinf=0.0, neginf=0.0)
