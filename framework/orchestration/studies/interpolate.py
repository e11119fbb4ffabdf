"""Draws samples of a checkpoint and walks between them, and measures the walks, with a pool."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.config import LatentsConfig
from framework.latents.artifacts import (
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
)
from framework.latents.walks.smoothness import PathMeter
from framework.models.assessor.assessor import Assessor
from framework.orchestration.context import Study
from framework.orchestration.studies.models import Place, crew_of, made_of, place_of
from framework.orchestration.studies.starts import digests_of, starts_of
from framework.storage import open_folder


def interpolate(study: Study, target: Target) -> dict[str, Any]:
    """Writes samples, corners, loop and interpolation of a checkpoint into the run's artifacts.

    Returns:
        The document interpolation.json; the existing one if nothing has changed since.

    Raises:
        LatentsError: `latents.start` names something that cannot be used.
    """
    settings, generator = study.experiment.latents, load_generator(target.location)
    starts = starts_of(study.run, generator)
    place = place_of(study, target)
    about = made_of(study, target, generator) | {
        "assessor": study.assessors.measurer.digest if study.assessors else None,
        "starts": digests_of(starts),
    }
    if study.made("interpolation.json", about) is None:
        crew = crew_of(study, place)
        arguments = (place, study.run.artifacts.location, settings)
        work = [(write, *arguments) for write in (write_loop, write_corners, write_samples)]
        study.run.artifacts.delete("interpolation.json")
        list(crew.map(_draw, work, name=f"draw {target.checkpoint}"))
        # The document comes last: if it exists, the other files do too.
        list(crew.map(_draw_walks, [(*arguments, starts, about)], name=f"interpolate {target.checkpoint}"))
    return study.run.artifacts.read_json("interpolation.json")


def _draw(write: Callable[..., list[str]], place: Place, artifacts: str, settings: LatentsConfig) -> None:
    write(open_folder(artifacts), place.open_generator(), settings)


def _draw_walks(
    place: Place,
    artifacts: str,
    settings: LatentsConfig,
    starts: Sequence[tuple[str, np.ndarray]],
    about: dict[str, Any],
) -> None:
    generator = place.open_generator()
    features = functools.partial(_features, place.open_measurer()) if place.measurer else None
    # The user's own object gives only rounded images, and the rounding would dominate the measured length.
    meter = None if generator.network is None else PathMeter(generator.network, features, generator.device)
    write_interpolation(open_folder(artifacts), generator, settings, starts=starts, meter=meter, about=about)


def _features(assessor: Assessor, images: torch.Tensor) -> torch.Tensor:
    """The assessor's features [n,d] of images [n,c,h,w] in [-1,1]."""
    return assessor.network(images)[1]
