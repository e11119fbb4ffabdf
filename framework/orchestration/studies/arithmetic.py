"""Latent arithmetic of a checkpoint: the numbered sheet and the equation, drawn and measured by a pool."""

import functools
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.artifacts import write_arithmetic, write_sheet
from framework.latents.protocols import Assessed, assess_latents, merge_assessed
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.orchestration.context import Study
from framework.orchestration.pool.tasks import parts_of
from framework.orchestration.studies.models import Place, crew_of, made_of, place_of
from framework.orchestration.studies.starts import digests_of, starts_of


def arithmetic(study: Study, target: Target) -> dict[str, Any]:
    """Writes the numbered sheet and the drawn and measured arithmetic into the run's artifacts.

    Returns:
        The document arithmetic.json; the existing one if nothing has changed since.
    """
    pair = study.assessors
    digests = {"finder": pair.finder.digest, "measurer": pair.measurer.digest} if pair else {}
    generator = load_generator(target.location)
    starts = starts_of(study.run, generator)
    about = made_of(study, target, generator) | {"assessors": digests, "starts": digests_of(starts)}
    if study.made("arithmetic.json", about) is None:
        metadata = {"generator": generator.digest, "checkpoint": target.checkpoint}
        write_sheet(study.run.artifacts, generator, study.experiment.latents, about=metadata)
        result = run_arithmetic(
            generator,
            study.experiment.latents,
            assessors=pair,
            assess=functools.partial(_assess_on_cluster, study, target) if pair else None,
            target=target.typed,
            photographs=dict(starts),
        )
        write_arithmetic(study.run.artifacts, result, about=about)
    document = study.run.artifacts.read_json("arithmetic.json")
    study.run.note(notes=document["notes"])
    return document


def _assess_on_cluster(study: Study, target: Target, latents: np.ndarray) -> Assessed:
    """The result of `assess_latents`, computed in shards by a pool."""
    place, done = place_of(study, target), study.watch.counter(f"samples assessed, by {SHARD_IMAGES}")
    work = [(place, part) for part in parts_of(latents)]
    crew = crew_of(study, place)
    return merge_assessed(list(crew.map(_assess_shard, work, name=f"assess {target.checkpoint}", done=done)))


def _assess_shard(place: Place, latents: np.ndarray) -> Assessed:
    return assess_latents(place.open_generator(), place.open_judges(), latents)
