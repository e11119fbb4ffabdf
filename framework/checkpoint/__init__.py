"""What lasts of a training: atomic checkpoints, generators that stand alone, and the layout of a run's folder."""

from framework.checkpoint.foreign import as_generator
from framework.checkpoint.generator import export_generator, load_generator
from framework.checkpoint.loaded import LoadedGenerator
from framework.runs.folder import RunFolder, TrialFolder, cache_folder
from framework.checkpoint.saved import Checkpoint
from framework.checkpoint.store import CheckpointStore

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "LoadedGenerator",
    "RunFolder",
    "TrialFolder",
    "as_generator",
    "cache_folder",
    "export_generator",
    "load_generator",
]
