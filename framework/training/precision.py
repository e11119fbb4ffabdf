"""The numbers a step computes with: float32, bfloat16 where the device is fast at it, float64 for tests."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from framework.config import Experiment
from framework.models import build_generator, build_partner, sample_latents
from framework.models.arithmetic.bfloat16 import (
    LEAST_GAIN,
    bfloat16_gain,
    convolution_gain,
    has_bfloat16,
    is_emulated,
)

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


def settle_precision(
    experiment: Experiment, *, kept: str | None, resolution: int, channels: int, device: torch.device
) -> tuple[str, list[str]]:
    """The precision that a training computes in, and what is to be told of it.

    Args:
        experiment: What is trained; a precision that it names counts before all else.
        kept: That of the checkpoint that is gone on from, if there is one: what auto comes to then.
        resolution: Side of the images in pixels.
        channels: 1 or 3.
        device: Where it is computed.

    Returns:
        Its name, and lines: the choice with its reason; a warning where the device only imitates it.
    """
    return settled(
        experiment.compute.precision,
        kept=kept,
        auto=lambda: choose_precision(experiment, resolution=resolution, channels=channels, device=device),
        has_bfloat16=lambda: has_bfloat16(device),
        what="CPU" if device.type == "cpu" else "GPU",
    )


def settled(
    configured: str,
    *,
    kept: str | None,
    auto: Callable[[], tuple[str, str]],
    has_bfloat16: Callable[[], bool],
    what: str,
) -> tuple[str, list[str]]:
    """The same of what the device can do; it is asked only where that matters.

    >>> settled("auto", kept="bfloat16", auto=lambda: ("float32", ""), has_bfloat16=lambda: True, what="GPU")
    ('bfloat16', ['precision: bfloat16 (kept from the checkpoint)'])
    """
    name, reason = configured, "as configured"
    if configured == "auto":
        name, reason = auto() if kept is None else (kept, "kept from the checkpoint")
    lines = [f"precision: {name} ({reason})"]
    chosen_for_it = configured == "auto" and kept is None
    if name == "bfloat16" and not chosen_for_it and not has_bfloat16():
        lines.append(
            f"warning: this {what} only imitates bfloat16, many times slower than float32; "
            "compute.precision=float32 computes in that"
        )
    return name, lines


def choose_precision(
    experiment: Experiment, *, resolution: int, channels: int, device: torch.device
) -> tuple[str, str]:
    """What `compute.precision: auto` comes to here, and the reason in a few words.

    A GPU is asked what it has. On a CPU it is tried: a small convolution first, for a device without bfloat16 emulates
    it a hundred times slower; then a forward and backward of the experiment's own networks.
    """
    if device.type != "cpu":
        return precision_of_gpu(has_bfloat16=has_bfloat16(device))
    gain = convolution_gain(device)
    if not is_emulated(gain):
        tries = [
            _forward_and_backward(experiment, resolution, channels, Precision(name, device))
            for name in ("float32", "bfloat16")
        ]
        gain = bfloat16_gain(*tries, device=device)
    name = "bfloat16" if gain >= LEAST_GAIN else "float32"
    return name, f"bfloat16 was tried and takes {1 / gain:.2f} of float32's time here"


def precision_of_gpu(*, has_bfloat16: bool) -> tuple[str, str]:
    """Auto's choice on a GPU and the reason.

    No trial: one that is short enough times the launching of kernels, of which bfloat16 has more.

    >>> precision_of_gpu(has_bfloat16=True)
    ('bfloat16', 'this GPU has it')
    """
    return ("bfloat16", "this GPU has it") if has_bfloat16 else ("float32", "this GPU has no bfloat16")


def _forward_and_backward(
    experiment: Experiment, resolution: int, channels: int, precision: Precision
) -> Callable[[], None]:
    shape, device = {"resolution": resolution, "channels": channels, "seed": 0}, precision.device
    generator = build_generator(experiment.model, **shape).to(device)
    companion = build_partner(experiment.model, **shape).to(device)
    count = max(2, _PROBED_PIXELS // resolution**2)
    latents = torch.from_numpy(sample_latents(count, experiment.model.latent_size, seed=0)).to(device)

    def work() -> None:
        with precision.autocast():
            companion(generator(latents)).float().sum().backward()

    return work
