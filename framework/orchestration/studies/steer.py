"""Moving along directions as Ray work: strips, films, and effects measured in shards beside random directions."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.config import LatentsConfig
from framework.data.store import open_store
from framework.errors import LatentsError
from framework.images import from_pixels, png_bytes
from framework.latents.attributes.groups import labels_of
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.direction import SUFFIX, Direction, load_direction, save_direction
from framework.latents.directions.edits import Edit
from framework.latents.films import gif_bytes, mp4_bytes
from framework.latents.steering.effects import Effect, random_directions
from framework.latents.steering.move import (
    Moved,
    distances_along,
    draw_film,
    draw_strip,
    edit_of,
    effect_of,
    mean_slopes,
    move_and_assess,
)
from framework.latents.steering.reach import spread_of
from framework.orchestration.context import Study
from framework.orchestration.pool.tasks import SHARD_IMAGES, Tasks
from framework.orchestration.studies.models import Place, crew_of, place_of
from framework.orchestration.studies.starts import starts_of
from framework.runs import RunFolder
from framework.storage import open_folder

Start = tuple[str, np.ndarray]
"""A projected photograph's name and its latent [z]."""

EFFECTS, PICTURES = "effects.json", "directions"
_CHANCE = "random_effects.json"
_EFFECT_SEED = 1_000_003  # effects are measured on latents of this seed: no method learns from it
_RANDOM_LATENTS = 32  # of each random direction: their mean slope scatters far less than the directions do
_FAR_LATENTS = 128  # whose distance to real images is followed
_REAL_IMAGES = 2_000
_GROUP_OF_RANDOM = 4  # random directions a task


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What every task of one job measures with.

    Attributes:
        place: Generator and assessors.
        attributes: What the measurer is asked of.
        strengths: How far each latent is moved.
    """

    place: Place
    attributes: Sequence[Attribute]
    strengths: Sequence[float]


def steer(study: Study, target: Target) -> dict[str, dict[str, Any]]:
    """Draws and measures directions: strips, films and effects.json in the run's artifacts.

    What was measured with the same settings is kept, so an interrupted job goes on.

    Returns:
        effects.json: file -> what was measured.

    Raises:
        LatentsError: A direction that is not there, is damaged, or is for latents of another size.
    """
    settings, place = study.experiment.latents, place_of(study, target)
    directions = chosen_directions(study.run, target, say=study.watch.say)
    starts = starts_of(study.run, load_generator(target.location))
    _draw_all(study, place, directions, starts)
    artifacts = study.run.artifacts
    effects = artifacts.read_json(EFFECTS) if artifacts.exists(EFFECTS) else {}
    if place.measurer is None or study.assessors is None:
        study.watch.say("Effects: not measured, for there is no assessor (the data has no labels)")
        return effects
    attributes = attributes_of(labels_of(study.assessors.measurer), None)
    measure = _Measure(place, attributes, settings.steering.strengths)
    about = {
        "generator": place.generator,
        "assessor": study.assessors.measurer.digest,
        "data": study.images.digest,
        "strengths": list(settings.steering.strengths),
        "random_directions": settings.steering.random_directions,
    }
    crew = crew_of(study, place, str(study.images.path))
    for file, direction in directions.items():
        asked = about | {"direction_digest": direction.digest, "latents": settings.steering.effect_samples}
        if all(effects.get(file, {}).get(key) == value for key, value in asked.items()):
            continue
        chance = _chance(study, crew, measure, direction, about)
        effect = _effect(study, crew, measure, direction, chance, file=file)
        named = {"direction": direction.name, "method": direction.method, "target": direction.target}
        edit = edit_of(direction)
        named |= {} if edit is None else {"edit_unit": edit.unit}
        effects[file] = asked | named | effect.document()
        artifacts.write_json(EFFECTS, effects)
        save_direction(dataclasses.replace(direction, effect=effects[file]), study.run.directions)
    return {file: effects[file] for file in directions}


def chosen_files(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """The files that `latents.directions` names, by file, by path, or by what they are for; none named: all.

    Raises:
        LatentsError: There is none, or none of that name.

    >>> chosen_files(["directions/smiling-ganalyze.safetensors", "smiling"],
    ...              ["hat-difference.safetensors", "smiling-ganalyze.safetensors"])
    ['smiling-ganalyze.safetensors']
    """
    if not there:
        raise LatentsError("latents.directions: there are none yet; python -m jobs.discover finds some")
    if not names:
        return list(there)
    found: list[str] = []
    for name in names:
        stem = name.rpartition("/")[2].removesuffix(SUFFIX)
        fitting = [file for file in there if stem in (file.removesuffix(SUFFIX), file.rpartition("-")[0])]
        if not fitting:
            known = ", ".join(file.removesuffix(SUFFIX) for file in there)
            raise LatentsError(f"latents.directions: no direction {name}; there are {known}")
        found += fitting
    return list(dict.fromkeys(found))


def chosen_directions(
    run: RunFolder, target: Target, *, say: Callable[[str], None] | None = None
) -> dict[str, Direction]:
    """File -> direction of those that `latents.directions` names, each checked against the generator.

    Raises:
        LatentsError: See `steer`.
    """
    folder, generator = run.directions, load_generator(target.location)
    there = [name for name in folder.list() if name.endswith(SUFFIX)] if folder.exists() else []
    found = {}
    for file in chosen_files(run.experiment.latents.steering.directions, there):
        direction = load_direction(folder, file)
        told = direction.check(latent_size=generator.latent_size, generator=generator.digest, place=file)
        if told is not None and say is not None:
            say(f"Warning: {told}")
        found[file] = direction
    return found


def check_steering(run: RunFolder, target: Target) -> None:
    """What can be refused before anything is prepared.

    Raises:
        LatentsError: See `steer`; or `latents.start` names what is not there.
    """
    chosen_directions(run, target)
    starts_of(run, load_generator(target.location))


def _draw_all(study: Study, place: Place, directions: Mapping[str, Direction], starts: Sequence[Start]) -> None:
    """Pictures of each, made anew: they are quick, and whoever asks again may have asked for others.

    Those from photographs lie beside those from samples, as NAME-from-PHOTO.
    """
    settings = study.experiment.latents
    work = [(place, direction, settings, starts, study.run.artifacts.location) for direction in directions.values()]
    done = study.watch.counter("directions drawn")
    for _ in crew_of(study, place).map(_draw, work, name="steer: pictures", done=done):
        pass


def _chance(
    study: Study, crew: Tasks, measure: _Measure, direction: Direction, about: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Attribute -> [k] mean slopes of random directions as long as this one; kept for others as long."""
    settings, artifacts = study.experiment.latents, study.run.artifacts
    step = float(f"{direction.natural_step:.3g}")
    key = f"{step:g}" + (" on the sphere" if direction.keeps_length else "")
    known = artifacts.read_json(_CHANCE) if artifacts.exists(_CHANCE) else {}
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
        done = study.watch.counter(f"random directions of length {key}, by {_GROUP_OF_RANDOM}")
        parts = [row for rows in crew.map(_random_slopes, work, name="steer: random", done=done) for row in rows]
        known["slopes"][key] = {name: [row[name] for row in parts] for name in parts[0]}
        artifacts.write_json(_CHANCE, known)
    return {name: np.asarray(values) for name, values in known["slopes"][key].items()}


def _effect(
    study: Study, crew: Tasks, measure: _Measure, direction: Direction, chance: Mapping[str, np.ndarray], *, file: str
) -> Effect:
    count = study.experiment.latents.steering.effect_samples
    work = [(measure, direction, start, min(start + SHARD_IMAGES, count)) for start in range(0, count, SHARD_IMAGES)]
    done = study.watch.counter(f"{file.removesuffix(SUFFIX)}, by {SHARD_IMAGES} latents")
    parts = list(crew.map(_move, work, name=f"steer: {direction.name}", done=done))
    images = str(study.images.path)
    (far,) = crew.map(_far, [(measure, direction, images)], name=f"steer: {direction.name}, far")
    edit = edit_of(direction)
    spread = None
    if edit is not None:
        (spread,) = crew.map(_spread, [(edit, images)], name=f"steer: {direction.name}, real images")
    return effect_of(Moved.merged(parts), measure.strengths, chance, spread=spread, far=far)


def _random_slopes(measure: _Measure, directions: Sequence[Direction]) -> list[dict[str, float]]:
    generator, assessor = measure.place.open_generator(), measure.place.open_measurer()
    latents = generator.sample_latents(_RANDOM_LATENTS, _EFFECT_SEED)
    return mean_slopes(generator, assessor, measure.attributes, directions, latents, measure.strengths)


def _move(measure: _Measure, direction: Direction, start: int, stop: int) -> Moved:
    generator, assessor = measure.place.open_generator(), measure.place.open_measurer()
    latents = generator.sample_latents(stop - start, _EFFECT_SEED, start=start)
    return move_and_assess(generator, assessor, measure.attributes, direction, latents, measure.strengths)


def _far(measure: _Measure, direction: Direction, images: str) -> np.ndarray:
    generator, assessor = measure.place.open_generator(), measure.place.open_measurer()
    real = torch.from_numpy(_real_features(images, measure.place))

    def distances(shown: np.ndarray) -> np.ndarray:
        """Exact differences: the quicker way by products loses what is near."""
        features = torch.from_numpy(assessor.features(shown))
        return torch.cdist(features, real, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1).numpy()

    latents = generator.sample_latents(_FAR_LATENTS, _EFFECT_SEED)
    return distances_along(generator, distances, direction, latents, measure.strengths)


@functools.lru_cache(maxsize=1)
def _real_features(images: str, place: Place) -> np.ndarray:
    """Features [m,d] of the first training images, once a process."""
    return place.open_measurer().features(_real_images(images))


def _spread(edit: Edit, images: str) -> float:
    return spread_of(from_pixels(_real_images(images)), edit)


def _real_images(images: str) -> np.ndarray:
    store = open_store(Path(images))
    return np.array(store.images[store.training_indices[:_REAL_IMAGES]])


def _draw(place: Place, direction: Direction, settings: LatentsConfig, starts: Sequence[Start], artifacts: str) -> None:
    generator = place.open_generator()
    if starts:
        names, latents = [name for name, _ in starts], np.stack([latent for _, latent in starts])
        stem = "-".join([direction.name, "from", *names])
    else:
        latents, stem = generator.sample_latents(settings.steering.strip_samples, settings.seed), direction.name
        names = [f"sample {number}" for number in range(1, len(latents) + 1)]
    folder = open_folder(artifacts) / PICTURES
    strip = draw_strip(generator, direction, latents, settings.steering.strengths, names)
    folder.write_bytes(f"{stem}.png", png_bytes(strip))
    film = draw_film(generator, direction, latents, settings.steering.strengths)
    folder.write_bytes(f"{stem}.gif", gif_bytes(film))
    folder.write_bytes(f"{stem}.mp4", mp4_bytes(film, rounds=2))
