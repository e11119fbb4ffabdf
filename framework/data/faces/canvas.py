"""Drawing in a head's own coordinates, large first and then averaged down: smooth edges at any size."""

import math
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageChops, ImageDraw

from framework.data.faces.attributes import Colour, Face

Point = tuple[float, float]
HEAD_CENTRE = (0.5, 0.515)
HEAD_RADII = (0.325, 0.415)  # half width and half height, in shares of the picture


class Canvas:
    """A picture under way. Points are (u, v): the head's outline lies at -1 and 1, v grows downwards.

    `turned` points lie on the front of the head and wander with its yaw; others keep their place.

    Args:
        face: Gives roll, shift, size and yaw.
        resolution: Side of the finished picture in pixels.
    """

    def __init__(self, face: Face, *, resolution: int) -> None:
        self._fine = 4 if resolution <= 64 else 2
        self.side = resolution * self._fine
        self.image = Image.new("RGB", (self.side, self.side), face.background_tone)
        self._draw = ImageDraw.Draw(self.image)
        self._centre = HEAD_CENTRE[0] + face.shift[0], HEAD_CENTRE[1] + face.shift[1]
        self._radii = HEAD_RADII[0] * face.size * face.slimness, HEAD_RADII[1] * face.size
        self._cos, self._sin = math.cos(face.roll), math.sin(face.roll)
        self._yaw_cos, self._yaw_sin = math.cos(face.yaw), math.sin(face.yaw)

    def finished(self) -> Image.Image:
        """The picture in its own size."""
        return self.image.reduce(self._fine)

    def place(self, point: Point, *, turned: bool = False) -> Point:
        """Pixels of (u, v)."""
        u, v = point
        if turned:  # the head is a cylinder here: sin(asin(u) + yaw)
            inside = max(-1.0, min(1.0, u))
            u += inside * (self._yaw_cos - 1.0) + math.sqrt(1.0 - inside * inside) * self._yaw_sin
        x, y = u * self._radii[0], v * self._radii[1]
        x, y = x * self._cos - y * self._sin, x * self._sin + y * self._cos
        return (self._centre[0] + x) * self.side, (self._centre[1] + y) * self.side

    def length(self, share: float) -> float:
        """Pixels of a share of the head's half width."""
        return share * self._radii[0] * self.side

    def polygon(self, points: Sequence[Point], fill: Colour, *, turned: bool = False) -> None:
        """A filled polygon."""
        self._draw.polygon([self.place(point, turned=turned) for point in points], fill=fill)

    def ellipse(self, centre: Point, radii: Point, fill: Colour, *, turned: bool = False) -> None:
        """A filled ellipse; half axes in shares of the head's half width and half height."""
        self.polygon(ring(centre, radii), fill, turned=turned)

    def line(self, points: Sequence[Point], width: float, fill: Colour, *, turned: bool = False) -> None:
        """A line with round ends; its width in shares of the head's half width."""
        pixels = [self.place(point, turned=turned) for point in points]
        wide = max(1.0, self.length(width))
        self._draw.line(pixels, fill=fill, width=round(wide), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            self._draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=fill)

    def glow(self, centre: Point, radii: Point, colour: Colour, strength: float, *, turned: bool = False) -> None:
        """A soft spot, `strength` (0 to 1) in its middle."""
        x, y = self.place(centre, turned=turned)
        width = max(2, round(2 * self.length(radii[0])))
        height = max(2, round(2 * radii[1] * self._radii[1] * self.side))
        mask = _spot(width, height, round(strength * 32))
        self.image.paste(colour, (round(x - width / 2), round(y - height / 2)), mask)

    def mask(self, points: Sequence[Point], *, turned: bool = False) -> Image.Image:
        """A polygon as a mask of the whole picture."""
        made = Image.new("L", self.image.size)
        ImageDraw.Draw(made).polygon([self.place(point, turned=turned) for point in points], fill=255)
        return made

    def shade(self, mask: Image.Image, colour: Colour, strength: float, *, angle: float) -> None:
        """Lays a colour on the masked part, from nothing on one side to `strength` on the side at `angle` (radians)."""
        ramp = _ramp(self.side, round(math.degrees(angle)), round(strength * 32))
        self.image.paste(colour, (0, 0), ImageChops.multiply(mask, ramp))


def ring(centre: Point, radii: Point, *, power: float = 1.0, points: int = 36) -> list[Point]:
    """Points of an ellipse; of a rounded rectangle where `power` is under 1."""

    def bent(value: float) -> float:
        return math.copysign(abs(value) ** power, value)

    angles = [2 * math.pi * k / points for k in range(points)]
    return [(centre[0] + radii[0] * bent(math.cos(a)), centre[1] + radii[1] * bent(math.sin(a))) for a in angles]


def curve(start: Point, middle: Point, end: Point, *, points: int = 12) -> list[Point]:
    """A parabola from start to end, pulled to `middle` (quadratic Bézier)."""
    steps = [k / (points - 1) for k in range(points)]
    return [
        (
            (1 - t) ** 2 * start[0] + 2 * t * (1 - t) * middle[0] + t * t * end[0],
            (1 - t) ** 2 * start[1] + 2 * t * (1 - t) * middle[1] + t * t * end[1],
        )
        for t in steps
    ]


@cache
def _disc() -> Image.Image:
    """Bright in the middle, dark from the rim on."""
    return Image.radial_gradient("L").point(lambda value: max(0, 255 - 2 * value) if value < 128 else 0)


@cache
def _spot(width: int, height: int, strength: int) -> Image.Image:
    return _disc().resize((width, height)).point(lambda value: value * strength // 32)


@cache
def _ramp(side: int, angle_degrees: int, strength: int) -> Image.Image:
    """Dark on one side, bright on the other; the ramp fills the middle two thirds."""
    across = Image.linear_gradient("L").rotate(-angle_degrees - 90, resample=Image.Resampling.BILINEAR, fillcolor=128)
    low, high = 60, 200
    return across.resize((side, side)).point(
        lambda value: round(max(0, min(1, (value - low) / (high - low))) * 255 * strength / 32)
    )
