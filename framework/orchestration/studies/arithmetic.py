"""Latent arithmetic of a checkpoint: the numbered sheet and the equation, drawn and measured by a pool."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.latents.arithmetic.plan import plan_of
from framework.latents.arithmetic.run import run_arithmetic
from framework.latents.artifacts import write_arithmetic, write_sheet
from framework.latents.attributes.groups import labels_of
from framework.latents.protocols import Assessed, assess_latents, merge_assessed
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import parts_of
from framework.orchestration.progress import Progress
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.models import StudyModels, made_of, models_for, pool_for
from framework.orchestration.studies.starts import digests_of, starts_of
from framework.runs.documents import Arithmetic, read_document


def arithmetic(context: RunContext, target: CheckpointRef) -> dict[str, Any]:
    """Writes the numbered sheet and the drawn and measured arithmetic into the run's artifacts.

    Returns:
        The document arithmetic.json; the existing one if nothing has changed since.
    """
    pair = context.assessors
    generator = load_generator(target.location)
    starts = starts_of(context.run, generator)
    about = about_arithmetic(context, target, generator, starts)
    if context.made("arithmetic.json", about) is None:
        metadata = {"generator": generator.digest, "checkpoint": target.checkpoint}
        write_sheet(context.run.artifacts, generator, context.experiment.latents, about=metadata)
        result = run_arithmetic(
            generator,
            context.experiment.latents,
            assessors=pair,
            assess=functools.partial(_assess_on_cluster, context, target) if pair else None,
            target=target.typed,
            photographs=dict(starts),
        )
        write_arithmetic(context.run.artifacts, result, about=about)
    document = read_document(context.run.artifacts, "arithmetic.json", Arithmetic)
    context.run.note(notes=document["notes"])
    say_notes(document["notes"], context.progress)
    return document


def say_notes(notes: Sequence[Mapping[str, str]], progress: Progress) -> None:
    """Says in a line each what was left out, and why."""
    for note in notes:
        progress.say(f"Arithmetic: {note['text']}")


def arithmetic_ahead(ahead: Ahead) -> list[Step]:
    """The steps of `arithmetic`; its expression is checked if the assessors are there."""
    starts, context = starts_of(ahead.run, ahead.generator), ahead.context
    exists = False
    if context is not None:
        labels = labels_of(context.assessors.finder if context.assessors else None)
        plan_of(ahead.settings, labels, target=ahead.target.typed, fallback=True, photographs=dict(starts))
        about = about_arithmetic(context, ahead.target, ahead.generator, starts)
        exists = context.made("arithmetic.json", about) is not None
    return arithmetic_of(ahead.settings, assessed=ahead.assessed, exists=exists)


def arithmetic_of(settings: LatentsConfig, *, assessed: bool, exists: bool = False) -> list[Step]:
    """The steps of `arithmetic` by its settings."""
    sheet = settings.arithmetic.sheet_samples
    steps = [Step("numbered samples", generated=sheet, drawn=sheet, exists=exists)]
    if assessed:
        tried = settings.arithmetic.candidates + settings.arithmetic.repeats
        steps.append(Step("expression, drawn and measured", generated=tried, judged=2 * tried, exists=exists))
    return steps


def about_arithmetic(
    context: RunContext, target: CheckpointRef, generator: LoadedGenerator, starts: Sequence[tuple[str, np.ndarray]]
) -> dict[str, Any]:
    """Everything that the arithmetic depends on; stored with it."""
    pair = context.assessors
    digests = {"finder": pair.finder.digest, "measurer": pair.measurer.digest} if pair else {}
    return made_of(context, target, generator) | {"assessors": digests, "starts": digests_of(starts)}


def _assess_on_cluster(context: RunContext, target: CheckpointRef, latents: np.ndarray) -> Assessed:
    """The result of `assess_latents`, computed in shards by a pool."""
    models, done = models_for(context, target), context.progress.counter(f"samples assessed, by {SHARD_IMAGES}")
    work = [(models, part) for part in parts_of(latents)]
    pool = pool_for(context, models)
    return merge_assessed(list(pool.map(_assess_shard, work, name=f"assess {target.checkpoint}", done=done)))


def _assess_shard(models: StudyModels, latents: np.ndarray) -> Assessed:
    return assess_latents(models.open_generator(), models.open_judges(), latents)
