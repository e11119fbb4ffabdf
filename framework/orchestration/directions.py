"""Directions of a checkpoint as Ray work: found, steered along, measured."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.config import LatentsConfig
from framework.errors import LatentsError
from framework.images import png_bytes
from framework.latents.direction import SUFFIX, Direction, load_direction, save_direction
from framework.latents.discover import Attribute, Tools, attributes_of, discover
from framework.latents.effects import Effect, latent_slopes, random_directions
from framework.latents.films import gif_bytes, mp4_bytes
from framework.latents.groups import labels_of
from framework.latents.steer import Moved, draw_film, draw_strip, effect_of, move_and_assess
from framework.latents.subjects import Scores
from framework.orchestration.loaded import loaded_assessor, loaded_generator
from framework.orchestration.shards import SHARD_IMAGES, Tasks
from framework.orchestration.study import Study
from framework.orchestration.target import Target
from framework.storage import open_folder

EFFECTS = "effects.json"
_BY_ATTRIBUTE = ("ganalyze",)
_BY_EDIT = ("steerable",)
_BY_SIDES = ("difference", "interfacegan")
_EFFECT_SEED = 1_000_003  # effects are measured on latents of this seed: no method learns from it
_RANDOM_LATENTS = 128  # of each random direction: their mean slope scatters far less than the directions do


@dataclasses.dataclass(frozen=True)
class Place:
    """What a task opens.

    Attributes:
        checkpoint: Location of the generator.
        generator: Its digest.
        finder: The finder's folder; None without labels.
        measurer: The measurer's.
    """

    checkpoint: str
    generator: str
    finder: str | None
    measurer: str | None


def discover_directions(study: Study, target: Target) -> list[str]:
    """Finds what `latents.method` finds and writes each into the run's directions/.

    Returns:
        The files' names.

    Raises:
        LatentsError: The method wants what is not here.
    """
    settings, place = study.experiment.latents, _place(study, target)
    labels = labels_of(study.assessors.finder if study.assessors else None)
    scores = None
    if settings.method in _BY_SIDES and place.finder is not None:
        scores = _finder_scores(study, place, settings)
    made_of = {"data": study.images.digest}
    if study.assessors is not None:
        made_of["assessor"] = study.assessors.finder.digest
    parts = _parts(settings, labels)
    work = [(place, part, labels, scores, made_of) for part in parts]
    crew = Tasks(study.task_resources(), study.needs(*_folders(place)))
    found = crew.map(_find, work, name=f"discover {settings.method}", done=study.watch.counter("directions, by part"))
    files = []
    for direction in (direction for several in found for direction in several):
        named = dataclasses.replace(direction, name=file_stem(direction))
        save_direction(named, study.run.directions)
        files.append(f"{named.name}{SUFFIX}")
    return files


def file_stem(direction: Direction) -> str:
    """What a direction's file is called: several methods may find the same attribute.

    >>> import numpy as np
    >>> file_stem(Direction("smiling", "ganalyze", np.ones(1), 1.0, ""))
    'smiling-ganalyze'
    >>> file_stem(Direction("sefa_1", "sefa", np.ones(1), 1.0, ""))
    'sefa_1'
    """
    own = direction.name.startswith(direction.method)
    return direction.name if own else f"{direction.name}-{direction.method}"


def chosen_files(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """The files that `latents.directions` names, by name or path; none named: all.

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
        fitting = [file for file in there if stem in (file.removesuffix(SUFFIX), file.partition("-")[0])]
        if not fitting:
            known = ", ".join(file.removesuffix(SUFFIX) for file in there)
            raise LatentsError(f"latents.directions: no direction {name}; there are {known}")
        found += fitting
    return list(dict.fromkeys(found))


def steer(study: Study, target: Target) -> dict[str, dict[str, Any]]:
    """Draws and measures directions: strips, films and effects.json in the run's artifacts.

    Returns:
        effects.json: file -> what was measured.

    Raises:
        LatentsError: A direction that is not there, is damaged, or is for latents of another size.
    """
    settings, place, folder = study.experiment.latents, _place(study, target), study.run.directions
    generator = load_generator(target.location)
    there = [name for name in folder.list() if name.endswith(SUFFIX)] if folder.exists() else []
    files = chosen_files(settings.directions, there)
    directions = {file: load_direction(folder, file) for file in files}
    for file, direction in directions.items():
        told = direction.check(latent_size=generator.latent_size, generator=generator.digest, place=file)
        if told is not None:
            study.watch.say(told)
    artifacts = study.run.artifacts
    effects = artifacts.read_json(EFFECTS) if artifacts.exists(EFFECTS) else {}
    crew = Tasks(study.task_resources(), study.needs(*_folders(place)))
    drawing = [(place, direction, settings, artifacts.location) for direction in directions.values()]
    list(crew.map(_draw, drawing, name="steer: pictures", done=study.watch.counter("directions drawn")))
    if place.measurer is None or study.assessors is None:
        study.watch.say("Effects: not measured, for there is no assessor (the data has no labels)")
        return effects
    attributes = attributes_of(labels_of(study.assessors.measurer), None)
    about = {"generator": generator.digest, "assessor": study.assessors.measurer.digest}
    chance: dict[float, Mapping[str, np.ndarray]] = {}
    for file, direction in directions.items():
        step = round(direction.natural_step, 3)
        if step not in chance:
            chance[step] = _random_slopes(study, crew, place, attributes, settings, step=step)
        effect = _effect(study, crew, place, attributes, direction, settings, chance[step], name=file)
        effects[file] = effect.document() | about | {
            "direction": direction.name, "method": direction.method, "target": direction.name.partition("-")[0],
        }  # fmt: skip
        artifacts.write_json(EFFECTS, effects)
        save_direction(dataclasses.replace(direction, effect=effects[file]), folder)
    return effects


def _place(study: Study, target: Target) -> Place:
    digest = load_generator(target.location).digest
    if study.assessors is None:
        return Place(target.location, digest, None, None)
    folder = study.assessors.folder
    return Place(target.location, digest, str(folder / "finder"), str(folder / "measurer"))


def _folders(place: Place) -> list[str]:
    return [folder for folder in (place.finder, place.measurer) if folder is not None]


def _parts(settings: LatentsConfig, labels: Mapping[str, Sequence[str] | None]) -> list[LatentsConfig]:
    """What can be found apart from the rest: an attribute each, an edit each."""
    if settings.method in _BY_ATTRIBUTE:
        wanted = attributes_of(labels, settings.attributes)
        return [settings.model_copy(update={"attributes": [attribute.name]}) for attribute in wanted] or [settings]
    if settings.method in _BY_EDIT:
        return [settings.model_copy(update={"edits": [edit]}) for edit in settings.edits]
    return [settings]


def _finder_scores(study: Study, place: Place, settings: LatentsConfig) -> Scores:
    shards = [
        (place, settings.seed, start, min(start + SHARD_IMAGES, settings.samples))
        for start in range(0, settings.samples, SHARD_IMAGES)
    ]
    crew = Tasks(study.task_resources(), study.needs(*_folders(place)))
    done = study.watch.counter(f"samples assessed, by {SHARD_IMAGES}")
    parts = list(crew.map(_predict, shards, name="discover: samples", done=done))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _random_slopes(
    study: Study, crew: Tasks, place: Place, attributes: Sequence[Attribute], settings: LatentsConfig, *, step: float
) -> dict[str, np.ndarray]:
    """Attribute -> [k] mean slopes of random directions with this natural step."""
    size = load_generator(place.checkpoint).latent_size
    vectors = random_directions(size, count=settings.random_directions, seed=settings.seed)
    strengths = [min(settings.strengths), max(settings.strengths)]
    work = [
        (place, attributes, Direction("random", "random", vector, step, place.generator), strengths, 0, _RANDOM_LATENTS)
        for vector in vectors
    ]
    done = study.watch.counter(f"random directions of length {step:g}")
    moved = crew.map(_move, work, name="steer: random directions", done=done)
    rows = [{name: float(latent_slopes(v, strengths).mean()) for name, v in one.values.items()} for one in moved]
    return {attribute.name: np.array([row[attribute.name] for row in rows]) for attribute in attributes}


def _effect(
    study: Study,
    crew: Tasks,
    place: Place,
    attributes: Sequence[Attribute],
    direction: Direction,
    settings: LatentsConfig,
    chance: Mapping[str, np.ndarray],
    *,
    name: str,
) -> Effect:
    count, strengths = settings.effect_samples, settings.strengths
    work = [
        (place, attributes, direction, strengths, start, min(start + SHARD_IMAGES, count))
        for start in range(0, count, SHARD_IMAGES)
    ]
    parts = crew.map(_move, work, name=f"steer: {name}", done=study.watch.counter(f"{name}, by {SHARD_IMAGES} latents"))
    return effect_of(Moved.merged(list(parts)), strengths, chance)


def _predict(place: Place, seed: int, start: int, stop: int) -> Scores:
    assert place.finder is not None
    generator = loaded_generator(place.checkpoint, place.generator)
    return loaded_assessor(place.finder).predict(
        generator.images(generator.sample_latents(stop - start, seed, start=start))
    )


def _move(
    place: Place,
    attributes: Sequence[Attribute],
    direction: Direction,
    strengths: Sequence[float],
    start: int,
    stop: int,
) -> Moved:
    assert place.measurer is not None
    generator = loaded_generator(place.checkpoint, place.generator)
    latents = generator.sample_latents(stop - start, _EFFECT_SEED, start=start)
    return move_and_assess(generator, loaded_assessor(place.measurer), attributes, direction, latents, strengths)


def _draw(place: Place, direction: Direction, settings: LatentsConfig, artifacts: str) -> None:
    generator = loaded_generator(place.checkpoint, place.generator)
    latents = generator.sample_latents(settings.strip_samples, settings.seed)
    folder = open_folder(artifacts)
    folder.write_bytes(
        f"{direction.name}.png", png_bytes(draw_strip(generator, direction, latents, settings.strengths))
    )
    film = draw_film(generator, direction, latents, settings.strengths)
    folder.write_bytes(f"{direction.name}.gif", gif_bytes(film))
    folder.write_bytes(f"{direction.name}.mp4", mp4_bytes(film, rounds=2))


def _find(
    place: Place,
    settings: LatentsConfig,
    labels: Mapping[str, Sequence[str] | None],
    scores: Scores | None,
    made_of: Mapping[str, Any],
) -> list[Direction]:
    generator = loaded_generator(place.checkpoint, place.generator)
    network = generator.network
    tools = Tools(
        latent_size=generator.latent_size,
        digest=generator.digest,
        sample=lambda n, start: generator.sample_latents(n, settings.seed, start=start),
        assess=None if scores is None else lambda _: scores,
        generate=network,
        network=network,
        score=None if place.finder is None else functools.partial(_score, place.finder),
        made_of=made_of,
    )
    return discover(tools, settings, labels)


def _score(folder: str, attribute: Attribute) -> Any:
    """The finder's logit of an attribute, for images that gradients go through."""
    assessor = loaded_assessor(folder)
    sizes = [spec.outputs for spec in assessor.attributes]
    number = [spec.name for spec in assessor.attributes].index(attribute.label)

    def score(images: torch.Tensor) -> torch.Tensor:
        columns = torch.split(assessor.network(images)[0], sizes, dim=1)[number]
        if attribute.column is None:
            return columns[:, 0]
        log_p = columns.log_softmax(dim=1)[:, attribute.column]
        return log_p - torch.log1p(-log_p.exp().clamp(max=1 - 1e-6))

    return score
