"""Latentscape: train GANs on face images, search their settings, score them and explore their latent space.

    from framework import load_generator
    generator = load_generator("runs/faces")
    pictures = generator.images(generator.sample_latents(16, seed=0))  # [16, h, w, c] uint8

`as_generator` gives the same for a torch module or an object of your own.

Importing this package imports nothing of it: each name is fetched when it is first asked for. So torch and ray stay
away from those who need neither, and a decoding worker, which needs Pillow alone, starts in a tenth of a second.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.checkpoint import CheckpointStore, LoadedGenerator, as_generator, export_generator, load_generator
    from framework.config import Experiment, load_experiment
    from framework.runs import RunFolder

_HOMES = {
    "CheckpointStore": "checkpoint",
    "Experiment": "config",
    "LoadedGenerator": "checkpoint",
    "RunFolder": "runs",
    "as_generator": "checkpoint",
    "export_generator": "checkpoint",
    "load_experiment": "config",
    "load_generator": "checkpoint",
}

__all__ = [
    "CheckpointStore",
    "Experiment",
    "LoadedGenerator",
    "RunFolder",
    "as_generator",
    "export_generator",
    "load_experiment",
    "load_generator",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"framework.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
