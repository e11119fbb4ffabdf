"""Sheets and strips with captions below the tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.images.grids import enlarge, grid
from framework.images.scene import INK, QUIET, Scene
from framework.images.text import line_height

MARGIN = 24
GAP = 12
TILE = 128  # default side of a tile in pixels
CAPTION_SIZE = 16
TITLE_SIZE = 22
CAPTION_GAP = 3


@dataclass(frozen=True)
class Row:
    """One row of `strips`: images [n, h, w, c] uint8, optionally a caption for each, and a label above the row."""

    images: np.ndarray
    captions: Sequence[str] | None = None
    label: str | None = None


def at_side(images: np.ndarray, side: int) -> np.ndarray:
    """Enlarges images (nearest neighbour) or averages them down by an integer factor, to about `side` pixels.

    [n, h, w, c] uint8 -> [n, h', w', c] uint8; the result is exact for powers of two.
    """
    count, height, width, channels = images.shape
    if height <= side:
        return enlarge(images, side // height)
    factor = height // side
    if height % factor or width % factor:
        return images
    blocks = images.reshape(count, height // factor, factor, width // factor, factor, channels)
    return np.rint(blocks.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


def labelled_sheet(
    images: np.ndarray,
    captions: Sequence[str],
    *,
    columns: int,
    title: str | None = None,
    scale: int | None = None,
    side: int = TILE,
) -> np.ndarray:
    """Draws a contact sheet with a caption below each tile.

    Args:
        images: [n, h, w, c] uint8 with c 1 or 3.
        captions: n captions; a line break starts a second line.
        title: Text above the tiles, wrapped.
        scale: Integer factor by which tiles are enlarged; None for tiles of about `side` pixels.
        side: Side of a tile in pixels if there is no scale.

    Returns:
        [H, W, 3] uint8; without a scale, the layout does not depend on the resolution of the images.
    """
    return sheet_scene(images, captions, columns=columns, title=title, scale=scale, side=side).render(margin=MARGIN)


def corner_sheet(images: np.ndarray, captions: Sequence[str], *, columns: int, title: str | None = None) -> np.ndarray:
    """Draws tiles without gaps, with captions outside the four corners.

    Args:
        images: [n, h, w, c] uint8 with c 1 or 3, in complete rows.
        captions: Captions of the first and the last tile of the first row, then of the last row.
        title: Text above the tiles, wrapped.

    Returns:
        [H, W, 3] uint8; the layout does not depend on the resolution of the images.
    """
    return corner_scene(images, captions, columns=columns, title=title).render(margin=MARGIN)


def strip(
    images: np.ndarray, captions: Sequence[str] | None = None, title: str | None = None, *, scale: int | None = None
) -> np.ndarray:
    """Draws one row of tiles: [n, h, w, c] uint8 -> [H, W, 3] uint8."""
    return strips([Row(images, captions)], title=title, scale=scale)


def strips(rows: Sequence[Row], *, title: str | None = None, scale: int | None = None) -> np.ndarray:
    """Draws labelled rows of tiles below each other; tiles have about 128 pixels, larger images keep their size."""
    return strips_scene(rows, title=title, scale=scale).render(margin=MARGIN)


def sheet_scene(
    images: np.ndarray,
    captions: Sequence[str],
    *,
    columns: int,
    title: str | None,
    scale: int | None,
    side: int = TILE,
) -> Scene:
    """The scene that `labelled_sheet` renders."""
    tiles = enlarge(images, scale) if scale else at_side(images, side)
    scene = Scene()
    top = _title(scene, title, width=columns * (tiles.shape[2] + GAP) - GAP)
    for first in range(0, len(tiles), columns):
        top = _row(scene, tiles[first : first + columns], captions[first : first + columns], top=top) + GAP
    return scene


def corner_scene(images: np.ndarray, captions: Sequence[str], *, columns: int, title: str | None) -> Scene:
    """The scene that `corner_sheet` renders."""
    whole = grid(at_side(images, TILE), columns=columns, padding=0)
    side = whole.shape[1] // columns
    scene = Scene()
    top = _title(scene, title, width=whole.shape[1])
    box = scene.tile(whole, left=MARGIN, top=top + line_height(CAPTION_SIZE) + CAPTION_GAP)
    for number, caption in enumerate(captions):
        left = box.right - side if number % 2 else box.left
        row = box.bottom + CAPTION_GAP if number >= 2 else top
        scene.label(caption, left=left, top=row, width=side, size=CAPTION_SIZE)
    return scene


def strips_scene(rows: Sequence[Row], *, title: str | None, scale: int | None) -> Scene:
    """The scene that `strips` renders."""
    scene = Scene()
    shown = [enlarge(row.images, scale or max(1, TILE // row.images.shape[1])) for row in rows]
    top = _title(scene, title, width=max(len(tiles) * (tiles.shape[2] + GAP) - GAP for tiles in shown))
    for row, tiles in zip(rows, shown, strict=True):
        if row.label:
            width = len(tiles) * (tiles.shape[2] + GAP) - GAP
            top = scene.paragraph(row.label, left=MARGIN, top=top, width=width, size=CAPTION_SIZE) + CAPTION_GAP
        top = _row(scene, tiles, row.captions, top=top) + GAP * 3 // 2
    return scene


def _title(scene: Scene, title: str | None, *, width: int) -> int:
    """Draws the title; returns the first row below it."""
    if not title:
        return MARGIN
    return scene.paragraph(title, left=MARGIN, top=MARGIN, width=width, size=TITLE_SIZE, color=INK) + GAP


def _row(scene: Scene, tiles: np.ndarray, captions: Sequence[str] | None, *, top: int) -> int:
    """Draws one row of tiles with their captions; returns the first row below it."""
    bottom = top + tiles.shape[1]
    for index, pixels in enumerate(tiles):
        box = scene.tile(pixels, left=MARGIN + index * (tiles.shape[2] + GAP), top=top)
        for number, line in enumerate(captions[index].split("\n") if captions else []):
            below = box.bottom + CAPTION_GAP + number * line_height(CAPTION_SIZE)
            color = QUIET if number else INK
            placed = scene.label(line, left=box.left, top=below, width=box.width, size=CAPTION_SIZE, color=color)
            bottom = max(bottom, placed.bottom)
    return bottom
