"""What travels to the processes of a trial: plain values, small, nothing that imports torch."""

from dataclasses import dataclass
from typing import Any

from framework.config import Experiment
from framework.orchestration.resources import Plan


@dataclass(frozen=True)
class TrialScoring:
    """How a trial's checkpoints are scored while it trains.

    Args:
        features: The evaluation layer's feature specification.
        real: Where the real images' moments lie.
        protocol: The protocol of each score.
        blocks: Blocks of 32 images at a time.
        tasks: Ray tasks that share the samples; they run on the trial's own cores, whose workers wait meanwhile.
    """

    features: Any
    real: str
    protocol: Any
    blocks: int
    tasks: int


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
    """

    run: str
    trial: str
    parameters: dict[str, Any]
    experiment: Experiment
    images: str
    plan: Plan
    scoring: TrialScoring | None
