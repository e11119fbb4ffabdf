"""The arithmetic of all that is promised bit for bit, on GPUs too; and which kind of GPU it was done on."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")
_lock = threading.Lock()
_to_leave: list[Callable[[], None]] = []  # one for each who is within; only the first one's does anything


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Within it float32 is float32 and cuDNN takes the same algorithm each time; on a CPU nothing changes.

    By default cuDNN rounds to TF32's 10 bits, on some kinds of GPUs, and may take algorithms whose sums depend on the
    order of threads. Other operations have no such choice on the way forward, and gradients are promised nowhere.

    The flags are the process's. So the first of several threads sets them and the last to leave puts them back; whoever
    computes beside them meanwhile computes no less exactly. Entering it again within itself costs a microsecond.
    """
    with _lock:
        _to_leave.append(_nothing if _to_leave else _set())
    try:
        yield
    finally:
        with _lock:
            _to_leave.pop()()


def kind_of(device: str | torch.device) -> str | None:
    """The kind of GPU that a device is, as its driver calls it ("NVIDIA H100 80GB HBM3"); None for a CPU."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else None


def _set() -> Callable[[], None]:
    """Sets the flags; gives what puts them back.

    torch has two sets of names for TF32, and refuses in the middle of a product what only one of them has changed. So
    the older name is set first, which sets both, then the newer one, which a process-wide default cannot change.
    """
    cudnn: Any = torch.backends.cudnn
    products = torch.backends.cuda.matmul
    algorithms = cudnn.benchmark, cudnn.deterministic
    convolutions = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, _told(lambda: cudnn.allow_tf32)
    product = products.fp32_precision
    older = _told(torch.get_float32_matmul_precision)
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
            if older is not None:
                torch.set_float32_matmul_precision(older)
            products.fp32_precision = product

    return put_back


def _nothing() -> None:
    """What those do who leave while others are still within."""


def _told(name: Callable[[], _T]) -> _T | None:
    """What an older name says; None where newer ones were set so that it has no answer."""
    try:
        return name()
    except RuntimeError:
        return None
