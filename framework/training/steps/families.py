"""The state and the step of each `model.family`."""

from dataclasses import dataclass
from typing import Any

from framework.config import Experiment
from framework.training.state import State, TrainState
from framework.training.steps.base_step import Step
from framework.training.steps.gan_step import STEPS
from framework.training.steps.vae_step import AutoencoderState, AutoencoderStep, VaeState, VaeStep


@dataclass(frozen=True)
class Family:
    """The classes with which a model family is trained.

    Attributes:
        state: The class of the training's state.
        step: The class of the training step.
    """

    state: type[State]
    step: type[Step[Any]]


def family_of(experiment: Experiment) -> Family:
    """The model family of an experiment."""
    if experiment.model.family == "vae":
        return Family(VaeState, VaeStep)
    if experiment.model.family == "autoencoder":
        return Family(AutoencoderState, AutoencoderStep)
    return Family(TrainState, STEPS[experiment.training.schedule])
