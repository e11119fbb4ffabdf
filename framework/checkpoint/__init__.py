"""What lasts of a training: atomic checkpoints, and generators that stand alone."""

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
