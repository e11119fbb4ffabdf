"""Latent artifacts of a checkpoint as Ray work: samples, interpolation, numbered sheet, arithmetic."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.config import LatentsConfig
from framework.latents.arithmetic import run_arithmetic
from framework.latents.artifacts import write_arithmetic, write_interpolation, write_samples, write_sheet
from framework.latents.subjects import Assessed, assess_latents, merge_assessed
from framework.models.assessor import Assessor
from framework.orchestration.loaded import loaded_assessor, loaded_generator
from framework.orchestration.shards import SHARD_IMAGES, TaskResources, Tasks, task_device
from framework.orchestration.study import Study
from framework.orchestration.target import Target
from framework.storage import open_folder


@dataclass(frozen=True)
class _Judges:
    """Both assessors, as a task has loaded them."""

    finder: Assessor
    measurer: Assessor


def interpolate(study: Study, target: Target) -> dict[str, Any]:
    """Writes samples.png, interpolation.png and interpolation.json of a checkpoint into the run's artifacts.

    Returns:
        The document, interpolation.json; the one that is there where nothing has changed since.
    """
    about = _about(study, target)
    if not _is_made(study, "interpolation.json", about):
        arguments = (target.location, study.run.artifacts.location, study.experiment.latents, about)
        one = Tasks(TaskResources(workers=1))
        list(one.map(_draw_walks, [arguments], name=f"interpolate {target.checkpoint}"))
    return study.run.artifacts.read_json("interpolation.json")


def arithmetic(study: Study, target: Target) -> dict[str, Any]:
    """Writes the numbered sheet and the arithmetic, drawn and measured, into the run's artifacts.

    Returns:
        The document, arithmetic.json; the one that is there where nothing has changed since.
    """
    pair = study.assessors
    digests = {"finder": pair.finder.digest, "measurer": pair.measurer.digest} if pair else {}
    about = _about(study, target) | {"assessors": digests}
    if not _is_made(study, "arithmetic.json", about):
        generator = load_generator(target.location)
        metadata = {"generator": generator.digest, "checkpoint": target.checkpoint}
        write_sheet(study.run.artifacts, generator, study.experiment.latents, about=metadata)
        result = run_arithmetic(
            generator,
            study.experiment.latents,
            judges=pair,
            assess=functools.partial(_assess_on_cluster, study, target, generator.digest) if pair else None,
            target=study.run.folder.location,
        )
        write_arithmetic(study.run.artifacts, result, about=about)
    document = study.run.artifacts.read_json("arithmetic.json")
    study.run.note(notes=document["notes"])
    return document


def _about(study: Study, target: Target) -> dict[str, Any]:
    """What an artifact was made of: the same again makes the same."""
    return {
        "checkpoint": target.checkpoint,
        "generator": load_generator(target.location).digest,
        "settings": study.experiment.latents.model_dump(),
    }


def _is_made(study: Study, name: str, about: dict[str, Any]) -> bool:
    if not study.run.artifacts.exists(name):
        return False
    document = study.run.artifacts.read_json(name)
    return all(document.get(key) == value for key, value in about.items())


def _draw_walks(checkpoint: str, artifacts: str, settings: LatentsConfig, about: dict[str, Any]) -> None:
    generator = load_generator(checkpoint, task_device())
    write_samples(open_folder(artifacts), generator, settings)
    write_interpolation(open_folder(artifacts), generator, settings, about=about)


def _assess_on_cluster(study: Study, target: Target, generator: str, latents: np.ndarray) -> Assessed:
    """What `assess_latents` gives, its latents shared out in shards."""
    assert study.assessors is not None
    folder = study.assessors.folder
    folders = str(folder / "finder"), str(folder / "measurer")
    shards = [latents[start : start + SHARD_IMAGES] for start in range(0, len(latents), SHARD_IMAGES)]
    parts = Tasks(study.task_resources(), study.needs(*folders)).map(
        _assess_shard,
        [(target.location, generator, *folders, shard) for shard in shards],
        name=f"assess {target.checkpoint}",
        done=study.watch.counter(f"samples assessed, by {SHARD_IMAGES}"),
    )
    return merge_assessed(list(parts))


def _assess_shard(checkpoint: str, generator: str, finder: str, measurer: str, latents: np.ndarray) -> Assessed:
    judges = _Judges(loaded_assessor(finder), loaded_assessor(measurer))
    return assess_latents(loaded_generator(checkpoint, generator), judges, latents)
