"""A picture before rendering: boxes with tiles, text and operators, so that tests can check layouts without pixels."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from framework.images.grids import as_color
from framework.images.text import fit, font, line_height, wrap

Color = tuple[int, int, int]
PAPER: Color = (255, 255, 255)
CARD: Color = (243, 244, 247)
INK: Color = (28, 30, 36)
QUIET: Color = (96, 101, 112)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; right and bottom are the first pixels outside it."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below the box."""
        return self.top + self.height

    def overlaps(self, other: "Box") -> bool:
        """Whether the two boxes share a pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def contains(self, other: "Box") -> bool:
        """Whether the other box lies completely within this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


@dataclass(frozen=True)
class Tile:
    """An image at its final size, [h, w, 1 or 3] uint8."""

    box: Box
    pixels: np.ndarray


@dataclass(frozen=True)
class Label:
    """One line of text, which is made smaller or cut to fit into its box."""

    box: Box
    text: str
    size: int
    color: Color
    align: Literal["center", "left"]


@dataclass(frozen=True)
class Mark:
    """An operator, drawn as bars because the font has no minus sign."""

    box: Box
    kind: Literal["+", "-", "="]


@dataclass(frozen=True)
class Card:
    """A light panel behind a group of items."""

    box: Box


@dataclass
class Scene:
    """The items of a picture; later items are drawn over earlier ones."""

    items: list[Tile | Label | Mark | Card] = field(default_factory=list)

    def tile(self, pixels: np.ndarray, *, left: int, top: int) -> Box:
        """Adds an image at its final size; returns its box."""
        box = Box(left, top, pixels.shape[1], pixels.shape[0])
        self.items.append(Tile(box, pixels))
        return box

    def label(
        self,
        text: str,
        *,
        left: int,
        top: int,
        width: int,
        size: int,
        color: Color = INK,
        align: Literal["center", "left"] = "center",
    ) -> Box:
        """Adds one line of text; returns its box."""
        box = Box(left, top, width, line_height(size))
        self.items.append(Label(box, text, size, color, align))
        return box

    def paragraph(self, text: str, *, left: int, top: int, width: int, size: int, color: Color = INK) -> int:
        """Adds text wrapped to `width`; returns the first row below it."""
        for line in wrap(text, size=size, width=width):
            top = self.label(line, left=left, top=top, width=width, size=size, color=color, align="left").bottom
        return top

    def render(self, *, margin: int) -> np.ndarray:
        """Renders the scene as [h, w, 3] uint8 on white, with `margin` pixels to the right of and below the items."""
        width = max(item.box.right for item in self.items) + margin
        height = max(item.box.bottom for item in self.items) + margin
        canvas = Image.new("RGB", (width, height), PAPER)
        pen = ImageDraw.Draw(canvas)
        for item in self.items:
            _draw(item, canvas, pen)
        return np.asarray(canvas).copy()


def _draw(item: Tile | Label | Mark | Card, canvas: Image.Image, pen: ImageDraw.ImageDraw) -> None:
    box = item.box
    if isinstance(item, Tile):
        canvas.paste(Image.fromarray(np.ascontiguousarray(as_color(item.pixels))), (box.left, box.top))
    elif isinstance(item, Label):
        line, size = fit(item.text, size=item.size, width=box.width)
        across = box.left if item.align == "left" else box.left + box.width / 2
        anchor = "ls" if item.align == "left" else "ms"
        pen.text((across, box.top + item.size), line, font=font(size), fill=item.color, anchor=anchor)
    elif isinstance(item, Mark):
        for bar in _bars(item):
            pen.rectangle((bar.left, bar.top, bar.right - 1, bar.bottom - 1), fill=INK)
    else:
        pen.rounded_rectangle((box.left, box.top, box.right - 1, box.bottom - 1), radius=10, fill=CARD)


def _bars(mark: Mark) -> list[Box]:
    box = mark.box
    thick = max(2, box.width // 8 * 2)
    middle = Box(box.left, box.top + (box.height - thick) // 2, box.width, thick)
    if mark.kind == "-":
        return [middle]
    if mark.kind == "+":
        return [middle, Box(box.left + (box.width - thick) // 2, box.top, thick, box.height)]
    apart = thick + 1
    return [Box(middle.left, middle.top + shift, middle.width, thick) for shift in (-apart, apart)]
