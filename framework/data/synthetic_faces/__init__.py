"""Faces drawn from seeded random attributes: a data set with exact labels for users who have none.

They are drawn with Pillow. A face depends only on its seed and index.
"""

from PIL import Image

from framework.data.synthetic_faces.attributes import Face, sample_face
from framework.data.synthetic_faces.canvas import Canvas
from framework.data.synthetic_faces.features import draw_beard, draw_eyes, draw_mouth, draw_nose, draw_skin
from framework.data.synthetic_faces.hair import draw_hair_before, draw_hair_behind, draw_hat
from framework.data.synthetic_faces.head import draw_background, draw_body, draw_head
from framework.data.synthetic_faces.spectacles import draw_glasses

__all__ = ["DRAWING", "Face", "draw", "draw_face", "sample_face"]

DRAWING = 2  # version of the drawing; raise it when attributes are drawn or chosen differently

_BACK_TO_FRONT = (
    draw_background,
    draw_hair_behind,
    draw_body,
    draw_head,
    draw_skin,
    draw_beard,
    draw_eyes,
    draw_nose,
    draw_mouth,
    draw_hair_before,
    draw_hat,
    draw_glasses,
)


def draw(face: Face, *, resolution: int) -> Image.Image:
    """Draws a face as an RGB picture [resolution, resolution]."""
    canvas = Canvas(face, resolution=resolution)
    for layer in _BACK_TO_FRONT:
        layer(canvas, face)
    return canvas.finished()


def draw_face(seed: int, index: int, *, resolution: int) -> Image.Image:
    """Draws face `index` of a seed as an RGB picture [resolution, resolution]."""
    return draw(sample_face(seed, index), resolution=resolution)
