"""Draws glasses with bold frames, so that they are visible at 32 pixels."""

from framework.data.synthetic_faces.attributes import Colour, Face
from framework.data.synthetic_faces.canvas import Canvas, ring
from framework.data.synthetic_faces.features import eye_height

_SKY: Colour = (232, 243, 252)
_FRAME = 0.115  # width of the frame, in half widths of the head
_LENS_U = 0.41


def draw_glasses(canvas: Canvas, face: Face) -> None:
    """Draws two framed lenses, the bridge between them, and the temples to the ears."""
    if not face.glasses:
        return
    v = eye_height(face) + 0.015
    wide, high, power = (0.32, 0.245, 1.0) if face.round_lenses else (0.33, 0.21, 0.5)
    for side in (-1, 1):
        centre = (side * _LENS_U, v)
        canvas.glow((centre[0] - 0.1, v - 0.08), (0.22, 0.15), _SKY, 0.6, turned=True)
        outer = ring(centre, (wide + _FRAME * 0.5, high + _FRAME * 0.4), power=power, points=36)
        inner = ring(centre, (wide - _FRAME * 0.5, high - _FRAME * 0.4), power=power, points=36)
        canvas.polygon([*outer, outer[0], inner[0], *reversed(inner)], face.frame_tone, turned=True)
        temple = [(side * (_LENS_U + wide), v - 0.05), (side * 0.98, v - 0.08)]
        canvas.line(temple, 0.09, face.frame_tone, turned=True)
    bridge = [(wide - _LENS_U, v - 0.04), (0.0, v - 0.075), (_LENS_U - wide, v - 0.04)]
    canvas.line(bridge, 0.1, face.frame_tone, turned=True)
