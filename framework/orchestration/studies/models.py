"""The models that tasks of latent studies load: a generator, and the assessors of its run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import flat_latents
from framework.models.assessor.assessor import Assessor
from framework.models.condition_label import Value
from framework.orchestration.context import RunContext
from framework.orchestration.pool.process_cache import loaded_assessor, loaded_generator
from framework.orchestration.pool.tasks import TaskPool


@dataclass(frozen=True)
class Judges:
    """Both assessors, loaded."""

    finder: Assessor
    measurer: Assessor


@dataclass(frozen=True)
class StudyModels:
    """Locations of the models that a task loads.

    Attributes:
        checkpoint: Location of the generator.
        finder: Folder of the assessor that finds directions; None without labels.
        measurer: Folder of the assessor that measures effects; None without labels.
        truncation: Scale of the latents that are sampled.
        condition: Pairs of a label and a value that all samples of a conditional generator have.
    """

    checkpoint: str
    generator: str
    finder: str | None
    measurer: str | None
    truncation: float = 1.0
    condition: tuple[tuple[str, Value], ...] = ()

    def open_generator(self) -> LoadedGenerator:
        """Loads the generator; cached per process."""
        generator = loaded_generator(self.checkpoint, self.generator).truncated(self.truncation)
        return generator.conditioned(dict(self.condition))

    def open_finder(self) -> Assessor:
        """Loads the finder; cached per process. The run must have labels."""
        assert self.finder is not None
        return loaded_assessor(self.finder)

    def open_measurer(self) -> Assessor:
        """Loads the measurer; cached per process. The run must have labels."""
        assert self.measurer is not None
        return loaded_assessor(self.measurer)

    def open_judges(self) -> Judges:
        """Loads both assessors; cached per process. The run must have labels."""
        return Judges(self.open_finder(), self.open_measurer())


def on_host(compute: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Wraps a function of tensors on `device` so that it takes and returns tensors on the CPU; differentiable."""
    if device.type == "cpu":
        return compute
    return lambda tensor: compute(tensor.to(device)).to(tensor.device)


def models_for(context: RunContext, target: CheckpointRef) -> StudyModels:
    """The locations of a checkpoint's generator and of the assessors of its run."""
    digest, latents = load_generator(target.location).digest, context.experiment.latents
    samples = {"truncation": latents.truncation, "condition": tuple(latents.condition.items())}
    if context.assessors is None:
        return StudyModels(target.location, digest, None, None, **samples)
    folder = context.assessors.folder
    return StudyModels(target.location, digest, str(folder / "finder"), str(folder / "measurer"), **samples)


def pool_for(context: RunContext, models: StudyModels, *more: str) -> TaskPool:
    """A pool of tasks whose nodes have the assessors, and `more` paths of this node."""
    folders: Sequence[str] = [folder for folder in (models.finder, models.measurer) if folder is not None]
    return TaskPool(context.task_resources(), context.node_files(*folders, *more))


def made_of(context: RunContext, target: CheckpointRef, generator: LoadedGenerator) -> dict[str, Any]:
    """What an artifact depends on: if this has not changed, it need not be made again."""
    return {
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
        "settings": flat_latents(context.experiment.latents),
    }
