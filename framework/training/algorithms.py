"""Selects the algorithms of GPU libraries during training: the fastest ones, or only deterministic ones."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_REPEATABLE = ":4096:8"  # one of the two settings with which cuBLAS is deterministic


@contextlib.contextmanager
def algorithms(device: torch.device | str, *, deterministic: bool) -> Iterator[None]:
    """Selects algorithms within the block. On a CPU it does nothing, since CPU algorithms are always deterministic.

    Without `deterministic`, cuDNN measures its algorithms in the first step and uses the fastest; all shapes are fixed,
    so this happens once. Some of them sum the gradients of weights in the order in which threads arrive, so that two
    runs differ by rounding.

    Args:
        deterministic: Whether to use only algorithms with bit-identical results on the same GPU model. cuBLAS reads its
            setting when it is first used, so enter the block before computing anything.

    Raises:
        RuntimeError: Raised within the block by operations without a deterministic algorithm, which the networks and
            losses do not use.
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
        filling.fill_uninitialized_memory = False  # not needed, because no code reads memory before writing it
    torch.use_deterministic_algorithms(deterministic)
    cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=warns)
        filling.fill_uninitialized_memory, cudnn.benchmark = before[1:]
