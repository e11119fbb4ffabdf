"""Whether a device is fast at bfloat16: a GPU says whether it has it, a CPU is tried."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit

LEAST_GAIN = 1.1
"""bfloat16 costs accuracy, so it has to be worth it."""
# Below this gain a device only imitates bfloat16; above it, trying a real network cannot take long.
_EMULATED = 0.25
_MOST_TRIES = 12
_PROBE_SECONDS = 2.0


def bfloat16_gain(float32: Callable[[], None], bfloat16: Callable[[], None], *, device: torch.device) -> float:
    """How many times as fast the second work is, each at its best of several tries.

    Interleaved, so that other load touches both; the best, because other load only ever makes it slower.
    """
    best, start = [float("inf")] * 2, time.perf_counter()
    for tries in range(_MOST_TRIES):
        for place, work in enumerate((float32, bfloat16)):
            best[place] = min(best[place], _seconds(work, device))
        if tries >= 2 and time.perf_counter() - start > _PROBE_SECONDS:
            break
    return best[0] / best[1]


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; a CPU is tried, which takes a second where it does not."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not is_emulated(convolution_gain(device))


def convolution_gain(device: torch.device) -> float:
    """The gain of a small convolution: quickly known, where a device emulates bfloat16 a hundred times slower."""
    if device.type == "cuda" and not has_bfloat16(device):
        return 0.0
    return bfloat16_gain(_convolution(device, torch.float32), _convolution(device, torch.bfloat16), device=device)


def is_emulated(gain: float) -> bool:
    """Whether a convolution's gain says that the device only imitates bfloat16."""
    return gain < _EMULATED


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _convolution(device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Forward and backward."""
    images = torch.ones(4, 64, 16, 16, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    images.requires_grad_()
    weight.requires_grad_()

    def work() -> None:
        torch.autograd.grad(F.conv2d(images, weight, padding=1).float().sum(), [images, weight])

    return work
