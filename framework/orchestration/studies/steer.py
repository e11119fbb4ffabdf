"""Moves along directions with a pool: draws strips and films, and measures effects against random directions."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.data.store import open_store
from framework.images import from_pixels, png_bytes
from framework.latents.attributes.groups import labels_of
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.direction import SUFFIX, Direction, save_direction
from framework.latents.directions.edits import Edit
from framework.latents.films import gif_bytes, mp4_bytes
from framework.latents.steering.effects import Effect, random_directions
from framework.latents.steering.move import (
    FILM_FRAMES,
    Moved,
    data_strengths,
    distances_along,
    draw_film,
    draw_strip,
    edit_of,
    effect_of,
    mean_slopes,
    move_and_assess,
)
from framework.latents.steering.reach import spread_of
from framework.models.arithmetic.blocks import SHARD_IMAGES, shards
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import TaskPool
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.chosen import chosen_directions
from framework.orchestration.studies.models import StudyModels, models_for, pool_for
from framework.orchestration.studies.starts import starts_of
from framework.runs import RunFolder
from framework.runs.documents import Effects, RandomSlopes, read_document
from framework.storage import open_folder

Start = tuple[str, np.ndarray]
"""A projected photograph's name and its latent [z]."""

EFFECTS, PICTURES = "effects.json", "directions"
_CHANCE = "random_effects.json"
_EFFECT_SEED = 1_000_003  # effects are measured on latents of this seed, from which no method learns
_RANDOM_LATENTS = 32  # per random direction; their mean slope varies far less than slopes of different directions
_FAR_LATENTS = 128  # latents whose distance to real images is measured
_REAL_IMAGES = 2_000
_GROUP_OF_RANDOM = 4  # random directions per task


@dataclasses.dataclass(frozen=True)
class _Measure:
    """How the tasks of one job measure.

    Attributes:
        place: Locations of the generator and the assessors.
        attributes: The attributes that the measurer predicts.
        strengths: How far each latent is moved, in natural steps.
    """

    models: StudyModels
    attributes: Sequence[Attribute]
    strengths: Sequence[float]


def steer(context: RunContext, target: CheckpointRef) -> dict[str, dict[str, Any]]:
    """Draws and measures directions: strips, films and effects.json in the run's artifacts.

    Effects that were measured with the same settings are kept, so an interrupted job resumes.

    Returns:
        The content of effects.json: file of a direction -> its effect.

    Raises:
        LatentsError: A direction is missing, is damaged, or has latents of another size.
    """
    settings, models = context.experiment.latents, models_for(context, target)
    directions = chosen_directions(context.run, target, say=context.progress.say)
    starts = starts_of(context.run, load_generator(target.location))
    _draw_all(context, models, directions, starts)
    effects = known_effects(context.run)
    if models.measurer is None or context.assessors is None:
        context.progress.say("Effects: not measured; there is no assessor, because the data has no labels")
        return effects
    attributes = attributes_of(labels_of(context.assessors.measurer), None)
    measure = _Measure(models, attributes, settings.steering.strengths)
    about = _about(context, models)
    pool = pool_for(context, models, str(context.images.path))
    for file, direction in directions.items():
        basis = about | _about_direction(context, direction)
        if is_measured(context, models, file, direction):
            if direction.effect != effects[file]:  # a job of an earlier version ended before it wrote the direction
                keep_effect(context.run, file, direction, effects)
            continue
        chance = _chance(context, pool, measure, direction, about)
        effect = _effect(context, pool, measure, direction, chance, file=file)
        description = {"direction": direction.name, "method": direction.method, "target": direction.target}
        edit = edit_of(direction)
        description |= {} if edit is None else {"edit_unit": edit.unit}
        effects[file] = basis | description | effect.document()
        keep_effect(context.run, file, direction, effects)
    return {file: effects[file] for file in directions}


def steering_ahead(ahead: Ahead) -> list[Step]:
    """The steps of `steer`."""
    settings, context = ahead.settings.steering, ahead.context
    directions, starts = chosen_directions(ahead.run, ahead.target), starts_of(ahead.run, ahead.generator)
    rows, moved = len(starts) or settings.strip_samples, sum(strength != 0 for strength in settings.strengths)
    drawn = len(directions) * rows * (len(settings.strengths) + FILM_FRAMES)
    steps = [Step(f"strips and films of {len(directions)} directions", generated=drawn, drawn=drawn)]
    if not ahead.assessed:
        return steps
    models = None if context is None else models_for(context, ahead.target)
    far = _FAR_LATENTS * len(data_strengths(settings.strengths))
    effect = settings.effect_samples * (1 + moved) + far
    lengths = {(float(f"{each.natural_step:.3g}"), each.keeps_length) for each in directions.values()}
    chance = len(lengths) * settings.random_directions * _RANDOM_LATENTS * moved
    measured = {
        file: context is not None and models is not None and is_measured(context, models, file, direction)
        for file, direction in directions.items()
    }
    if not all(measured.values()):
        steps.append(Step("random directions to compare with", generated=chance, judged=chance + _REAL_IMAGES))
    return steps + [
        Step(f"effect of {file}", generated=effect, judged=effect, exists=exists) for file, exists in measured.items()
    ]


def known_effects(run: RunFolder) -> dict[str, dict[str, Any]]:
    """The content of effects.json; empty if there is none."""
    return read_document(run.artifacts, EFFECTS, Effects) if run.artifacts.exists(EFFECTS) else {}


def keep_effect(run: RunFolder, file: str, direction: Direction, effects: Mapping[str, dict[str, Any]]) -> None:
    """Writes the effect of a direction into its file, and then all effects into effects.json.

    A job that ends between the two measures the same again; in the other order it would leave the direction without.
    """
    save_direction(dataclasses.replace(direction, effect=effects[file]), run.directions, file)
    run.artifacts.write_json(EFFECTS, effects)


def is_measured(context: RunContext, models: StudyModels, file: str, direction: Direction) -> bool:
    """Whether the effect of a direction has been measured with these settings."""
    known, basis = known_effects(context.run).get(file, {}), _about(context, models)
    return all(known.get(key) == value for key, value in (basis | _about_direction(context, direction)).items())


def _about(context: RunContext, models: StudyModels) -> dict[str, Any]:
    """What all effects of a job depend on."""
    assert context.assessors is not None
    settings, truncation = context.experiment.latents.steering, context.experiment.latents.truncation
    condition = dict(models.condition)
    about: dict[str, Any] = {} if truncation == 1.0 else {"truncation": truncation}
    return (
        about
        | ({"condition": condition} if condition else {})
        | {
            "generator": models.generator,
            "assessor": context.assessors.measurer.digest,
            "data": context.images.digest,
            "strengths": list(settings.strengths),
            "random_directions": settings.random_directions,
        }
    )


def _about_direction(context: RunContext, direction: Direction) -> dict[str, Any]:
    return {
        "direction_digest": direction.digest,
        "latents": context.experiment.latents.steering.effect_samples,
    }


def _draw_all(
    context: RunContext, models: StudyModels, directions: Mapping[str, Direction], starts: Sequence[Start]
) -> None:
    """Draws each direction. Pictures are always drawn again: this is fast, and the starts may have changed.

    Pictures that start from photographs are named NAME-from-PHOTO, so they do not replace those from samples.
    """
    settings = context.experiment.latents
    place = context.run.artifacts.location
    work = [
        (models, direction, file.removesuffix(SUFFIX), settings, starts, place)
        for file, direction in directions.items()
    ]
    done = context.progress.counter("directions drawn")
    for _ in pool_for(context, models).map(_draw, work, name="steer: pictures", done=done):
        pass


def _chance(
    context: RunContext, pool: TaskPool, measure: _Measure, direction: Direction, about: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Attribute -> [k] mean slopes of random directions of the same length; stored for directions of that length."""
    settings, artifacts = context.experiment.latents, context.run.artifacts
    step = float(f"{direction.natural_step:.3g}")
    key = f"{step:g}" + (" on the sphere" if direction.keeps_length else "")
    known = read_document(artifacts, _CHANCE, RandomSlopes) if artifacts.exists(_CHANCE) else {}
    if known.get("about") != dict(about):
        known = {"about": dict(about), "slopes": {}}
    if key not in known["slopes"]:
        size = direction.latent_size
        vectors = random_directions(size, count=settings.steering.random_directions, seed=settings.seed)
        random = [
            Direction("random", "random", vector, step, about["generator"], keeps_length=direction.keeps_length)
            for vector in vectors
        ]
        work = [
            (measure, random[start : start + _GROUP_OF_RANDOM]) for start in range(0, len(random), _GROUP_OF_RANDOM)
        ]
        done = context.progress.counter(f"random directions of length {key}, by {_GROUP_OF_RANDOM}")
        parts = [row for rows in pool.map(_random_slopes, work, name="steer: random", done=done) for row in rows]
        known["slopes"][key] = {name: [row[name] for row in parts] for name in parts[0]}
        artifacts.write_json(_CHANCE, known)
    return {name: np.asarray(values) for name, values in known["slopes"][key].items()}


def _effect(
    context: RunContext,
    pool: TaskPool,
    measure: _Measure,
    direction: Direction,
    chance: Mapping[str, np.ndarray],
    *,
    file: str,
) -> Effect:
    count = context.experiment.latents.steering.effect_samples
    work = [(measure, direction, *shard) for shard in shards(count)]
    done = context.progress.counter(f"{file.removesuffix(SUFFIX)}, by {SHARD_IMAGES} latents")
    parts = list(pool.map(_move, work, name=f"steer: {direction.name}", done=done))
    images = str(context.images.path)
    (far,) = pool.map(_far, [(measure, direction, images)], name=f"steer: {direction.name}, far")
    edit = edit_of(direction)
    spread = None
    if edit is not None:
        (spread,) = pool.map(_spread, [(edit, images)], name=f"steer: {direction.name}, real images")
    return effect_of(Moved.merged(parts), measure.strengths, chance, spread=spread, far=far)


def _random_slopes(measure: _Measure, directions: Sequence[Direction]) -> list[dict[str, float]]:
    generator, assessor = measure.models.open_generator(), measure.models.open_measurer()
    latents = generator.sample_latents(_RANDOM_LATENTS, _EFFECT_SEED)
    return mean_slopes(generator, assessor, measure.attributes, directions, latents, measure.strengths)


def _move(measure: _Measure, direction: Direction, start: int, stop: int) -> Moved:
    generator, assessor = measure.models.open_generator(), measure.models.open_measurer()
    latents = generator.sample_latents(stop - start, _EFFECT_SEED, start=start)
    return move_and_assess(generator, assessor, measure.attributes, direction, latents, measure.strengths)


def _far(measure: _Measure, direction: Direction, images: str) -> np.ndarray:
    generator, assessor = measure.models.open_generator(), measure.models.open_measurer()
    real = torch.from_numpy(_real_features(images, measure.models))

    def distances(shown: np.ndarray) -> np.ndarray:
        """Distance of each image to the nearest real one, by differences: products would lose small distances."""
        features = torch.from_numpy(assessor.features(shown))
        return torch.cdist(features, real, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1).numpy()

    latents = generator.sample_latents(_FAR_LATENTS, _EFFECT_SEED)
    return distances_along(generator, distances, direction, latents, measure.strengths)


@functools.lru_cache(maxsize=1)
def _real_features(images: str, models: StudyModels) -> np.ndarray:
    """Features [m,d] of the first training images; cached per process."""
    return models.open_measurer().features(_real_images(images))


def _spread(edit: Edit, images: str) -> float:
    return spread_of(from_pixels(_real_images(images)), edit)


def _real_images(images: str) -> np.ndarray:
    store = open_store(Path(images))
    return np.array(store.images[store.training_indices[:_REAL_IMAGES]])


def _draw(
    models: StudyModels,
    direction: Direction,
    stem: str,
    settings: LatentsConfig,
    starts: Sequence[Start],
    artifacts: str,
) -> None:
    generator = models.open_generator()
    if starts:
        names, latents = [name for name, _ in starts], np.stack([latent for _, latent in starts])
        stem = "-".join([stem, "from", *names])
    else:
        latents = generator.sample_latents(settings.steering.strip_samples, settings.seed)
        names = [f"sample {number}" for number in range(1, len(latents) + 1)]
    folder = open_folder(artifacts) / PICTURES
    strip = draw_strip(generator, direction, latents, settings.steering.strengths, names)
    folder.write_bytes(f"{stem}.png", png_bytes(strip))
    film = draw_film(generator, direction, latents, settings.steering.strengths)
    folder.write_bytes(f"{stem}.gif", gif_bytes(film))
    folder.write_bytes(f"{stem}.mp4", mp4_bytes(film, rounds=2))
