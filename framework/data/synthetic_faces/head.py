"""Draws background, clothes, neck, ears, and the shaded head."""

import math

from framework.data.synthetic_faces.attributes import Colour, Face, mixed
from framework.data.synthetic_faces.canvas import Canvas, Point, ring

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_RED: Colour = (214, 84, 76)


def outline(face: Face) -> list[Point]:
    """The outline of the head: an egg, rounder for a child, with a jaw for adults."""
    jaw = 0.04 if face.age_group == "child" else 0.2
    return [(u * (1 - jaw * max(0.0, v) ** 1.6), v) for u, v in ring((0.0, 0.0), (1.0, 1.0), points=48)]


def draw_background(canvas: Canvas, face: Face) -> None:
    """Draws a wall that is brighter on the side of the light."""
    canvas.glow((face.light_from * 0.7, -0.4), (2.4, 2.0), mixed(face.background_tone, _WHITE, 0.6), 0.8)


def draw_body(canvas: Canvas, face: Face) -> None:
    """Draws clothed shoulders, and the neck in the shadow of the head."""
    dark = mixed(face.skin_tone, (90, 40, 20), 0.32)
    narrow = 0.78 if face.age_group == "child" else 1.0
    left = [(-1.75 * narrow, 2.0), (-1.45 * narrow, 1.12), (-0.5, 0.93)]
    canvas.polygon([*left, *_mirrored(left)], face.cloth_tone)
    canvas.ellipse((0.0, 1.0), (0.62 * narrow, 0.2), mixed(face.cloth_tone, _BLACK, 0.25))
    left = [(-0.46 * narrow, 0.5), (-0.52 * narrow, 1.06), (0.0, 1.2)]
    canvas.polygon([*left, *_mirrored(left)], dark)


def draw_head(canvas: Canvas, face: Face) -> None:
    """Draws ears and face, shaded on the side away from the light."""
    shadow = mixed(face.skin_tone, (70, 26, 20), 0.55)
    turn = math.sin(face.yaw)
    for side in (-1, 1):
        # When the head turns, one ear moves behind the cheek and the other comes forward.
        ear = (side * (1.0 - 0.1 * max(0.0, side * turn)) - 0.12 * turn, 0.05)
        canvas.ellipse(ear, (0.13, 0.2), mixed(face.skin_tone, shadow, 0.15))
        canvas.ellipse(ear, (0.07, 0.12), mixed(face.skin_tone, shadow, 0.45))
    shape = outline(face)
    canvas.polygon(shape, face.skin_tone)
    canvas.glow((face.light_from * 0.35 + turn * 0.3, -0.3), (0.8, 0.6), mixed(face.skin_tone, _WHITE, 0.5), 0.4)
    if abs(face.light_from) > 0.3:
        canvas.shade(shape, shadow, 0.8 * abs(face.light_from), angle=0.0 if face.light_from < 0 else math.pi)
    else:
        canvas.shade(shape, shadow, 0.3, angle=math.pi / 2)
    blush = 0.5 if face.age_group == "child" else 0.34 if face.smiling else 0.22
    for side in (-1, 1):
        canvas.glow((side * 0.55, 0.34), (0.3, 0.2), mixed(face.skin_tone, _RED, 0.55), blush, turned=True)


def _mirrored(points: list[Point]) -> list[Point]:
    return [(-u, v) for u, v in reversed(points)]
