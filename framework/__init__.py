"""Latentscape: train GANs on face images, search their settings, score them and explore their latent space.

    from framework import load_generator
    generator = load_generator("runs/utkface")
    pictures = generator.images(generator.sample_latents(16, seed=0))  # [16, h, w, c] uint8

Importing this package imports neither torch nor ray; what needs torch is imported when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from framework.config import Experiment, load_experiment

if TYPE_CHECKING:
    from framework.checkpoint import CheckpointStore, LoadedGenerator, RunFolder, export_generator, load_generator

_LAZY = ("CheckpointStore", "LoadedGenerator", "RunFolder", "export_generator", "load_generator")

__all__ = [
    "CheckpointStore",
    "Experiment",
    "LoadedGenerator",
    "RunFolder",
    "export_generator",
    "load_experiment",
    "load_generator",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module("framework.checkpoint"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
