"""Draws hair in front of and behind the head, and hats."""

import math

from framework.data.synthetic_faces.attributes import Colour, Face, mixed
from framework.data.synthetic_faces.canvas import Canvas, arc, curve, leaf

_BLACK: Colour = (10, 8, 10)
_WHITE: Colour = (255, 255, 255)


def draw_hair_behind(canvas: Canvas, face: Face) -> None:
    """Draws the hair behind the head: long hair to the shoulders, or curls."""
    dark = mixed(face.hair_tone, _BLACK, 0.28)
    if face.hair == "long":
        sides = [(-1.1, -0.2), (-1.26, 0.5), (-1.22, 1.25), (1.22, 1.25), (1.26, 0.5), (1.1, -0.2)]
        canvas.polygon([*sides, *arc((0.0, -0.1), (1.12, 1.02), 0.0, -math.pi)], dark)
    elif face.hair == "curly":
        for place in arc((0.0, -0.2), (1.02, 0.88), 0.16 * math.pi, -1.16 * math.pi, points=13):
            canvas.ellipse(place, (0.33, 0.26), dark)


def draw_hair_before(canvas: Canvas, face: Face) -> None:
    """Draws the hair on the forehead and temples."""
    tone, parting = face.hair_tone, face.parting
    if face.hair == "short":
        fringe = curve((1.03, 0.0), (0.86, -0.5), (parting * 0.6, -0.6))
        other = curve((parting * 0.6, -0.6), (-0.86, -0.5), (-1.03, 0.0))
        canvas.polygon([*arc((0.0, -0.02), (1.09, 1.1), math.pi, 2 * math.pi), *fringe, *other], tone)
    elif face.hair == "long":
        top = 1.5 * math.pi + parting * 0.4
        for side, start in ((-1, math.pi), (1, 2 * math.pi)):
            strand = curve((parting, -0.86), (side * 0.82, -0.66), (side * 0.97, 0.5))
            crown = arc((0.0, -0.06), (1.1, 1.02), start, top)
            canvas.polygon([*crown, *strand, (side * 1.16, 0.5)], tone)
    elif face.hair == "curly":
        edge = curve((1.0, -0.2), (0.0, -0.85), (-1.0, -0.2))
        canvas.polygon([*arc((0.0, -0.06), (1.06, 1.0), math.pi, 2 * math.pi), *edge], tone)
        for place in arc((0.0, -0.16), (0.9, 0.66), 1.04 * math.pi, 1.96 * math.pi, points=9):
            canvas.ellipse(place, (0.25, 0.17), tone)
    else:
        canvas.glow((face.light_from * 0.35, -0.72), (0.34, 0.16), mixed(face.skin_tone, _WHITE, 0.8), 0.7)
        return
    canvas.glow((face.light_from * 0.4 + 0.1, -0.84), (0.55, 0.17), mixed(tone, _WHITE, 0.45), 0.6)


def draw_hat(canvas: Canvas, face: Face) -> None:
    """Draws a beanie with a rim and a bobble, or a cap with a peak."""
    if not face.hat:
        return
    tone, dark, lit = face.hat_tone, mixed(face.hat_tone, _BLACK, 0.35), mixed(face.hat_tone, _WHITE, 0.45)
    canvas.polygon(arc((0.0, -0.46), (1.14, 0.64), math.pi, 2 * math.pi), tone)
    canvas.glow((face.light_from * 0.4, -0.82), (0.6, 0.22), lit, 0.6)
    if face.beanie:
        canvas.polygon([(-1.17, -0.62), (1.17, -0.62), (1.15, -0.38), (-1.15, -0.38)], dark)
        canvas.ellipse((0.0, -1.08), (0.2, 0.15), lit)
    else:
        turn = 0.5 * math.sin(face.yaw)
        canvas.polygon(leaf((turn - 1.12, -0.42), (turn + 1.12, -0.42), above=-0.78, below=-0.24), dark)
