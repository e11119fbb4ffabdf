"""How a training begins: with new networks, with those of its newest checkpoint, or with another training's."""

from collections.abc import Callable

import torch

from framework.checkpoint import Checkpoint
from framework.checkpoint.start import open_start
from framework.config import Experiment
from framework.data import PackedStore
from framework.errors import TrainingError
from framework.training.conditions import condition_of
from framework.training.state import State, TrainState
from framework.training.steps.families import family_of


def begin_training(
    experiment: Experiment,
    *,
    images: PackedStore,
    newest: Checkpoint | None,
    precision: str,
    device: torch.device,
    log: Callable[[str], None],
) -> State:
    """The state with which a training begins or goes on.

    Args:
        experiment: The configuration of the training.
        images: The packed training images.
        newest: The newest checkpoint of this training; None if it has none.
        precision: The name of the training's precision.
        device: Where the networks are.
        log: Called with one line about where the networks come from, unless they are new.

    Raises:
        CheckpointError: The labels of the condition have changed since the training began, or a projected
            discriminator of the start was trained on other pretrained weights.
        TrainingError: `training.start_from` has changed since the training began, or has other labels.
    """
    state = family_of(experiment).state.fresh(
        experiment,
        resolution=images.resolution,
        channels=images.channels,
        precision=precision,
        device=device,
        condition=condition_of(images, experiment.model.condition),
    )
    if newest is not None:
        state.load(newest)
        log(f"resumes from checkpoint {newest.name}: {state.images_seen:,} images seen")
    elif experiment.training.start_from is not None:
        assert isinstance(state, TrainState), "training.start_from is only for GANs"
        _start_from(state, experiment.training.start_from, digest=experiment.training.start_digest, log=log)
    return state


def _start_from(state: TrainState, location: str, *, digest: str | None, log: Callable[[str], None]) -> None:
    start = open_start(location)
    if start.digest != digest:
        raise TrainingError(f"training.start_from: {location} has changed since this training started")
    taken = state.begin_with(start)
    log(f"starts with the networks of {location}: {taken.line}")
