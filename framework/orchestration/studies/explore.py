"""Latent artifacts of a checkpoint as Ray work: samples, walks, numbered sheet, arithmetic."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import Target
from framework.config import LatentsConfig
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.artifacts import (
    write_arithmetic,
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
    write_sheet,
)
from framework.latents.protocols import Assessed, assess_latents, merge_assessed
from framework.latents.walks.smoothness import Ruler
from framework.models.assessor.assessor import Assessor
from framework.orchestration.context import Study
from framework.orchestration.pool.tasks import SHARD_IMAGES, parts_of
from framework.orchestration.studies.models import Place, crew_of, place_of
from framework.orchestration.studies.starts import starts_of
from framework.storage import open_folder


def interpolate(study: Study, target: Target) -> dict[str, Any]:
    """Writes samples, corners, loop and interpolation of a checkpoint into the run's artifacts.

    Returns:
        The document, interpolation.json; the one that is there where nothing has changed since.

    Raises:
        LatentsError: `latents.start` names what cannot be walked between.
    """
    settings, generator = study.experiment.latents, load_generator(target.location)
    starts = starts_of(study.run, generator)
    place = place_of(study, target)
    about = _about(study, target, generator) | {
        "assessor": study.assessors.measurer.digest if study.assessors else None,
        "starts": _digests(starts),
    }
    if study.made("interpolation.json", about) is None:
        crew = crew_of(study, place)
        wanted = (place, study.run.artifacts.location, settings)
        pictures = [(write, *wanted) for write in (write_loop, write_corners, write_samples)]
        study.run.artifacts.delete("interpolation.json")
        list(crew.map(_draw, pictures, name=f"draw {target.checkpoint}"))
        # The document comes last, for it says that all are there.
        list(crew.map(_draw_walks, [(*wanted, starts, about)], name=f"interpolate {target.checkpoint}"))
    return study.run.artifacts.read_json("interpolation.json")


def arithmetic(study: Study, target: Target) -> dict[str, Any]:
    """Writes the numbered sheet and the arithmetic, drawn and measured, into the run's artifacts.

    Returns:
        The document, arithmetic.json; the one that is there where nothing has changed since.
    """
    pair = study.assessors
    digests = {"finder": pair.finder.digest, "measurer": pair.measurer.digest} if pair else {}
    generator = load_generator(target.location)
    starts = starts_of(study.run, generator)
    about = _about(study, target, generator) | {"assessors": digests, "starts": _digests(starts)}
    if study.made("arithmetic.json", about) is None:
        metadata = {"generator": generator.digest, "checkpoint": target.checkpoint}
        write_sheet(study.run.artifacts, generator, study.experiment.latents, about=metadata)
        result = run_arithmetic(
            generator,
            study.experiment.latents,
            judges=pair,
            assess=functools.partial(_assess_on_cluster, study, target) if pair else None,
            target=target.typed,
            photographs=dict(starts),
        )
        write_arithmetic(study.run.artifacts, result, about=about)
    document = study.run.artifacts.read_json("arithmetic.json")
    study.run.note(notes=document["notes"])
    return document


def _about(study: Study, target: Target, generator: LoadedGenerator) -> dict[str, Any]:
    """What an artifact was made of: the same again makes the same."""
    return {
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
        "settings": study.experiment.latents.model_dump(),
    }


def _digests(starts: Sequence[tuple[str, np.ndarray]]) -> dict[str, str]:
    return {name: hashlib.sha256(latent.tobytes()).hexdigest() for name, latent in starts}


def _draw(write: Callable[..., list[str]], place: Place, artifacts: str, settings: LatentsConfig) -> None:
    write(open_folder(artifacts), place.open_generator(), settings)


def _draw_walks(
    place: Place,
    artifacts: str,
    settings: LatentsConfig,
    starts: Sequence[tuple[str, np.ndarray]],
    about: dict[str, Any],
) -> None:
    walked = place.open_generator()
    features = functools.partial(_features, place.open_measurer()) if place.measurer else None
    # An object of the user's gives rounded images alone, and rounding would be most of such a length.
    ruler = None if walked.network is None else Ruler(walked.network, features, walked.device)
    write_interpolation(open_folder(artifacts), walked, settings, starts=starts, ruler=ruler, about=about)


def _features(assessor: Assessor, images: torch.Tensor) -> torch.Tensor:
    """[n,c,h,w] in [-1,1] -> [n,d]."""
    return assessor.network(images)[1]


def _assess_on_cluster(study: Study, target: Target, latents: np.ndarray) -> Assessed:
    """What `assess_latents` gives, its latents shared out in shards."""
    place, done = place_of(study, target), study.watch.counter(f"samples assessed, by {SHARD_IMAGES}")
    work = [(place, part) for part in parts_of(latents)]
    crew = crew_of(study, place)
    return merge_assessed(list(crew.map(_assess_shard, work, name=f"assess {target.checkpoint}", done=done)))


def _assess_shard(place: Place, latents: np.ndarray) -> Assessed:
    return assess_latents(place.open_generator(), place.open_judges(), latents)
