"""Faces drawn from seeded random attributes: data for who has none, with labels that are exact."""

from PIL import Image

DRAWING = 1  # of the look; raise it when the same attributes are drawn another way


def draw_face(seed: int, index: int, *, resolution: int) -> Image.Image:
    raise NotImplementedError
