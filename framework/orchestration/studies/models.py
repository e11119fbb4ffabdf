"""What the tasks of latent studies open: a generator, and the assessors of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import Target
from framework.config import flat_latents
from framework.models.assessor.assessor import Assessor
from framework.orchestration.context import Study
from framework.orchestration.pool.process_cache import loaded_assessor, loaded_generator
from framework.orchestration.pool.tasks import Tasks


@dataclass(frozen=True)
class Judges:
    """Both assessors, as a task has loaded them."""

    finder: Assessor
    measurer: Assessor


@dataclass(frozen=True)
class Place:
    """Where what a task works with lies.

    Attributes:
        checkpoint: Location of the generator.
        generator: Its digest.
        finder: Folder of the assessor that finds; None without labels.
        measurer: Folder of the one that measures; likewise.
    """

    checkpoint: str
    generator: str
    finder: str | None
    measurer: str | None

    def open_generator(self) -> LoadedGenerator:
        """In a task; loaded once a process."""
        return loaded_generator(self.checkpoint, self.generator)

    def open_finder(self) -> Assessor:
        """Likewise; there is one."""
        assert self.finder is not None
        return loaded_assessor(self.finder)

    def open_measurer(self) -> Assessor:
        """Likewise; there is one."""
        assert self.measurer is not None
        return loaded_assessor(self.measurer)

    def open_judges(self) -> Judges:
        """Both; there are some."""
        return Judges(self.open_finder(), self.open_measurer())


def on_host(compute: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor], Tensor]:
    """The same for tensors of the host, wherever it computes; gradients go through."""
    if device.type == "cpu":
        return compute
    return lambda given: compute(given.to(device)).to(given.device)


def place_of(study: Study, target: Target) -> Place:
    """Of a checkpoint and its run's assessors."""
    digest = load_generator(target.location).digest
    if study.assessors is None:
        return Place(target.location, digest, None, None)
    folder = study.assessors.folder
    return Place(target.location, digest, str(folder / "finder"), str(folder / "measurer"))


def crew_of(study: Study, place: Place, *more: str) -> Tasks:
    """Tasks that find the assessors, and `more` of this node's paths, wherever they run."""
    folders: Sequence[str] = [folder for folder in (place.finder, place.measurer) if folder is not None]
    return Tasks(study.task_resources(), study.needs(*folders, *more))


def made_of(study: Study, target: Target, generator: LoadedGenerator) -> dict[str, Any]:
    """What an artifact was made of: the same again makes the same."""
    return {
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
        "settings": flat_latents(study.experiment.latents),
    }
