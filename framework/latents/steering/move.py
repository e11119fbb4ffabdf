"""Moves samples along a direction: draws strips and films, and collects the values from which effects are computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.images import Row, from_pixels, labelled_sheet, strips
from framework.latents.directions.attributes import Attribute
from framework.latents.directions.direction import Direction
from framework.latents.directions.edits import EDITS, Edit
from framework.latents.films import there_and_back
from framework.latents.protocols import AssessorLike, GeneratorLike
from framework.latents.steering.effects import Effect, Slopes, latent_slopes
from framework.latents.steering.reach import nearest_amounts, reach_of

FILM_FRAMES = 49  # from one end to the other in 2 seconds; 96 there and back, of which a GIF shows every third

_DATA_SHARES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)  # multiples of the largest strength
Distances = Callable[[np.ndarray], np.ndarray]
"""Images [n,h,w,c] uint8 -> distances [n] of their features from those of the nearest real image."""


@dataclass(frozen=True, eq=False)
class Moved:
    """Measured values of some latents at each strength.

    Attributes:
        values: Attribute's name -> [s,n] logits.
        changes: [s,n] mean absolute change of a pixel relative to strength 0.
        amounts: [s,n] amount of its edit that a steerable direction achieves; None for other directions.
    """

    values: Mapping[str, np.ndarray]
    changes: np.ndarray
    amounts: np.ndarray | None = None

    @classmethod
    def merged(cls, parts: Sequence["Moved"]) -> "Moved":
        """Joins the values of consecutive parts of the latents."""
        return cls(
            {name: np.concatenate([part.values[name] for part in parts], axis=1) for name in parts[0].values},
            np.concatenate([part.changes for part in parts], axis=1),
            _joined([part.amounts for part in parts]),
        )


def move_and_assess(
    generator: GeneratorLike,
    assessor: AssessorLike,
    attributes: Sequence[Attribute],
    direction: Direction,
    latents: np.ndarray,
    strengths: Sequence[float],
) -> Moved:
    """Moves latents [n,z] by each strength and assesses the images; the values depend on each latent alone."""
    start, edit = generator.images(latents), edit_of(direction)
    values: dict[str, list[np.ndarray]] = {attribute.name: [] for attribute in attributes}
    changes, amounts = [], []
    for strength in strengths:
        images = generator.images(direction.moved(latents, strength)) if strength else start
        scores = assessor.predict(images)
        for attribute in attributes:
            values[attribute.name].append(attribute.values(scores))
        changes.append(np.abs(images.astype(np.int16) - start).mean(axis=(1, 2, 3)))
        if edit is not None:
            amounts.append(nearest_amounts(from_pixels(start), from_pixels(images), edit))
    return Moved(
        {name: np.stack(rows) for name, rows in values.items()},
        np.stack(changes),
        np.stack(amounts) if amounts else None,
    )


def mean_slopes(
    generator: GeneratorLike,
    assessor: AssessorLike,
    attributes: Sequence[Attribute],
    directions: Sequence[Direction],
    latents: np.ndarray,
    strengths: Sequence[float],
) -> list[dict[str, float]]:
    """For each direction, attribute -> mean slope over latents [n,z], equal to those from `move_and_assess`."""
    unmoved = assessor.predict(generator.images(latents)) if 0.0 in strengths else {}
    rows = []
    for direction in directions:
        scores = [
            assessor.predict(generator.images(direction.moved(latents, strength))) if strength else unmoved
            for strength in strengths
        ]
        values = {attribute.name: np.stack([attribute.values(s) for s in scores]) for attribute in attributes}
        rows.append({name: float(latent_slopes(each, strengths).mean()) for name, each in values.items()})
    return rows


def data_strengths(strengths: Sequence[float]) -> list[float]:
    """The strengths at which distances to real images are measured: up to four times the largest, on both sides of 0.

    >>> data_strengths([-2.0, 0.0, 3.0])
    [-12.0, -9.0, -6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5, 6.0, 9.0, 12.0]
    """
    farthest = max(abs(strength) for strength in strengths)
    sizes = [share * farthest for share in _DATA_SHARES]
    return [*(-size for size in reversed(sizes)), 0.0, *sizes]


def distances_along(
    generator: GeneratorLike,
    distances: Distances,
    direction: Direction,
    latents: np.ndarray,
    strengths: Sequence[float],
) -> np.ndarray:
    """Distances [t,n] from real images of latents moved by `data_strengths(strengths)`."""
    rows = [
        distances(generator.images(direction.moved(latents, strength) if strength else latents))
        for strength in data_strengths(strengths)
    ]
    return np.stack(rows).astype(np.float64)


def edit_of(direction: Direction) -> Edit | None:
    """The edit that a steerable direction imitates; None for directions of other methods."""
    return EDITS.get(direction.target) if direction.method == "steerable" else None


def effect_of(
    moved: Moved,
    strengths: Sequence[float],
    random: Mapping[str, np.ndarray],
    *,
    spread: float | None = None,
    far: np.ndarray | None = None,
) -> Effect:
    """Computes the effect of a direction from the values of all moved latents.

    Args:
        strengths: The strengths of the rows of `moved`.
        random: Attribute -> [k] mean slopes of random directions of the same length.
        spread: Standard deviation of the edit's amount over real images, for a steerable direction.
        far: [t,n] distances from real images at `data_strengths(strengths)`.
    """
    slopes = {name: Slopes.of(latent_slopes(values, strengths)) for name, values in moved.values.items()}
    distance = None
    if far is not None:
        unmoved = far[data_strengths(strengths).index(0.0)]
        distance = (far.mean(axis=1) - unmoved.mean()) / max(float(unmoved.std(ddof=1)), 1e-12)
    return Effect(
        strengths=list(strengths),
        latents=moved.changes.shape[1],
        slopes=slopes,
        random=random,
        image_change=moved.changes.mean(axis=1),
        data_strengths=data_strengths(strengths),
        data_distance=distance,
        reach=None if moved.amounts is None else reach_of(moved.amounts, strengths, data_spread=spread),
    )


def draw_strip(
    generator: GeneratorLike,
    direction: Direction,
    latents: np.ndarray,
    strengths: Sequence[float],
    names: Sequence[str],
) -> np.ndarray:
    """Draws one row per latent with its name above and the strengths below, the start marked: [H,W,3] uint8."""
    captions = [f"{strength:+g}" if strength else "0, the start" for strength in strengths]
    rows = []
    for latent, name in zip(latents, names, strict=True):
        walk = np.concatenate([direction.moved(latent[None], strength) for strength in strengths])
        rows.append(Row(generator.images(walk), captions, name))
    return strips(rows, title=title_of(direction))


def draw_film(
    generator: GeneratorLike, direction: Direction, latents: np.ndarray, strengths: Sequence[float]
) -> np.ndarray:
    """Draws frames [s,H,W,3] from the smallest strength to the largest and back, all latents side by side."""
    way = np.linspace(min(strengths), max(strengths), FILM_FRAMES)
    moved = np.concatenate([direction.moved(latents, float(strength)) for strength in way])
    shown, name = np.split(generator.images(moved), len(way)), title_of(direction)
    frames = [
        labelled_sheet(images, [""] * len(latents), columns=len(latents), title=f"{name}\n{strength:+.1f}")
        for images, strength in zip(shown, way, strict=True)
    ]
    return there_and_back(np.stack(frames))


def title_of(direction: Direction) -> str:
    """The title of a direction in pictures.

    >>> title_of(Direction("smiling-ganalyze", "ganalyze", np.ones(1), 1.0, ""))
    'smiling (ganalyze)'
    >>> title_of(Direction("sefa_1", "sefa", np.ones(1), 1.0, ""))
    'sefa 1'
    """
    stem = direction.name.removesuffix(f"-{direction.method}")
    words = stem.replace("_", " ")
    return words if stem.startswith(direction.method) else f"{words} ({direction.method})"


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays, axis=1) if len(arrays) == len(parts) else None


def table_of(effects: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the terminal and the report: one per direction, for its target or the attribute that it changes most.

    Args:
        effects: Direction's file -> entry of `effects.json` with "direction", "method", "target" and "attributes".
    """
    rows = []
    for file, effect in effects.items():
        attributes = effect["attributes"]
        most = max(attributes, key=lambda name: attributes[name]["random_rank"] * abs(attributes[name]["slope"]))
        name = effect["target"] if effect.get("target") in attributes else most
        rows.append({"file": file, "method": effect["method"], "attribute": name, **attributes[name]})
    return rows
