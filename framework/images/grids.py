"""Grids of tiles on white, without captions."""

import numpy as np

WHITE = 255


def as_color(images: np.ndarray) -> np.ndarray:
    """Repeats the channel of grey images: [n, h, w, 1 or 3] uint8 -> [n, h, w, 3]."""
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def enlarge(images: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges images by nearest neighbour: [n, h, w, c] -> [n, h * scale, w * scale, c]."""
    return images.repeat(scale, axis=1).repeat(scale, axis=2) if scale > 1 else images


def grid(images: np.ndarray, *, columns: int, scale: int = 1, padding: int = 2) -> np.ndarray:
    """Arranges images in rows, with white pixels between and around them.

    Args:
        images: [n, h, w, c] uint8 with c 1 or 3, n at least 1.
        columns: Tiles per row; the last row may be incomplete.
        scale: Integer factor by which each tile is enlarged.
        padding: Width of the white gaps in pixels, after enlargement.

    Returns:
        [rows * (h * scale + padding) + padding, columns * (w * scale + padding) + padding, 3] uint8.
    """
    tiles = enlarge(as_color(images), scale)
    count, height, width, _ = tiles.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + padding) + padding, columns * (width + padding) + padding, 3), WHITE, np.uint8)
    for index, tile in enumerate(tiles):
        top = padding + index // columns * (height + padding)
        left = padding + index % columns * (width + padding)
        canvas[top : top + height, left : left + width] = tile
    return canvas
