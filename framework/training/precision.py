"""The numbers a step computes with: float32, bfloat16 where the device is fast at it, float64 for tests."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from framework.config import Experiment
from framework.models import build_generator, build_partner, sample_latents
from framework.models.bfloat16 import LEAST_GAIN, bfloat16_gain, convolution_gain, is_emulated

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
    gain = convolution_gain(device)
    if not is_emulated(gain):
        tries = [
            _forward_and_backward(experiment, resolution, channels, Precision(name, device))
            for name in ("float32", "bfloat16")
        ]
        gain = bfloat16_gain(*tries, device=device)
    name = "bfloat16" if gain >= LEAST_GAIN else "float32"
    return name, f"bfloat16 was tried and takes {1 / gain:.2f} of float32's time here"


def _forward_and_backward(
    experiment: Experiment, resolution: int, channels: int, precision: Precision
) -> Callable[[], None]:
    shape, device = {"resolution": resolution, "channels": channels, "seed": 0}, precision.device
    generator = build_generator(experiment.model, **shape).to(device)
    partner = build_partner(experiment.model, **shape).to(device)
    count = max(2, _PROBED_PIXELS // resolution**2)
    latents = torch.from_numpy(sample_latents(count, experiment.model.latent_size, seed=0)).to(device)

    def work() -> None:
        with precision.autocast():
            partner(generator(latents)).float().sum().backward()

    return work
