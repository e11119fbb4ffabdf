"""Generators and assessors that a worker process loads once and keeps for its next tasks."""

import functools
from pathlib import Path

from framework.checkpoint import LoadedGenerator, load_generator
from framework.config.code import entry_of
from framework.errors import CheckpointError
from framework.models.assessor.assessor import Assessor
from framework.orchestration.pool.tasks import task_device


@functools.lru_cache(maxsize=2)
def loaded_generator(checkpoint: str, digest: str) -> LoadedGenerator:
    """The generator of a checkpoint. `digest` detects that a restarted trial has replaced the checkpoint."""
    generator = load_generator(checkpoint, task_device())
    if generator.digest != digest:
        raise CheckpointError(f"{checkpoint}: holds a different generator than when this job began{_why(checkpoint)}")
    return generator


def _why(checkpoint: str) -> str:
    """The remedy for an entry whose generator differs between processes."""
    if entry_of(checkpoint) is None:
        return ""
    return " or in another process; it must give the same weights each time, or an object with its own text as `digest`"


@functools.lru_cache(maxsize=4)
def loaded_assessor(folder: str) -> Assessor:
    """The assessor in a folder of the cache. The folder's name depends on its content, so it never changes."""
    return Assessor.load(Path(folder), task_device())
