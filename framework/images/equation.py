"""Latent arithmetic as a picture: the members of each group, the image of its mean, the operators, and the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

import numpy as np

from framework.images.layout import GAP, MARGIN, TITLE_SIZE, at_side
from framework.images.scene import QUIET, Box, Card, Mark, Scene
from framework.images.text import line_height

MEMBER, MEAN, RESULT = 64, 128, 256
MEMBER_GAP, MEMBER_SIZE = 8, 13
NAME_SIZE, NOTE_SIZE = 18, 16
PADDING = 14
MARK, MARK_SPACE = 24, 56


@dataclass(frozen=True)
class Term:
    """One signed group of the expression.

    Attributes:
        sign: Whether the mean is added or subtracted.
        members: [n, h, w, c] uint8, the images of the members.
        member_captions: n captions, such as number and score; a line break starts a second line.
        mean: [h, w, c] uint8, the image of the mean of the members' latents.
    """

    sign: Literal["+", "-"]
    name: str
    members: np.ndarray
    member_captions: Sequence[str]
    mean: np.ndarray


def equation(
    terms: Sequence[Term],
    result: np.ndarray,
    caption: str,
    *,
    title: str | None = None,
    note: str | None = None,
) -> np.ndarray:
    """Draws the equation from left to right, with means and operators at one height.

    Args:
        terms: At least one term.
        result: [h, w, c] uint8.
        caption: Text below the result; a line break starts a second line.
        title: Text above the equation, wrapped.
        note: Text below the equation, wrapped.

    Returns:
        [H, W, 3] uint8; the layout does not depend on the resolution of the images.
    """
    return equation_scene(terms, result, caption, title=title, note=note).render(margin=MARGIN)


def equation_scene(
    terms: Sequence[Term], result: np.ndarray, caption: str, *, title: str | None, note: str | None
) -> Scene:
    """The scene that `equation` renders."""
    scene = Scene()
    panels = [_Panel(term) for term in terms]
    large = at_side(result[None], RESULT)[0]
    signs = len(terms) + (terms[0].sign == "-")  # including the "="; a leading plus is not drawn
    total = sum(panel.width for panel in panels) + signs * MARK_SPACE + large.shape[1]
    top = MARGIN
    if title:
        top = scene.paragraph(title, left=MARGIN, top=top, width=total, size=TITLE_SIZE) + GAP
    eye = top + max(panel.eye for panel in panels)  # the height of all means and operators
    left, bottom = MARGIN, eye
    for index, panel in enumerate(panels):
        if index or panel.term.sign == "-":
            left = _mark(scene, panel.term.sign, left=left, eye=eye)
        bottom = panel.draw(scene, left=left, top=eye - panel.eye)
        left += panel.width
    left = _mark(scene, "=", left=left, eye=eye)
    _result(scene, large, caption, left=left, rows=(top, bottom), eye=eye)
    if note:
        below = max(item.box.bottom for item in scene.items) + GAP
        scene.paragraph(note, left=MARGIN, top=below, width=total, size=NOTE_SIZE, color=QUIET)
    return scene


class _Panel:
    """A card with the members of a group, and below them the image of their mean with the group's name."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.members = at_side(term.members, MEMBER)
        self.mean = at_side(term.mean[None], MEAN)[0]
        self.columns = max(3, ceil(sqrt(len(self.members))))
        side = self.members.shape[2]
        self.width = self.columns * (side + MEMBER_GAP) - MEMBER_GAP + 2 * PADDING
        lines = max(caption.count("\n") + 1 for caption in term.member_captions)
        self.row_height = side + 2 + lines * line_height(MEMBER_SIZE) + MEMBER_GAP
        rows = ceil(len(self.members) / self.columns)
        # Distance of the mean's centre from the top of the card.
        self.eye = PADDING + rows * self.row_height + GAP // 2 + self.mean.shape[0] // 2

    def draw(self, scene: Scene, *, left: int, top: int) -> int:
        """Draws the card with its upper left corner at this position; returns the first row below it."""
        mean_top = top + self.eye - self.mean.shape[0] // 2
        name_top = mean_top + self.mean.shape[0] + GAP // 2
        card = Box(left, top, self.width, name_top + line_height(NAME_SIZE) + PADDING // 2 - top)
        scene.items.append(Card(card))
        for first in range(0, len(self.members), self.columns):
            self._draw_members(scene, card, range(first, min(len(self.members), first + self.columns)))
        scene.tile(self.mean, left=left + (self.width - self.mean.shape[1]) // 2, top=mean_top)
        scene.label(self.term.name, left=left + 4, top=name_top, width=self.width - 8, size=NAME_SIZE)
        return card.bottom

    def _draw_members(self, scene: Scene, card: Box, inside: range) -> None:
        side = self.members.shape[2]
        start = card.left + (card.width - len(inside) * (side + MEMBER_GAP) + MEMBER_GAP) // 2
        top = card.top + PADDING + inside.start // self.columns * self.row_height
        for column, index in enumerate(inside):
            box = scene.tile(self.members[index], left=start + column * (side + MEMBER_GAP), top=top)
            for number, line in enumerate(self.term.member_captions[index].split("\n")):
                under = box.bottom + 2 + number * line_height(MEMBER_SIZE)
                scene.label(line, left=box.left, top=under, width=side, size=MEMBER_SIZE, color=QUIET)


def _mark(scene: Scene, kind: Literal["+", "-", "="], *, left: int, eye: int) -> int:
    """Draws an operator in the middle of its space; returns the first column after it."""
    scene.items.append(Mark(Box(left + (MARK_SPACE - MARK) // 2, eye - MARK // 2, MARK, MARK), kind))
    return left + MARK_SPACE


def _result(scene: Scene, large: np.ndarray, caption: str, *, left: int, rows: tuple[int, int], eye: int) -> None:
    """Draws the result next to the cards, within their rows and as close to the operators' height as possible."""
    first, *further = caption.split("\n")
    words = GAP // 2 + line_height(NAME_SIZE) + len(further) * line_height(NOTE_SIZE)
    lowest = rows[1] - words - large.shape[0]
    box = scene.tile(large, left=left, top=max(rows[0], min(lowest, eye - large.shape[0] // 2)))
    top = scene.label(first, left=left, top=box.bottom + GAP // 2, width=box.width, size=NAME_SIZE).bottom
    for line in further:
        top = scene.label(line, left=left, top=top, width=box.width, size=NOTE_SIZE, color=QUIET).bottom
