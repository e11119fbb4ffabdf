"""The numbers a step computes with: float32, bfloat16 where the device is fast at it, float64 for tests."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit

from framework.config import Experiment
from framework.models import build_discriminator, build_generator, sample_latents

# bfloat16 costs accuracy, so it has to be worth it.
_LEAST_GAIN = 1.1
# Below this gain a device only imitates bfloat16; above it, trying the real networks cannot take long.
_EMULATED = 0.25
_MOST_TRIES = 12
_PROBE_SECONDS = 2.0
_PROBED_PIXELS = 32_768


@dataclass(frozen=True)
class Precision:
    """A precision by its name in `compute.precision`, but for auto.

    Args:
        name: float32, bfloat16 or float64.
        device: Where it is computed.
    """

    name: str
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights, latents and images; bfloat16 is only what convolutions and products compute with."""
        return torch.float64 if self.name == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager[Any]:
        """Around one network's forward; not around two, or the second could take the first's rounded weights."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.name == "bfloat16" else nullcontext()


def choose_precision(
    experiment: Experiment, *, resolution: int, channels: int, device: torch.device
) -> tuple[str, str]:
    """What `compute.precision: auto` comes to here, by trying, and the reason in a few words.

    A small convolution first, for a device without bfloat16 emulates it a hundred times slower; then a forward and
    backward of the experiment's own networks.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float32", "this GPU has no bfloat16"
    gain = _gain(_small_convolution(device), device=device)
    if gain > _EMULATED:
        gain = _gain(_forward_and_backward(experiment, resolution, channels, device), device=device)
    name = "bfloat16" if gain >= _LEAST_GAIN else "float32"
    return name, f"bfloat16 was tried and takes {1 / gain:.2f} of float32's time here"


def _gain(work: Callable[[], None], *, device: torch.device) -> float:
    """How many times as fast as in float32 the work is in bfloat16, each at its best of several tries.

    Interleaved, so that other load touches both; the best, because other load only ever makes it slower.
    """
    best, start = {}, time.perf_counter()
    for tries in range(_MOST_TRIES):
        for name in ("float32", "bfloat16"):
            with Precision(name, device).autocast():
                best[name] = min(best.get(name, float("inf")), _seconds(work, device))
        if tries >= 2 and time.perf_counter() - start > _PROBE_SECONDS:
            break
    return best["float32"] / best["bfloat16"]


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _small_convolution(device: torch.device) -> Callable[[], None]:
    images = torch.ones(4, 64, 16, 16, device=device).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.ones(64, 64, 3, 3, device=device).to(memory_format=torch.channels_last).requires_grad_()

    def work() -> None:
        torch.autograd.grad(F.conv2d(images, weight, padding=1).float().sum(), [images, weight])

    return work


def _forward_and_backward(
    experiment: Experiment, resolution: int, channels: int, device: torch.device
) -> Callable[[], None]:
    shape = {"resolution": resolution, "channels": channels, "seed": 0}
    generator = build_generator(experiment.model, **shape).to(device)
    discriminator = build_discriminator(experiment.model, **shape).to(device)
    count = max(2, _PROBED_PIXELS // resolution**2)
    latents = torch.from_numpy(sample_latents(count, experiment.model.latent_size, seed=0)).to(device)

    def work() -> None:
        discriminator(generator(latents), None).float().sum().backward()

    return work
