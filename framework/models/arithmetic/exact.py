"""Reproducible arithmetic for results that must be bit-identical, also on GPUs, and the name of the GPU model."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")
_lock = threading.Lock()
_restorers: list[Callable[[], None]] = []  # one per active context; only the first one restores the flags


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Disables TF32 and makes cuDNN use deterministic algorithms; on a CPU it has no effect.

    By default cuDNN rounds to TF32's 10 bits on some GPUs, and may use algorithms whose sums depend on the order of
    threads. The other operations of a forward pass have no such choice. Gradients need not be reproducible.

    The flags apply to the whole process. The first of several threads sets them and the last one restores them; other
    code that runs meanwhile is at most more exact. Nesting is allowed and costs a microsecond.
    """
    with _lock:
        _restorers.append(_nothing if _restorers else _set())
    try:
        yield
    finally:
        with _lock:
            _restorers.pop()()


def kind_of(device: str | torch.device) -> str | None:
    """The model of a GPU as its driver names it, such as "NVIDIA H100 80GB HBM3"; None for a CPU."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else None


def _set() -> Callable[[], None]:
    """Sets the flags and returns a function that restores them.

    torch has an older and a newer API for TF32, and raises an error if only one of them was changed. The older flag is
    set first, which sets both, then the newer one, which process-wide defaults cannot override.
    """
    cudnn: Any = torch.backends.cudnn
    products = torch.backends.cuda.matmul
    algorithms = cudnn.benchmark, cudnn.deterministic
    convolutions = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, _value_of(lambda: cudnn.allow_tf32)
    product = products.fp32_precision
    precision = _value_of(torch.get_float32_matmul_precision)
    cudnn.benchmark, cudnn.deterministic = False, True
    cudnn.allow_tf32 = False
    cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
    rounds = product == "tf32"
    if rounds:
        products.allow_tf32 = False
        products.fp32_precision = "ieee"

    def put_back() -> None:
        cudnn.benchmark, cudnn.deterministic = algorithms
        if convolutions[2] is not None:
            cudnn.allow_tf32 = convolutions[2]
        cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = convolutions[:2]
        if rounds:
            if precision is not None:
                torch.set_float32_matmul_precision(precision)
            products.fp32_precision = product

    return put_back


def _nothing() -> None:
    """Restores nothing, for contexts that end while others are active."""


def _value_of(name: Callable[[], _T]) -> _T | None:
    """The value of a flag of the older API; None if the newer API has values that it cannot express."""
    try:
        return name()
    except RuntimeError:
        return None
