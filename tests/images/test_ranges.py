import io

import numpy as np
import pytest
import torch
from PIL import Image

from framework.images import grid, png_bytes, to_model_range, to_pixels


def all_bytes(channels: int) -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_byte_survives_the_way_to_the_networks_and_back(channels):
    pixels = all_bytes(channels)
    assert np.array_equal(to_pixels(to_model_range(pixels)), pixels.numpy())


def test_the_ends_and_layout_of_the_model_range():
    images = to_model_range(all_bytes(3))
    assert images.shape == (2, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (images.min().item(), images.max().item()) == (-1.0, 1.0)


def test_to_pixels_rounds_and_clips():
    values = torch.tensor([-1.5, -1.0, 0.0, 0.0039, 1.0, 7.0]).reshape(1, 1, 1, 6)
    assert to_pixels(values).reshape(-1).tolist() == [0, 0, 128, 128, 255, 255]
    assert to_pixels(values.to(torch.bfloat16)).dtype == np.uint8


def test_grid_places_each_tile_where_its_index_says():
    tiles = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((1, 4, 4, 1), np.uint8)
    picture = grid(tiles, columns=3, scale=2, padding=2)
    assert picture.shape == (2 * 10 + 2, 3 * 10 + 2, 3)
    for index in range(5):
        top, left = 2 + index // 3 * 10, 2 + index % 3 * 10
        assert (picture[top : top + 8, left : left + 8] == index + 1).all()
    assert (picture == 255).sum() == picture.size - 5 * 8 * 8 * 3


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7, 1), (5, 7)])
def test_png_keeps_every_pixel(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    again = np.asarray(Image.open(io.BytesIO(png_bytes(picture))))
    assert np.array_equal(again.reshape(shape), picture)
