"""What a latent study is going to compute, for --dry-run; needs no Ray and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.checkpoint import LoadedGenerator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.orchestration.context import RunContext
from framework.runs import RunFolder


@dataclass(frozen=True)
class Step:
    """A part of a study. The numbers of images are the most that it can take.

    Attributes:
        what: What comes of it.
        generated: Images that the generator makes.
        judged: Images that go through an assessor or another network of features, each once for each network.
        encoded: Images that go through the generator's encoder.
        drawn: Images in the pictures and films that are written.
        exists: Whether it is there already, so that nothing is computed.
    """

    what: str
    generated: int = 0
    judged: int = 0
    encoded: int = 0
    drawn: int = 0
    exists: bool = False


@dataclass(frozen=True)
class Ahead:
    """What is known before a study begins.

    Attributes:
        run: The run, with the settings of the job.
        target: The checkpoint that is studied.
        generator: The generator of the checkpoint.
        context: The context of the study; None if its images are not packed yet, or its assessors not trained.
        assessed: Whether it will have assessors.
    """

    run: RunFolder
    target: CheckpointRef
    generator: LoadedGenerator
    context: RunContext | None
    assessed: bool

    @property
    def settings(self) -> LatentsConfig:
        """The section `latents`."""
        return self.run.experiment.latents


def document_of(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as JSON."""
    return [
        {
            "what": step.what,
            "exists": step.exists,
            "images_through": {"generator": step.generated, "features": step.judged, "encoder": step.encoded},
            "images_drawn": step.drawn,
        }
        for step in steps
    ]
