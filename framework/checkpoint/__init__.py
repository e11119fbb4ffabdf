"""Checkpoints of a training, written atomically, and generators that can be loaded on their own."""

from framework.checkpoint.foreign import as_generator
from framework.checkpoint.generator import export_generator, load_generator
from framework.checkpoint.loaded import LoadedGenerator
from framework.checkpoint.saved import Checkpoint
from framework.checkpoint.store import CheckpointStore

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "LoadedGenerator",
    "as_generator",
    "export_generator",
    "load_generator",
]
