"""The score of a trial's checkpoint, made from within the trial."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framework.checkpoint import Checkpoint, load_generator
from framework.evaluation import load_moments, score_from_moments
from framework.evaluation.sources import SourceSpec
from framework.orchestration.moments import moments_here, source_moments
from framework.orchestration.shards import TaskResources
from framework.orchestration.work import TrialScoring


@dataclass(frozen=True)
class FinishedScore:
    """A score's handle; here it was waited for."""

    document: dict[str, Any]

    def result(self) -> dict[str, Any]:
        """The score document."""
        return self.document


def score_in_trial(scoring: TrialScoring, checkpoint: Checkpoint, *, device: torch.device) -> FinishedScore:
    """Scores a checkpoint while its trial waits: on the worker's own GPU, else in Ray tasks on the trial's cores."""
    location = checkpoint.folder.location
    side = scoring.protocol.fake.model_copy(update={"digest": load_generator(location).digest})
    source = SourceSpec("generator", location, side)
    if device.type == "cuda":
        fake = moments_here(source, scoring.features, blocks=scoring.blocks)
    else:
        resources = TaskResources(workers=scoring.tasks, cores=0.0)
        name = f"score {checkpoint.name}"
        fake = source_moments(
            source, scoring.features, blocks=scoring.blocks, resources=resources, name=name, needs=scoring.needs
        )
    return FinishedScore(score_from_moments(load_moments(Path(scoring.real)), fake, scoring.protocol))
