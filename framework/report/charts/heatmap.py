"""A heat map of the slopes of all directions for all attributes."""

from collections.abc import Sequence
from dataclasses import dataclass

from framework.report.read.directions import AttributeEffect, DirectionEffect, attributes_of
from framework.report.text import format as words

_LEAST, _MOST = 10, 70  # percent of the full colour: visible, but light enough to read the number on it


@dataclass(frozen=True)
class HeatCell:
    """One slope.

    Attributes:
        text: The number; a dash if nothing was measured.
        style: CSS class: `up` and `down` have a colour; `faint` means no more than random directions do.
        percent: Strength of the colour, in percent of the full one.
        tooltip: The tooltip, which says all of it in words.
    """

    text: str
    style: str
    percent: int
    tooltip: str


@dataclass(frozen=True)
class HeatRow:
    """A direction's cells, in the order of the attributes; `own` is the index of the attribute it was made for."""

    stem: str
    cells: list[HeatCell]
    own: int | None


@dataclass(frozen=True)
class HeatMap:
    """The whole map; `most` is the absolute slope with the full colour, None if no slope exceeds random ones."""

    attributes: list[str]
    rows: list[HeatRow]
    most: float | None


def heat_map(effects: Sequence[DirectionEffect]) -> HeatMap | None:
    """The heat map, coloured symmetrically around 0; None if no attribute was measured."""
    attributes = attributes_of(effects)
    if not attributes:
        return None
    answers = [answer for effect in effects for answer in effect.answers.values()]
    most = max((abs(answer.slope) for answer in answers if answer.beyond_random), default=None)
    rows = [
        HeatRow(
            effect.stem,
            [_cell(effect, name, effect.answers.get(name), most) for name in attributes],
            attributes.index(effect.target) if effect.target in attributes else None,
        )
        for effect in effects
    ]
    return HeatMap(attributes, rows, most)


def _cell(effect: DirectionEffect, name: str, answer: AttributeEffect | None, most: float | None) -> HeatCell:
    if answer is None:
        return HeatCell("–", "faint", 0, f"{effect.stem}, {name}: not measured")
    text = words.signed(answer.slope)
    limit = "" if answer.random_99th is None else f"; 99% of random directions stay below {answer.random_99th:.3g}"
    tooltip = f"{effect.stem}, {name}: {text} logits per natural step{limit}"
    if not answer.beyond_random or not most:
        return HeatCell(text, "faint", 0, tooltip)
    percent = round(_LEAST + (_MOST - _LEAST) * abs(answer.slope) / most)
    return HeatCell(text, "up" if answer.slope > 0 else "down", percent, tooltip)
