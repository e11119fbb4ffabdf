"""Draws samples of a checkpoint and walks between them, and measures the walks, with a pool."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.latents.artifacts import (
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
)
from framework.latents.walks.interpolate import LEG_FRAMES
from framework.latents.walks.smoothness import PATH_STEPS, PathMeter
from framework.orchestration.context import RunContext
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.features import StudyFeatures, walk_features, walk_unit
from framework.orchestration.studies.models import StudyModels, made_of, models_for, pool_for
from framework.orchestration.studies.starts import digests_of, starts_of
from framework.runs.documents import read_object
from framework.storage import open_folder

_GRID_SAMPLES = 9


def interpolate(context: RunContext, target: CheckpointRef) -> dict[str, Any]:
    """Writes samples, corners, loop and interpolation of a checkpoint into the run's artifacts.

    Returns:
        The document interpolation.json; the existing one if nothing has changed since.

    Raises:
        LatentsError: `latents.start` names something that cannot be used.
    """
    settings, generator = context.experiment.latents, load_generator(target.location)
    starts = starts_of(context.run, generator)
    models = models_for(context, target)
    about = about_walks(context, target, generator, starts)
    if context.made("interpolation.json", about) is None:
        features = walk_features(assessed=models.measurer is not None)
        pool = pool_for(context, models, *features.files)
        arguments = (models, context.run.artifacts.location, settings)
        work = [(write, *arguments) for write in (write_loop, write_corners, write_samples)]
        context.run.artifacts.delete("interpolation.json")
        list(pool.map(_draw, work, name=f"draw {target.checkpoint}"))
        # The document comes last: if it exists, the other files do too.
        list(pool.map(_draw_walks, [(*arguments, starts, about, features)], name=f"interpolate {target.checkpoint}"))
    return read_object(context.run.artifacts, "interpolation.json")


def interpolation_ahead(ahead: Ahead) -> list[Step]:
    """The steps of `interpolate`."""
    starts, context = starts_of(ahead.run, ahead.generator), ahead.context
    exists = context is not None and (
        context.made("interpolation.json", about_walks(context, ahead.target, ahead.generator, starts)) is not None
    )
    measured = ahead.generator.network is not None
    return walks_of(ahead.settings, measured=measured, exists=exists)


def walks_of(settings: LatentsConfig, *, measured: bool, exists: bool = False) -> list[Step]:
    """The steps of `interpolate` by its settings.

    Args:
        measured: Whether the lengths of walks are measured, which needs a network.
    """
    walks = settings.walks
    drawn = _GRID_SAMPLES + walks.corner_steps**2 + walks.loop_samples * LEG_FRAMES + 2 * walks.steps
    points = 2 * (1 + walks.pairs) * PATH_STEPS + 2 * (1 + 2 * walks.pairs) if measured else 0
    return [
        Step("samples, corners, film and walks", generated=drawn, drawn=drawn, exists=exists),
        Step("lengths of the walks", generated=points, judged=points, exists=exists),
    ]


def about_walks(
    context: RunContext, target: CheckpointRef, generator: LoadedGenerator, starts: Sequence[tuple[str, np.ndarray]]
) -> dict[str, Any]:
    """Everything that the walks depend on; stored with them."""
    return made_of(context, target, generator) | {
        "assessor": context.assessors.measurer.digest if context.assessors else None,
        "starts": digests_of(starts),
    }


def _draw(write: Callable[..., list[str]], models: StudyModels, artifacts: str, settings: LatentsConfig) -> None:
    write(open_folder(artifacts), models.open_generator(), settings)


def _draw_walks(
    models: StudyModels,
    artifacts: str,
    settings: LatentsConfig,
    starts: Sequence[tuple[str, np.ndarray]],
    about: dict[str, Any],
    features: StudyFeatures,
) -> None:
    generator, meter = models.open_generator(), None
    # The user's own object gives only rounded images, and the rounding would dominate the measured length.
    if generator.network is not None:
        network = features.build(models.open_measurer, generator.device)
        meter = PathMeter(generator.network, network, generator.device, unit=walk_unit(features))
    write_interpolation(open_folder(artifacts), generator, settings, starts=starts, meter=meter, about=about)
