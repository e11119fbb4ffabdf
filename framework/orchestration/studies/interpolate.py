"""Draws samples of a checkpoint and walks between them, and measures the walks, with a pool."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.latents.artifacts import (
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
)
from framework.latents.walks.smoothness import PathMeter
from framework.models.assessor.assessor import Assessor
from framework.orchestration.context import RunContext
from framework.orchestration.studies.models import StudyModels, made_of, models_for, pool_for
from framework.orchestration.studies.starts import digests_of, starts_of
from framework.runs.documents import read_object
from framework.storage import open_folder


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
    about = made_of(context, target, generator) | {
        "assessor": context.assessors.measurer.digest if context.assessors else None,
        "starts": digests_of(starts),
    }
    if context.made("interpolation.json", about) is None:
        pool = pool_for(context, models)
        arguments = (models, context.run.artifacts.location, settings)
        work = [(write, *arguments) for write in (write_loop, write_corners, write_samples)]
        context.run.artifacts.delete("interpolation.json")
        list(pool.map(_draw, work, name=f"draw {target.checkpoint}"))
        # The document comes last: if it exists, the other files do too.
        list(pool.map(_draw_walks, [(*arguments, starts, about)], name=f"interpolate {target.checkpoint}"))
    return read_object(context.run.artifacts, "interpolation.json")


def _draw(write: Callable[..., list[str]], models: StudyModels, artifacts: str, settings: LatentsConfig) -> None:
    write(open_folder(artifacts), models.open_generator(), settings)


def _draw_walks(
    models: StudyModels,
    artifacts: str,
    settings: LatentsConfig,
    starts: Sequence[tuple[str, np.ndarray]],
    about: dict[str, Any],
) -> None:
    generator = models.open_generator()
    features = functools.partial(_features, models.open_measurer()) if models.measurer else None
    # The user's own object gives only rounded images, and the rounding would dominate the measured length.
    meter = None if generator.network is None else PathMeter(generator.network, features, generator.device)
    write_interpolation(open_folder(artifacts), generator, settings, starts=starts, meter=meter, about=about)


def _features(assessor: Assessor, images: torch.Tensor) -> torch.Tensor:
    """The assessor's features [n,d] of images [n,c,h,w] in [-1,1]."""
    return assessor.network(images)[1]
