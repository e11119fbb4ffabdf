"""The work that is sent to the processes of a trial: small plain values, nothing that imports torch."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from framework.config import Experiment, with_overrides
from framework.config.describe import default_of
from framework.orchestration.trial.resources import ResourcePlan

if TYPE_CHECKING:
    from framework.evaluation import FeatureSpec, Protocol, Request
    from framework.evaluation.values.feature_set import FeatureSet
    from framework.orchestration.cluster.node_files import NodeFiles
    from framework.orchestration.cluster.stop_flag import StopFlag


@dataclass(frozen=True)
class TrialScoringSpec:
    """How a trial's checkpoints are scored while it trains.

    Args:
        protocol: The protocol of each score.
        moments: The file of the real images' moments; None if the score depends on samples only.
        real: The files of real features, if the score needs them.
        blocks: How many blocks of 32 images are held at a time.
        tasks: Ray tasks among which the samples are divided; they share the trial's cores with its workers.
        node_files: Files of the job's node that these tasks read.
    """

    request: "Request"
    features: "FeatureSpec"
    protocol: "Protocol"
    moments: str | None
    real: "FeatureSet"
    blocks: int
    tasks: int
    node_files: "NodeFiles | None" = None


@dataclass(frozen=True)
class TrialSpec:
    """One trial to train.

    Args:
        trial: The trial's name, which is its folder in RUN/trials.
        parameters: The searched keys with their values.
        experiment: The configuration of the training, which includes the parameters.
        images: Path of the packed store, the same on every node.
        plan: Workers, cores and GPUs.
        scoring: How checkpoints are scored; None if they are not.
        stop: The flag that makes the trial save and end; None without one.
        mutable: Keys that may change on resume without invalidating checkpoints.
        node_files: Files of the job's node that the workers read.
        state_at_end: The state when the trial has reached its length: "finished", or "waiting" for its population.
    """

    run: str
    trial: str
    parameters: dict[str, JsonValue]
    experiment: Experiment
    images: str
    plan: ResourcePlan
    scoring: TrialScoringSpec | None
    stop: "StopFlag | None" = None
    mutable: tuple[str, ...] = ()
    node_files: "NodeFiles | None" = None
    state_at_end: str = "finished"

    @property
    def identity(self) -> Experiment:
        """The experiment with the mutable keys at their defaults; its digest identifies the trial's checkpoints."""
        return with_overrides(self.experiment, {key: default_of(key) for key in self.mutable})

    def for_trial(
        self, trial: str, parameters: dict[str, JsonValue], *, total_images: int | None = None
    ) -> "TrialSpec":
        """The work of one trial: the experiment with the trial's parameters and, if it differs, its length."""
        length = {} if total_images is None else {"training.total_images": total_images}
        experiment = with_overrides(self.experiment, {**parameters, **length})
        return dataclasses.replace(self, trial=trial, parameters=parameters, experiment=experiment)
