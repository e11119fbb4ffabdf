"""The precision of a training: float32, bfloat16 if the device computes it fast, or float64 for tests."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from framework.config import Experiment
from framework.models import build_companion, build_generator, sample_latents
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
    """A precision of `compute.precision`, except auto.

    Attributes:
        name: float32, bfloat16 or float64.
        device: The device of the training.
    """

    name: str
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of weights, latents and images; bfloat16 is used only within convolutions and matrix products."""
        return torch.float64 if self.name == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager[Any]:
        """Context for the forward pass of one network. A second pass within it could use outdated cached weights."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.name == "bfloat16" else nullcontext()


def settle_precision(
    experiment: Experiment, *, kept: str | None, resolution: int, channels: int, device: torch.device
) -> tuple[str, list[str]]:
    """Chooses the precision of a training.

    Args:
        experiment: The experiment; a precision other than auto is used as configured.
        kept: The precision of the checkpoint from which the training resumes, which auto keeps; None for a new one.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.

    Returns:
        The name of the precision, and lines for the user: the choice with its reason, and a warning if the device
        emulates it.
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
    """Chooses the precision like `settle_precision`, but gets the device's abilities as functions.

    The functions are called only if their results matter.

    >>> settled("auto", kept="bfloat16", auto=lambda: ("float32", ""), has_bfloat16=lambda: True, what="GPU")
    ('bfloat16', ['precision: bfloat16 (kept from the checkpoint)'])
    """
    name, reason = configured, "as configured"
    if configured == "auto":
        name, reason = auto() if kept is None else (kept, "kept from the checkpoint")
    lines = [f"precision: {name} ({reason})"]
    was_measured = configured == "auto" and kept is None
    if name == "bfloat16" and not was_measured and not has_bfloat16():
        lines.append(
            f"warning: this {what} only emulates bfloat16, which is many times slower than float32; "
            "set compute.precision=float32 to avoid that"
        )
    return name, lines


def choose_precision(
    experiment: Experiment, *, resolution: int, channels: int, device: torch.device
) -> tuple[str, str]:
    """The precision that `compute.precision: auto` means on this device, and the reason in a few words.

    For a GPU, CUDA reports whether it has bfloat16. On a CPU it is measured: first with a small convolution, because
    emulation can be a hundred times slower, then with a forward and backward pass of the experiment's networks.
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
    return name, f"bfloat16 was measured to take {1 / gain:.2f} of float32's time"


def precision_of_gpu(*, has_bfloat16: bool) -> tuple[str, str]:
    """The choice of auto on a GPU, and the reason.

    Nothing is measured, because a short measurement would be dominated by kernel launches, of which bfloat16 has more.

    >>> precision_of_gpu(has_bfloat16=True)
    ('bfloat16', 'this GPU has it')
    """
    return ("bfloat16", "this GPU has it") if has_bfloat16 else ("float32", "this GPU has no bfloat16")


def _forward_and_backward(
    experiment: Experiment, resolution: int, channels: int, precision: Precision
) -> Callable[[], None]:
    shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "seed": 0}
    device = precision.device
    generator = build_generator(experiment.model, **shape).to(device)
    companion = build_companion(experiment.model, **shape).to(device)
    count = max(2, _PROBED_PIXELS // resolution**2)
    latents = torch.from_numpy(sample_latents(count, experiment.model.latent_size, seed=0)).to(device)

    def work() -> None:
        with precision.autocast():
            companion(generator(latents)).float().sum().backward()

    return work
