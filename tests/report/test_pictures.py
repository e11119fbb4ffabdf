"""A run that someone sent may hold any file under the name of a picture: only small raster pictures are opened."""

import io

import pytest
from PIL import Image

from framework.report.read.final_images import first_tiles
from framework.report.read.pictures import opened, picture

SIDE = 8193  # 67,125,249 pixels, more than 2 ** 26


def _encoded(side: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 255).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_our_own_kinds_are_opened(kind):
    assert opened(_encoded(40, kind)).size == (40, 40)
    assert picture(_encoded(40, kind), alt="").width == 40


@pytest.mark.parametrize("side", [SIDE, 13_400])  # the second is above the size that Pillow itself refuses
def test_a_picture_of_too_many_pixels_is_left_out(side):
    data = _encoded(side, "PNG")
    assert picture(data, alt="") is None
    assert first_tiles(data, tile=32, most_bytes=40_000) is None


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "PPM"])
def test_other_kinds_are_left_out(kind):
    assert picture(_encoded(40, kind), alt="") is None
