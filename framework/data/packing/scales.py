"""Which values of grey pictures with more than 8 bits become black and white. One scale serves a whole set."""

from collections.abc import Iterable
from typing import NamedTuple

_DEPTHS = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits, as sensors and files have
_FLOATS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0))
_OVERSHOOT = 0.1  # of a range; resizing with a sharp filter leaves values beyond it
_LEAST_FILLED = 0.2  # of a range; less would be nearly black


class Range(NamedTuple):
    """The values of a picture or a set: whether they are whole numbers, the least and the greatest."""

    whole: bool
    least: float
    most: float


class Scale(NamedTuple):
    """The values that become black and white."""

    black: float
    white: float


def united(ranges: Iterable[Range]) -> dict[bool, Range]:
    """The range of all pictures with whole numbers (True), and of all with floats (False)."""
    found: dict[bool, Range] = {}
    for whole, least, most in ranges:
        before = found.get(whole, Range(whole, least, most))
        found[whole] = Range(whole, min(before.least, least), max(before.most, most))
    return found


def scale_of(values: Range) -> Scale:
    """The scale of pictures with these values.

    Whole numbers from 0 end at the next limit of 8, 10, 12, 14 or 16 bits. Floats have the first range of 0 to 1, -1 to
    1, 0 to 255 and 0 to 65535 that holds them, except for a tenth beyond it, and that they fill to a fifth. Others,
    such as the numbers of a computed tomography, have the range that was found.

    >>> scale_of(Range(True, 0, 4080)), scale_of(Range(True, -1024, 3071))
    (Scale(black=0.0, white=4095.0), Scale(black=-1024, white=3071))
    >>> scale_of(Range(False, 0.0, 1.02)), scale_of(Range(False, -1.0, 0.9))
    (Scale(black=0.0, white=1.0), Scale(black=-1.0, white=1.0))
    """
    whole, least, most = values
    if whole and least >= 0:
        return Scale(0.0, float(next((depth for depth in _DEPTHS if most <= depth), most)))
    for low, high in () if whole else _FLOATS:
        beyond = _OVERSHOOT * (high - low)
        negative = low == 0 or least < -_OVERSHOOT
        if negative and low - beyond <= least and low + _LEAST_FILLED * (high - low) <= most <= high + beyond:
            return Scale(low, high)
    black = min(0.0, least)
    return Scale(black, most if most > black else black + 1)


def scale_of_one(values: Range) -> Scale:
    """The scale by the first rules, which know one picture and no negative values."""
    if values.whole:
        return Scale(0.0, 65535.0)
    return Scale(0.0, 1.0 if values.most <= 1.0 else 255.0 if values.most <= 255.0 else 65535.0)
