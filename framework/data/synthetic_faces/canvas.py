"""Drawing in coordinates of the head, at a larger size that is averaged down for smooth edges."""

import math
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageChops, ImageDraw

from framework.data.synthetic_faces.attributes import Colour, Face

Point = tuple[float, float]
HEAD_CENTRE = (0.5, 0.515)
HEAD_RADII = (0.325, 0.415)  # half width and half height, as shares of the picture
_FINENESS = {32: 4, 64: 3}  # resolution -> factor by which the picture is drawn larger
_FINENESS_ELSE = 2
_STRENGTHS = 32  # steps of a glow's strength, so that few masks are computed


class Canvas:
    """A picture that is being drawn. Points are (u, v); the head's outline lies at -1 and 1, and v grows downwards.

    `turned` points lie on the front of the head and move with its yaw; other points do not.

    Args:
        face: Determines roll, shift, size and yaw.
        resolution: Width and height of the finished picture in pixels.
    """

    def __init__(self, face: Face, *, resolution: int) -> None:
        self._fine = _FINENESS.get(resolution, _FINENESS_ELSE)
        self.side = resolution * self._fine
        self.image = Image.new("RGB", (self.side, self.side), face.background_tone)
        self._draw = ImageDraw.Draw(self.image)
        width, height = HEAD_RADII[0] * face.size * face.slimness, HEAD_RADII[1] * face.size
        self._radii = width * self.side, height * self.side
        self._centre = tuple((a + b) * self.side for a, b in zip(HEAD_CENTRE, face.shift, strict=True))
        self._roll = math.cos(face.roll), math.sin(face.roll)
        self._yaw = math.cos(face.yaw) - 1.0, math.sin(face.yaw)

    def finished(self) -> Image.Image:
        """The picture at its final size."""
        return self.image.reduce(self._fine)

    def pixels(self, points: Sequence[Point], *, turned: bool = False) -> list[Point]:
        """The pixel positions of (u, v) points in the large picture."""
        (width, height), (cos, sin), (left, top) = self._radii, self._roll, self._centre
        if turned:  # the head is modelled as a cylinder: u becomes sin(asin(u) + yaw)
            along, across = self._yaw
            points = [(u + u * along + math.sqrt(max(0.0, 1.0 - u * u)) * across, v) for u, v in points]
        return [
            (left + u * width * cos - v * height * sin, top + u * width * sin + v * height * cos) for u, v in points
        ]

    def polygon(self, points: Sequence[Point], fill: Colour, *, turned: bool = False) -> None:
        """Draws a filled polygon."""
        self._draw.polygon(self.pixels(points, turned=turned), fill=fill)

    def ellipse(self, centre: Point, radii: Point, fill: Colour, *, turned: bool = False) -> None:
        """Draws a filled ellipse; the half axes are in half widths and half heights of the head."""
        self.polygon(ring(centre, radii), fill, turned=turned)

    def line(self, points: Sequence[Point], width: float, fill: Colour, *, turned: bool = False) -> None:
        """Draws a line with round ends; the width is in half widths of the head."""
        track = self.pixels(points, turned=turned)
        half = max(0.5, width * self._radii[0] / 2)
        left, right = [], []
        for (x, y), (x0, y0), (x1, y1) in zip(track, [track[0], *track], [*track[1:], track[-1]], strict=False):
            along = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / along * half, (x0 - x1) / along * half
            left.append((x + dx, y + dy))
            right.append((x - dx, y - dy))
        self._draw.polygon([*left, *reversed(right)], fill=fill)
        for x, y in (track[0], track[-1]):
            self._draw.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def glow(self, centre: Point, radii: Point, colour: Colour, strength: float, *, turned: bool = False) -> None:
        """Draws a soft spot with `strength` (0 to 1) in its middle."""
        ((x, y),) = self.pixels([centre], turned=turned)
        step = max(2, self.side // 32)  # few sizes, so that few masks are computed
        width, height = (max(step, round(2 * a * b / step) * step) for a, b in zip(radii, self._radii, strict=True))
        mask = _spot(width, height, round(strength * _STRENGTHS))
        self.image.paste(colour, (round(x - width / 2), round(y - height / 2)), mask)

    def shade(self, points: Sequence[Point], colour: Colour, strength: float, *, angle: float) -> None:
        """Shades a polygon with a colour, from 0 on one side to `strength` on the side at `angle` (radians)."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(self.pixels(points), fill=255)
        ramp = _ramp(self.side, round(math.degrees(angle)), round(strength * _STRENGTHS))
        self.image.paste(colour, (0, 0), ImageChops.multiply(mask, ramp))


@cache
def _circle(power: float, points: int) -> list[Point]:
    def bent(value: float) -> float:
        return math.copysign(abs(value) ** power, value)

    angles = [2 * math.pi * k / points for k in range(points)]
    return [(bent(math.cos(a)), bent(math.sin(a))) for a in angles]


def ring(centre: Point, radii: Point, *, power: float = 1.0, points: int = 32) -> list[Point]:
    """Points of an ellipse, or of a rounded rectangle if `power` is below 1."""
    (u, v), (wide, high) = centre, radii
    return [(u + wide * x, v + high * y) for x, y in _circle(power, points)]


def arc(centre: Point, radii: Point, start: float, stop: float, *, points: int = 20) -> list[Point]:
    """Points of an ellipse between two angles; 0 is right, pi / 2 is below."""
    angles = [start + (stop - start) * k / (points - 1) for k in range(points)]
    return [(centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles]


def curve(start: Point, middle: Point, end: Point, *, points: int = 10) -> list[Point]:
    """Points of a quadratic Bézier curve from start to end with the control point `middle`."""
    (u0, v0), (u1, v1), (u2, v2) = start, middle, end
    weights = [((1 - t) ** 2, 2 * t * (1 - t), t * t) for t in (k / (points - 1) for k in range(points))]
    return [(a * u0 + b * u1 + c * u2, a * v0 + b * v1 + c * v2) for a, b, c in weights]


def leaf(left: Point, right: Point, *, above: float, below: float) -> list[Point]:
    """The outline between two curves from `left` to `right`, with control points at heights `above` and `below`."""
    middle = (left[0] + right[0]) / 2
    return [*curve(left, (middle, above), right), *curve(right, (middle, below), left)]


@cache
def _disc() -> Image.Image:
    """A disc that is bright in the middle and dark from the rim outwards."""
    return Image.radial_gradient("L").point([max(0, 255 - 2 * value) for value in range(256)])


@cache
def _spot(width: int, height: int, strength: int) -> Image.Image:
    faded = _disc().point([value * strength // _STRENGTHS for value in range(256)])
    return faded.resize((width, height), Image.Resampling.BILINEAR)


@cache
def _ramp(side: int, angle_degrees: int, strength: int) -> Image.Image:
    """A gradient from dark on one side to bright on the other, within the middle half."""
    across = Image.linear_gradient("L").rotate(-angle_degrees - 90, resample=Image.Resampling.BILINEAR, fillcolor=128)
    levels = [round(max(0.0, min(1.0, (value - 60) / 140)) * 255 * strength / _STRENGTHS) for value in range(256)]
    return across.resize((side, side), Image.Resampling.BILINEAR).point(levels)
