"""What is measured: experiments of every family, their steps, and real trainings of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.data import PackedStore
from framework.storage import open_folder
from framework.training import Report, Trainer, WorkerGroup
from framework.training.precision import Precision
from framework.training.steps.families import family_of

SKIP = {"model.architecture": "skip", "model.dropout": 0.0, "training.schedule": "joint", "objective.loss": "hinge"}
R1 = {"objective.r1_gamma": 1.0, "objective.r1_every_steps": 2}
CASES: dict[str, dict[str, Any]] = {
    "dcgan 128": {},
    "dcgan 32": {"data.resolution": 32, "model.width": 32},
    "skip 64": {**SKIP, "data.resolution": 64, "model.width": 32},
    "skip 32": {**SKIP, "data.resolution": 32, "model.width": 32},
    "skip 32 r1 augmented": {
        **SKIP,
        **R1,
        "data.resolution": 32,
        "model.width": 32,
        "objective.augmentations": ["color", "translation", "cutout"],
    },
    # As configs/faces.yaml, but for the probability of augmentations.
    "faces 128": {
        "model.architecture": "residual",
        "model.width": 32,
        "model.latent_size": 128,
        "model.discriminator": "both",
        "model.dropout": 0.0,
        "training.schedule": "joint",
        "objective.loss": "relativistic",
        "objective.r1_gamma": "auto",
        "objective.r2_gamma": "auto",
        "objective.r1_every_steps": 4,
        "objective.augmentations": ["color", "translation", "rotation", "scale"],
    },
    "vae 28": {"data.resolution": 28, "data.channels": 1, "model.family": "vae", "model.width": 32},
    "autoencoder 32": {"data.resolution": 32, "model.family": "autoencoder", "model.width": 16},
}


@dataclass
class Trial:
    """A step, ready to be made."""

    experiment: Experiment
    state: Any
    step: Any
    pixels: np.ndarray

    @property
    def batch(self) -> int:
        return self.experiment.training.batch_size


def experiment_of(case: str, batch: int, **more: Any) -> Experiment:
    """A case's settings."""
    return with_overrides(Experiment(), {**CASES[case], "training.batch_size": batch, **more})


def made(
    case: str, *, device: torch.device, precision: str, batch: int, workers: WorkerGroup | None = None, **more: Any
) -> Trial:
    """A case's step on random pixels; with `workers`, this one's part of them."""
    experiment = experiment_of(case, batch, **more)
    family, data = family_of(experiment), experiment.data
    shape = {"resolution": data.resolution, "channels": data.channels}
    workers = workers or WorkerGroup(device=device)
    state = family.state.fresh(experiment, **shape, precision=precision, device=device)
    step = family.step(state, experiment=experiment, workers=workers, precision=Precision(precision, device))
    count = family.step.real_images(batch)
    pixels = np.random.default_rng(0).integers(
        0, 256, (count, data.resolution, data.resolution, data.channels), np.uint8
    )
    part = workers.shard(count)
    return Trial(experiment, state, step, pixels[part.start : part.start + part.count])


Sent = Literal["in line", "ahead", "held"]


def moving(trial: Trial, device: torch.device, *, numbers: Sent = "in line") -> Callable[[], Tensor]:
    """A step as a call.

    Its random numbers and pixels are drawn and sent within the step (`in line`), sent from pinned memory as by the
    training's own thread (`ahead`), or lie on the device already (`held`).
    """
    step, pixels = trial.step, torch.from_numpy(trial.pixels)
    if numbers == "in line":
        return lambda: step(pixels)
    drawn = step.draw(0)
    if numbers == "held":
        pixels, drawn = pixels.to(device), drawn.to(device)
    elif device.type == "cuda":
        pixels, drawn = pixels.pin_memory(), drawn.pinned()
    return lambda: step(pixels, numbers=drawn)


def library_wide(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`wide_convolution` as the library has it."""
    return F.conv2d(images, weight, bias, padding=weight.shape[-1] // 2)[:, :, 1:, 1:]


@dataclass
class Trained:
    """A training's end."""

    reports: list[Report]
    lines: list[str]
    weights: Tensor
    state: str


def trained(
    experiment: Experiment,
    images: PackedStore,
    *,
    place: Path,
    device: torch.device,
    halts: int | None = None,
    workers: WorkerGroup | None = None,
) -> Trained:
    """A real training in the folder `place`; asked to stop after `halts` steps, if given."""
    reports: list[Report] = []
    lines: list[str] = []
    asked = iter(range(10**9))
    store = CheckpointStore(open_folder(str(place)), digest="measured", learned={}, keep=2)
    outcome = Trainer(
        experiment=experiment,
        images=images,
        store=store,
        workers=workers or WorkerGroup(device=device),
        report=reports.append,
        should_stop=(lambda: next(asked) >= halts) if halts is not None else (lambda: False),
        log=lines.append,
    ).run()
    newest = store.newest(warn=lines.append)
    assert newest is not None
    saved = newest.tensors("generator")
    weights = torch.cat([saved[part].flatten().double() for part in sorted(saved)])
    return Trained(reports, lines, weights, outcome.state)
