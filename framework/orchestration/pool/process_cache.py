"""What a task's process loads once and keeps for the next task: generators and assessors."""

import functools
from pathlib import Path

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.foreign import entry_of
from framework.errors import CheckpointError
from framework.models.assessor.assessor import Assessor
from framework.orchestration.pool.tasks import task_device


@functools.lru_cache(maxsize=2)
def loaded_generator(checkpoint: str, digest: str) -> LoadedGenerator:
    """The generator of a checkpoint; `digest` tells a checkpoint from one that took its place after a restart."""
    generator = load_generator(checkpoint, task_device())
    if generator.digest != digest:
        raise CheckpointError(f"{checkpoint}: is another generator than when this job began{_why(checkpoint)}")
    return generator


def _why(checkpoint: str) -> str:
    """What to do about an entry that gives another generator in each process."""
    if entry_of(checkpoint) is None:
        return ""
    return " or in another process; let it give the same weights each time, or an object a `digest`, a text of its own"


@functools.lru_cache(maxsize=4)
def loaded_assessor(folder: str) -> Assessor:
    """The assessor in a folder of the cache, which is named by content."""
    return Assessor.load(Path(folder), task_device())
