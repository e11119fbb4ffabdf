"""Plain grids: tiles side by side on white, without a word."""

import numpy as np

WHITE = 255


def as_color(images: np.ndarray) -> np.ndarray:
    """[n, h, w, 1 or 3] uint8 -> [n, h, w, 3]."""
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def enlarge(images: np.ndarray, scale: int) -> np.ndarray:
    """[n, h, w, c] -> [n, h * scale, w * scale, c], each pixel a square block (nearest neighbour)."""
    return images.repeat(scale, axis=1).repeat(scale, axis=2) if scale > 1 else images


def grid(images: np.ndarray, *, columns: int, scale: int = 1, padding: int = 2) -> np.ndarray:
    """Tiles in rows of `columns`, read like text, `padding` white pixels between and around them.

    Args:
        images: [n, h, w, c] uint8 with c 1 or 3, n at least 1.
        columns: Tiles a row; the last row may be short, its rest is white.
        scale: Whole-number enlargement of each tile, nearest neighbour.
        padding: Pixels of white, not enlarged.

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
