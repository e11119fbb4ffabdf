"""Finds out whether a device computes bfloat16 fast: CUDA reports it for a GPU, and a CPU is measured."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the customary name

LEAST_GAIN = 1.1
"""Minimum speed-up for which bfloat16 is used, since it costs accuracy."""
# Below this gain the device emulates bfloat16. Above it, measuring a real network does not take long.
_EMULATED = 0.25
_MOST_TRIES = 12
_PROBE_SECONDS = 2.0


def bfloat16_gain(float32: Callable[[], None], bfloat16: Callable[[], None], *, device: torch.device) -> float:
    """The time of the first function divided by that of the second, each the best of several measurements.

    The measurements alternate, so that other load on the machine affects both. The minimum is used because other load
    can only make a measurement slower.
    """
    best, start = [float("inf")] * 2, time.perf_counter()
    for tries in range(_MOST_TRIES):
        for index, work in enumerate((float32, bfloat16)):
            best[index] = min(best[index], _seconds(work, device))
        if tries >= 2 and time.perf_counter() - start > _PROBE_SECONDS:
            break
    return best[0] / best[1]


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes bfloat16 natively; a CPU is measured, which takes a second if it emulates bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not is_emulated(convolution_gain(device))


def convolution_gain(device: torch.device) -> float:
    """The gain of bfloat16 for a small convolution, which is quick to measure even on a device that emulates it."""
    if device.type == "cuda" and not has_bfloat16(device):
        return 0.0
    return bfloat16_gain(_convolution(device, torch.float32), _convolution(device, torch.bfloat16), device=device)


def is_emulated(gain: float) -> bool:
    """Whether a convolution's gain shows that the device emulates bfloat16."""
    return gain < _EMULATED


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _convolution(device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """A function that computes one convolution forward and backward."""
    images = torch.ones(4, 64, 16, 16, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    images.requires_grad_()
    weight.requires_grad_()

    def work() -> None:
        torch.autograd.grad(F.conv2d(images, weight, padding=1).float().sum(), [images, weight])

    return work
