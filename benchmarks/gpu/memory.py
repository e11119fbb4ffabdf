"""What a step holds at its peak, counted without a device: tensors of shape alone, each storage from birth to death.

On torch's `meta` device a step takes the operations that it takes on a GPU, in float32. cuDNN's workspace and what CUDA
itself holds (some 0.5 GiB) are not counted. In bfloat16 what convolutions and products keep is half as large; that is
estimated: half of all that is no weight, average or moment.
"""

import weakref
from typing import Any

import torch
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.gpu.bench import replaced
from benchmarks.gpu.cases import made, moving
from framework.training import adam as adam_module

META = torch.device("meta")


class _Held(TorchDispatchMode):
    """Bytes in storages that are alive, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device == META:
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def step_bytes(case: str, *, batch: int, **more: Any) -> tuple[int, int]:
    """The peak of two steps in float32, and what stays between them: weights, averages, gradients, moments."""
    with _Held() as held, replaced(adam_module, "Adam", _plain_adam):
        trial = made(case, device=META, precision="float32", batch=batch, **more)
        move = moving(trial, META)
        for _ in range(2):
            move()
        return held.most, held.now


def in_bfloat16(peak: int, staying: int) -> int:
    """The estimate of the peak in bfloat16, from what float32's count gives."""
    return staying + (peak - staying) // 2


def _plain_adam(parameters: Any, **settings: Any) -> Adam:
    """Adam's fused kernel knows no tensors of shape alone."""
    return Adam(parameters, **{**settings, "fused": False, "foreach": True})
