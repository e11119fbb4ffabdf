"""Copies a training's tensors to the CPU, and writes them in a thread while the training continues."""

import threading
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Parts = Mapping[str, Mapping[str, Tensor]]


def on_host(parts: Parts) -> Parts:
    """The same tensors on the CPU. All tensors of a type are copied at once, so that the GPU is waited for only once.

    Tensors that are on the CPU already are returned as they are, not copied.
    """
    on_device: dict[torch.dtype, list[tuple[str, str]]] = {}
    result = {part: dict(tensors) for part, tensors in parts.items()}
    for part, tensors in result.items():
        for name, tensor in tensors.items():
            if tensor.device.type != "cpu":
                on_device.setdefault(tensor.dtype, []).append((part, name))
    for names in on_device.values():
        copies = in_one_copy([result[part][name] for part, name in names])
        for (part, name), copied in zip(names, copies, strict=True):
            result[part][name] = copied
    return result


def in_one_copy(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies tensors of one type and device to the CPU at once; the copies share their memory."""
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).cpu()
    pieces = flat.split([tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape) for tensor, piece in zip(tensors, pieces, strict=True)]


class Writing:
    """A write that runs in a separate thread.

    Args:
        write: The function that writes; it is called immediately, in the new thread.
    """

    def __init__(self, write: Callable[[], object]) -> None:
        self._fault: BaseException | None = None

        def work() -> None:
            try:
                write()
            except BaseException as fault:
                self._fault = fault

        self._thread = threading.Thread(target=work, name="checkpoint")
        self._thread.start()

    def done(self) -> bool:
        """Whether the write has ended, so that `wait` returns at once."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Waits until the write has ended, and raises its exception if it failed."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
