"""Glasses, with bold frames: they must be seen at 32 pixels."""

from framework.data.faces.attributes import Colour, Face, mixed
from framework.data.faces.canvas import Canvas, ring
from framework.data.faces.features import eye_height

_SKY: Colour = (226, 240, 252)
_FRAME_WIDTH = 0.115
_LENS_U = 0.41


def draw_glasses(canvas: Canvas, face: Face) -> None:
    """Two framed lenses, the bridge between them, and temples to the ears."""
    if not face.glasses:
        return
    v = eye_height(face) + 0.015
    radii, power = ((0.31, 0.235), 1.0) if face.round_lenses else ((0.32, 0.2), 0.5)
    for side in (-1, 1):
        centre = (side * _LENS_U, v)
        canvas.glow((centre[0] - 0.1, v - 0.08), (0.2, 0.14), _SKY, 0.55, turned=True)
        lens = ring(centre, radii, power=power, points=40)
        canvas.line([*lens, lens[0]], _FRAME_WIDTH, face.frame_tone, turned=True)
        canvas.line(
            [(side * (_LENS_U + radii[0]), v - 0.05), (side * 0.98, v - 0.08)], 0.09, face.frame_tone, turned=True
        )
    canvas.line(
        [(-_LENS_U + radii[0], v - 0.04), (0.0, v - 0.075), (_LENS_U - radii[0], v - 0.04)],
        0.09,
        mixed(face.frame_tone, (0, 0, 0), 0.1),
        turned=True,
    )
