"""The page's section on the latent space: directions and their effects, films, and projected photographs."""

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
    """A row of the table of directions.

    `own` means that the direction was made for this attribute, `noise` that its slope does not exceed those of random
    directions.
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
    """The errors of a projected picture: of the image found, of the nearest of many samples, and of random samples.

    An error is the root mean square difference of pixels from 0 to 255.
    """

    name: str
    note: str
    error: float | None
    nearest: float | None
    random: float | None

    @property
    def values(self) -> tuple[float | None, ...]:
        """The three errors."""
        return self.error, self.nearest, self.random


@dataclass(frozen=True)
class Latent:
    """The content of the section; a part is empty if its file does not exist.

    Attributes:
        rows: The directions, by attribute.
        heat: The slopes of all directions for all attributes.
        latents: The number of latents that all directions were measured on; None if it differs.
        mixed: The number of combinations of generator and assessor that were used, if more than one, else 0.
        waiting: Directions that were found but neither measured nor drawn.
        method: A method of finding directions that works for this run.
        walked: Stem -> the reach of the edit, for each steerable direction.
        errors: The errors of projected pictures.
        most_error: The largest error, which has the longest bar.
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
    """Collects the section's content from the results of a run."""
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
        # InterFaceGAN needs an assessor, and without labels there is none; SeFa needs nothing but the weights.
        method="interfacegan" if results.about.get("assessors") else "sefa",
        walked={effect.stem: effect.walked for effect in effects if effect.walked is not None},
        errors=errors,
        most_error=max((value for row in errors for value in row.values if value), default=1.0),
    )


def path_lengths(document: dict[str, Any]) -> str:
    """The lengths of the two walks in interpolation.json as a sentence; empty if the document has none.

    >>> path_lengths({"path_length": {"lerp": 12.34, "slerp": 10.0, "features": "pixels"}})
    'In total, the images change by 12.3 along the straight line and 10 along the sphere, in units of pixels.'
    >>> path_lengths({"path_length": {"lerp": 12.34, "straight": 8.2, "features": "measurer"}})
    'In total, the images change by 12.3 along the straight line, in units of the assessor’s features; the first and \
the last image are 8.2 apart.'
    """
    lengths = document.get("path_length")
    if not isinstance(lengths, dict):
        return ""
    walks = (("lerp", "along the straight line"), ("slerp", "along the sphere"))
    parts = [
        f"{words.number(lengths[walk], 3)} {name}" for walk, name in walks if finite(lengths.get(walk)) is not None
    ]
    if not parts:
        return ""
    apart = finite(lengths.get("straight"))
    ends = "" if apart is None else f"; the first and the last image are {words.number(apart, 3)} apart"
    features = str(lengths.get("features") or "")
    unit = f", in units of {_FEATURES.get(features, features)}" if features else ""
    return f"In total, the images change by {' and '.join(parts)}{unit}{ends}."


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
    """The slope, sorted by its absolute value, because the sign of most directions is arbitrary."""
    return Cell("–", "") if answer is None else Cell(words.signed(answer.slope), sorted_by(abs(answer.slope)))


def _interval(answer: AttributeEffect | None) -> str:
    if answer is None or answer.interval is None:
        return ""
    low, high = answer.interval
    return f"95%: {words.signed(low)} to {words.signed(high)}"


def _beats(answer: AttributeEffect | None) -> Cell:
    """How many of the random directions have a smaller slope."""
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
    return Cell(f"beyond {words.number(effect.farthest, 3)}", "Infinity")  # farther than any measured strength


def _errors(document: dict[str, Any]) -> list[ErrorRow]:
    photos, control = document.get("photos"), document.get("held_out_generated")
    rows = [
        ErrorRow(
            str(photo.get("name") or number),
            _starts(photo.get("start_errors")),
            *(finite(photo.get(name)) for name in ("pixel_error", "nearest_random_error", "random_error")),
        )
        for number, photo in enumerate(photos if isinstance(photos, list) else [], start=1)
        if isinstance(photo, dict)
    ]
    if isinstance(control, dict) and finite(control.get("pixel_error_median")) is not None:
        count, recovered = finite(control.get("count")), finite(control.get("found_back"))
        note = "median" if count is None else f"median of {words.number(count, 9)}"
        note += "" if recovered is None else f", {words.number(recovered, 9)} recovered"
        rows.append(ErrorRow("Generated images", note, finite(control["pixel_error_median"]), None, None))
    return rows


def _starts(errors: Any) -> str:
    known = [error for value in (errors if isinstance(errors, list) else []) if (error := finite(value)) is not None]
    if len(known) < 2:
        return ""
    return f"{len(known)} starts: {words.number(min(known), 3)} to {words.number(max(known), 3)}"
