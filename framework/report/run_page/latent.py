"""The page's part on the latent space: directions and what they do, films, photographs that were projected."""

from dataclasses import dataclass
from typing import Any

from framework.report.charts.heatmap import HeatMap, heat_map
from framework.report.read.directions import AttributeEffect, DirectionEffect, EditRange
from framework.report.read.films import StripsAndFilms
from framework.report.read.json_values import finite
from framework.report.read.run import Results
from framework.report.run_page.leaderboard import Cell, sorted_by
from framework.report.text import format as words

_FEATURES = {"measurer": "the assessor’s features"}


@dataclass(frozen=True)
class DirectionRow:
    """A row of the table.

    `own` says that the direction was made for this attribute, `noise` that the slope is no more than random
    directions have.
    """

    stem: str
    method: str
    attribute: str
    own: bool
    slope: Cell
    interval: str
    noise: bool
    right: Cell
    beats: Cell
    leaves: Cell


@dataclass(frozen=True)
class ErrorRow:
    """A picture that was projected: how far it, the nearest of many samples, and a usual one stay from it.

    Errors are root mean squares of pixels, from 0 to 255.
    """

    name: str
    note: str
    error: float | None
    nearest: float | None
    random: float | None

    @property
    def values(self) -> tuple[float | None, ...]:
        """All three."""
        return self.error, self.nearest, self.random


@dataclass(frozen=True)
class Latent:
    """What the section shows; each part is empty where its file is not there.

    Attributes:
        rows: The directions, by attribute.
        heat: Directions against attributes.
        latents: On how many latents they were measured; None where not all on as many.
        mixed: How many pairs of generator and assessor they were measured with, if more than one, else 0.
        moving: Strips and films.
        waiting: Directions that were found and are neither measured nor drawn.
        method: That finds some here.
        walked: Stem -> how much of its edit each steerable direction reaches.
        errors: Of projected pictures.
        most_error: The largest of them, which the longest bar stands for.
    """

    rows: list[DirectionRow]
    heat: HeatMap | None
    latents: float | None
    mixed: int
    moving: StripsAndFilms
    waiting: list[str]
    method: str
    walked: dict[str, EditRange]
    errors: list[ErrorRow]
    most_error: float


def latent_of(results: Results) -> Latent:
    """From what was read."""
    effects, moving = results.effects, results.moving
    seen = {effect.stem for effect in effects} | {strip.stem for strip in (*moving.strongest, *moving.rest)}
    measured = [effect for effect in effects if effect.answers]
    counts, made_with = {effect.latents for effect in measured}, {effect.made_with for effect in measured}
    errors = _errors(results.documents.get("projections.json", {}))
    return Latent(
        rows=[_row(effect) for effect in effects],
        heat=heat_map(effects),
        latents=counts.pop() if len(counts) == 1 else None,
        mixed=len(made_with) if len(made_with) > 1 else 0,
        moving=moving,
        waiting=[stem for stem in results.directions if stem not in seen],
        # Without labels there is no assessor, and the methods that need none are left.
        method="interfacegan" if results.about.get("assessors") else "sefa",
        walked={effect.stem: effect.walked for effect in effects if effect.walked is not None},
        errors=errors,
        most_error=max((value for row in errors for value in row.values if value), default=1.0),
    )


def path_lengths(document: dict[str, Any]) -> str:
    """What interpolation.json says of the two ways' lengths, as a sentence; empty where it says nothing.

    >>> path_lengths({"path_length": {"lerp": 12.34, "slerp": 10.0, "features": "pixels"}})
    'The pictures change by 12.3 on the straight way and 10 along the sphere, in pixels.'
    >>> path_lengths({"path_length": {"lerp": 12.34, "straight": 8.2, "features": "measurer"}})
    'The pictures change by 12.3 on the straight way, where their ends lie 8.2 apart, in the assessor’s features.'
    """
    lengths = document.get("path_length")
    if not isinstance(lengths, dict):
        return ""
    ways = (("lerp", "on the straight way"), ("slerp", "along the sphere"))
    told = [f"{words.number(lengths[way], 3)} {name}" for way, name in ways if finite(lengths.get(way)) is not None]
    if not told:
        return ""
    apart = finite(lengths.get("straight"))
    ends = "" if apart is None else f", where their ends lie {words.number(apart, 3)} apart"
    features = str(lengths.get("features") or "")
    where = f", in {_FEATURES.get(features, features)}" if features else ""
    return f"The pictures change by {' and '.join(told)}{ends}{where}."


def _row(effect: DirectionEffect) -> DirectionRow:
    answer = effect.answer
    return DirectionRow(
        stem=effect.stem,
        method=effect.method,
        attribute=effect.attribute or "–",
        own=effect.attribute == effect.target,
        slope=_slope(answer),
        interval=_interval(answer),
        noise=answer is not None and not answer.beyond_random,
        right=Cell(words.share(effect.right_share), sorted_by(effect.right_share)),
        beats=_beats(answer),
        leaves=_leaves(effect),
    )


def _slope(answer: AttributeEffect | None) -> Cell:
    """Sorted by its size: most directions have no right way round."""
    return Cell("–", "") if answer is None else Cell(words.signed(answer.slope), sorted_by(abs(answer.slope)))


def _interval(answer: AttributeEffect | None) -> str:
    if answer is None or answer.interval is None:
        return ""
    low, high = answer.interval
    return f"95%: {words.signed(low)} to {words.signed(high)}"


def _beats(answer: AttributeEffect | None) -> Cell:
    """How many of how many random directions do less."""
    if answer is None or answer.random_rank is None:
        return Cell("–", "")
    rank, count = answer.random_rank, answer.random_directions
    text = words.share(rank) if count is None else f"{words.number(rank * count, 9)} of {words.number(count, 9)}"
    return Cell(text, sorted_by(rank))


def _leaves(effect: DirectionEffect) -> Cell:
    if effect.leaves_data_at is not None:
        strength = effect.leaves_data_at
        return Cell(f"{strength:.1f}" if abs(strength) < 100 else words.number(strength), sorted_by(strength))
    if effect.farthest is None:
        return Cell("–", "")
    return Cell(f"not up to {words.number(effect.farthest, 3)}", "Infinity")  # farther than any that was measured


def _errors(document: dict[str, Any]) -> list[ErrorRow]:
    photos, made = document.get("photos"), document.get("held_out_generated")
    rows = [
        ErrorRow(
            str(photo.get("name") or number),
            _starts(photo.get("start_errors")),
            *(finite(photo.get(name)) for name in ("pixel_error", "nearest_random_error", "random_error")),
        )
        for number, photo in enumerate(photos if isinstance(photos, list) else [], start=1)
        if isinstance(photo, dict)
    ]
    if isinstance(made, dict) and finite(made.get("pixel_error_median")) is not None:
        count, back = finite(made.get("count")), finite(made.get("found_back"))
        note = "median" if count is None else f"median of {words.number(count, 9)}"
        note += "" if back is None else f", {words.number(back, 9)} found back"
        rows.append(ErrorRow("Generated images", note, finite(made["pixel_error_median"]), None, None))
    return rows


def _starts(errors: Any) -> str:
    known = [error for one in (errors if isinstance(errors, list) else []) if (error := finite(one)) is not None]
    if len(known) < 2:
        return ""
    return f"{len(known)} starts: {words.number(min(known), 3)} to {words.number(max(known), 3)}"
