"""What is trained and how, by `model.family`: chosen once, before the first step."""

from dataclasses import dataclass
from typing import Any

from framework.config import Experiment
from framework.training.state import State, TrainState
from framework.training.steps.base_step import Step
from framework.training.steps.gan_step import STEPS
from framework.training.steps.vae_step import AutoencoderState, AutoencoderStep, VaeState, VaeStep


@dataclass(frozen=True)
class Family:
    """One way to train a generator.

    Attributes:
        state: All that survives a restart.
        step: What moves it.
    """

    state: type[State]
    step: type[Step[Any]]


def family_of(experiment: Experiment) -> Family:
    """That of an experiment."""
    if experiment.model.family == "vae":
        return Family(VaeState, VaeStep)
    if experiment.model.family == "autoencoder":
        return Family(AutoencoderState, AutoencoderStep)
    return Family(TrainState, STEPS[experiment.training.schedule])
