"""Faces drawn from seeded random attributes: data for who has none, with labels that are exact.

Pillow alone draws them. A face depends on its seed and index, never on how many there are or in what order.
"""

from PIL import Image

from framework.data.synthetic_faces.attributes import Face, sample_face
from framework.data.synthetic_faces.canvas import Canvas
from framework.data.synthetic_faces.features import draw_beard, draw_eyes, draw_mouth, draw_nose, draw_skin
from framework.data.synthetic_faces.hair import draw_hair_before, draw_hair_behind, draw_hat
from framework.data.synthetic_faces.head import draw_background, draw_body, draw_head
from framework.data.synthetic_faces.spectacles import draw_glasses

__all__ = ["DRAWING", "Face", "draw", "draw_face", "sample_face"]

DRAWING = 2  # of the look; raise it when the same attributes are drawn another way, or others are chosen

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
    """A face as an RGB picture [resolution, resolution]."""
    canvas = Canvas(face, resolution=resolution)
    for layer in _BACK_TO_FRONT:
        layer(canvas, face)
    return canvas.finished()


def draw_face(seed: int, index: int, *, resolution: int) -> Image.Image:
    """Face `index` of a seed as an RGB picture [resolution, resolution]."""
    return draw(sample_face(seed, index), resolution=resolution)
