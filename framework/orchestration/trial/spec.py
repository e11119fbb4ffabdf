"""What travels to the processes of a trial: plain values, small, nothing that imports torch."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.config import Experiment, with_overrides
from framework.config.describe import default_of
from framework.orchestration.trial.resources import Plan

if TYPE_CHECKING:
    from framework.evaluation import FeatureSpec, Protocol, Request
    from framework.evaluation.values.compute import Sides
    from framework.orchestration.cluster.node_files import Needs
    from framework.orchestration.cluster.stop_flag import StopFlag


@dataclass(frozen=True)
class TrialScoring:
    """How a trial's checkpoints are scored while it trains.

    Args:
        request: The score.
        features: Its feature extractor.
        protocol: The protocol of each score.
        moments: The file of the real images' moments; None if the score looks at samples alone.
        real: The files of real features, if the score needs them.
        blocks: Blocks of 32 images at a time.
        tasks: Ray tasks that share the samples; they run on the trial's own cores, beside its workers.
        needs: What these tasks read of the job's node.
    """

    request: "Request"
    features: "FeatureSpec"
    protocol: "Protocol"
    moments: str | None
    real: "Sides"
    blocks: int
    tasks: int
    needs: "Needs | None" = None


@dataclass(frozen=True)
class TrialWork:
    """One trial to train.

    Args:
        run: Location of RUN.
        trial: The trial's name, its folder in RUN/trials.
        parameters: The searched keys with their values.
        experiment: What is trained, the parameters already in it.
        images: Path of the packed store, the same on every node.
        plan: Workers, cores and GPUs.
        scoring: How checkpoints are scored; None where they are not.
        stop: The flag that makes it save and end; None where there is none.
        mutable: Keys whose values may change between two lives of the trial: no checkpoint is refused for them.
        needs: What its workers read of the job's node.
        state_at_end: What it is when it has come to its length: finished, or waiting for the others.
    """

    run: str
    trial: str
    parameters: dict[str, Any]
    experiment: Experiment
    images: str
    plan: Plan
    scoring: TrialScoring | None
    stop: "StopFlag | None" = None
    mutable: tuple[str, ...] = ()
    needs: "Needs | None" = None
    state_at_end: str = "finished"

    @property
    def identity(self) -> Experiment:
        """What a checkpoint of the trial is known by: the experiment with the mutable keys at their defaults."""
        return with_overrides(self.experiment, {key: default_of(key) for key in self.mutable})

    def of(self, trial: str, parameters: dict[str, Any], *, total_images: int | None = None) -> "TrialWork":
        """This work as one trial's: its parameters laid over the experiment, and its length where it is another."""
        length = {} if total_images is None else {"training.total_images": total_images}
        experiment = with_overrides(self.experiment, {**parameters, **length})
        return dataclasses.replace(self, trial=trial, parameters=parameters, experiment=experiment)
