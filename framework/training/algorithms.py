"""Which of their algorithms the GPU's libraries may take while a training runs: the fastest, or such as repeat."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_REPEATABLE = ":4096:8"  # one of the two settings with which cuBLAS repeats itself


@contextlib.contextmanager
def algorithms(device: torch.device | str, *, deterministic: bool) -> Iterator[None]:
    """For this block; on a CPU, whose algorithms are always the same, nothing is set.

    Where not deterministic, cuDNN tries its algorithms at the first step and takes the fastest: all shapes are fixed,
    so each is tried once. The weights' gradients of some add up in whatever order threads come, so that two runs
    differ by their rounding.

    Args:
        device: Where it is computed.
        deterministic: Only algorithms that give the same bits each time on one kind of GPU. cuBLAS reads its setting
            when it is first used, so enter this before anything is computed.

    Raises:
        RuntimeError: Within the block, by an operation that has no such algorithm; the networks and losses use none.
    """
    if torch.device(device).type == "cpu":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    filling: Any = torch.utils.deterministic
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory, cudnn.benchmark
    if deterministic:
        os.environ.setdefault(_WORKSPACE, _REPEATABLE)
        filling.fill_uninitialized_memory = False  # nothing here reads what it has not written
    torch.use_deterministic_algorithms(deterministic)
    cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=warns)
        filling.fill_uninitialized_memory, cudnn.benchmark = before[1:]
