"""Hair before and behind the head, and hats."""

import math

from framework.data.faces.attributes import Colour, Face, mixed
from framework.data.faces.canvas import Canvas, Point, curve, ring

_BLACK: Colour = (10, 8, 10)
_WHITE: Colour = (255, 255, 255)


def draw_hair_behind(canvas: Canvas, face: Face) -> None:
    """What falls behind the head: long hair to the shoulders, or a cloud of curls."""
    dark = mixed(face.hair_tone, _BLACK, 0.28)
    if face.hair == "long":
        sides = [(-1.1, -0.2), (-1.26, 0.5), (-1.22, 1.25), (1.22, 1.25), (1.26, 0.5), (1.1, -0.2)]
        canvas.polygon([*sides, *_arc((0.0, -0.1), (1.12, 1.02), 0.0, -math.pi)], dark)
    elif face.hair == "curly":
        for place in range(15):
            angle = math.pi * (0.16 - 1.32 * place / 14)
            canvas.ellipse((1.02 * math.cos(angle), -0.2 + 0.88 * math.sin(angle)), (0.33, 0.26), dark)


def draw_hair_before(canvas: Canvas, face: Face) -> None:
    """What lies on the forehead and temples."""
    tone, lit = face.hair_tone, mixed(face.hair_tone, _WHITE, 0.4)
    crown = _arc((0.0, -0.06), (1.06, 1.0), math.pi, 2 * math.pi)
    if face.hair == "short":
        line = face.parting * 0.5
        fringe = [
            *curve((1.04, -0.1), (0.92, -0.46), (line, -0.6)),
            *curve((line, -0.6), (-0.92, -0.46), (-1.04, -0.1)),
        ]
        canvas.polygon([*crown, *fringe], tone)
    elif face.hair == "long":
        line = face.parting
        left = curve((line, -0.86), (-0.75, -0.6), (-0.94, 0.5))
        right = curve((line, -0.86), (0.75, -0.6), (0.94, 0.5))
        canvas.polygon(
            [*_arc((0.0, -0.06), (1.1, 1.02), math.pi, 1.5 * math.pi + line * 0.4), (line, -0.86), *left, (-1.16, 0.5)],
            tone,
        )
        canvas.polygon(
            [
                *_arc((0.0, -0.06), (1.1, 1.02), 2 * math.pi, 1.5 * math.pi + line * 0.4),
                (line, -0.86),
                *right,
                (1.16, 0.5),
            ],
            tone,
        )
    elif face.hair == "curly":
        canvas.polygon([*crown, *curve((1.0, -0.2), (0.0, -0.85), (-1.0, -0.2))], tone)
        for place in range(11):
            angle = math.pi * (1.04 + 0.92 * place / 10)
            canvas.ellipse((0.9 * math.cos(angle), -0.16 + 0.66 * math.sin(angle)), (0.24, 0.17), tone)
    else:
        return
    canvas.glow((face.light_from * 0.4 + 0.1, -0.82), (0.5, 0.16), lit, 0.6)


def draw_hat(canvas: Canvas, face: Face) -> None:
    """A knitted cap with its rim, or a cap with a peak."""
    if not face.hat:
        return
    tone, dark, lit = face.hat_tone, mixed(face.hat_tone, _BLACK, 0.35), mixed(face.hat_tone, _WHITE, 0.45)
    dome = _arc((0.0, -0.46), (1.12, 0.72), math.pi, 2 * math.pi)
    canvas.polygon(dome, tone)
    canvas.glow((face.light_from * 0.4, -0.85), (0.6, 0.22), lit, 0.6)
    if face.beanie:
        canvas.polygon([(-1.15, -0.62), (1.15, -0.62), (1.13, -0.38), (-1.13, -0.38)], dark)
        canvas.ellipse((0.0, -1.16), (0.2, 0.16), lit)
    else:
        turn = 0.5 * math.sin(face.yaw)
        canvas.polygon(
            [
                *curve((-1.05 + turn, -0.46), (turn, -0.74), (1.05 + turn, -0.46)),
                *curve((1.12 + turn, -0.4), (turn * 1.6, -0.26), (-1.12 + turn, -0.4)),
            ],
            dark,
        )


def _arc(centre: Point, radii: Point, start: float, stop: float) -> list[Point]:
    angles = [start + (stop - start) * k / 23 for k in range(24)]
    return [(centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles]


def head_top(face: Face) -> list[Point]:
    """The ring of a skull without hair, for its shine."""
    return ring((face.light_from * 0.3, -0.75), (0.3, 0.12))
