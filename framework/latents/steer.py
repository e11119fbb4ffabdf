"""Along a direction: what it looks like, and what of it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.images import Row, labelled_sheet, strips
from framework.latents.direction import Direction
from framework.latents.discover import Attribute
from framework.latents.effects import Effect, Slopes, latent_slopes
from framework.latents.films import there_and_back
from framework.latents.subjects import AssessorLike, GeneratorLike

_FILM_FRAMES = 49  # from one end to the other: 2 seconds; there and back are 96, of which a GIF shows every third
EFFECT_SEED_OFFSET = 1  # of latents that no method has looked at: another seed


@dataclass(frozen=True, eq=False)
class Moved:
    """What a part of the latents gave, at every strength.

    Attributes:
        values: Attribute's name -> [s,n] logits.
        changes: [s,n] mean absolute change of a pixel against strength 0.
        distances: [s,n] distance of the features to the nearest real one; None without real features.
    """

    values: Mapping[str, np.ndarray]
    changes: np.ndarray
    distances: np.ndarray | None

    @classmethod
    def merged(cls, parts: Sequence["Moved"]) -> "Moved":
        """Parts of the latents, in their order, as one."""
        distances = [part.distances for part in parts if part.distances is not None]
        return cls(
            {name: np.concatenate([part.values[name] for part in parts], axis=1) for name in parts[0].values},
            np.concatenate([part.changes for part in parts], axis=1),
            np.concatenate(distances, axis=1) if len(distances) == len(parts) else None,
        )


def move_and_assess(
    generator: GeneratorLike,
    assessor: AssessorLike,
    attributes: Sequence[Attribute],
    direction: Direction,
    latents: np.ndarray,
    strengths: Sequence[float],
) -> Moved:
    """Moves latents [n,z] by each strength and asks the measurer of each image; a pure function of each latent."""
    start = generator.images(latents).astype(np.int16)
    values: dict[str, list[np.ndarray]] = {attribute.name: [] for attribute in attributes}
    changes = []
    for strength in strengths:
        images = generator.images(direction.moved(latents, strength))
        scores = assessor.predict(images)
        for attribute in attributes:
            values[attribute.name].append(attribute.values(scores))
        changes.append(np.abs(images - start).mean(axis=(1, 2, 3)))
    return Moved({name: np.stack(rows) for name, rows in values.items()}, np.stack(changes), None)


def effect_of(moved: Moved, strengths: Sequence[float], random: Mapping[str, np.ndarray]) -> Effect:
    """What the moved latents say of their direction.

    Args:
        moved: All latents.
        strengths: Of its rows.
        random: Attribute -> [k] mean slopes of random directions of the same length.
    """
    slopes = {name: Slopes.of(latent_slopes(values, strengths)) for name, values in moved.values.items()}
    distance = None
    if moved.distances is not None:
        rows = moved.distances.mean(axis=1)
        distance = rows / rows[int(np.argmin(np.abs(np.asarray(strengths))))]
    return Effect(
        strengths=list(strengths),
        latents=moved.changes.shape[1],
        slopes=slopes,
        random=random,
        image_change=moved.changes.mean(axis=1),
        data_distance=distance,
    )


def draw_strip(
    generator: GeneratorLike, direction: Direction, latents: np.ndarray, strengths: Sequence[float]
) -> np.ndarray:
    """A row a latent, the strengths under the pictures, the start marked: [H,W,3] uint8."""
    captions = [f"{strength:+g}" if strength else "0, the start" for strength in strengths]
    rows = []
    for latent in latents:
        walk = np.concatenate([direction.moved(latent[None], strength) for strength in strengths])
        rows.append(Row(generator.images(walk), captions, ""))
    return strips(rows, title=f"{direction.name} ({direction.method})")


def draw_film(
    generator: GeneratorLike, direction: Direction, latents: np.ndarray, strengths: Sequence[float]
) -> np.ndarray:
    """Frames [s,H,W,3] from the least strength to the greatest and back, all latents side by side."""
    way = np.linspace(min(strengths), max(strengths), _FILM_FRAMES)
    moved = np.concatenate([direction.moved(latents, float(strength)) for strength in way])
    shown = np.split(generator.images(moved), len(way))
    frames = [
        labelled_sheet(images, [""] * len(latents), columns=len(latents), title=f"{direction.name} {strength:+.1f}")
        for images, strength in zip(shown, way, strict=True)
    ]
    return there_and_back(np.stack(frames))


def table_of(effects: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for a terminal and the report: each direction's own attribute, or the one that it moves most.

    Args:
        effects: Direction's file -> {"direction", "method", "target", "attributes"}, as effects.json holds it.
    """
    rows = []
    for file, effect in effects.items():
        attributes = effect["attributes"]
        most = max(attributes, key=lambda name: attributes[name]["random_rank"] * abs(attributes[name]["slope"]))
        name = effect["target"] if effect.get("target") in attributes else most
        rows.append({"file": file, "method": effect["method"], "attribute": name, **attributes[name]})
    return rows
