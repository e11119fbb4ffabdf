"""A training's tensors taken to the CPU, and the thread that writes them while the training goes on."""

import threading
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Parts = Mapping[str, Mapping[str, Tensor]]


def on_host(parts: Parts) -> Parts:
    """The same tensors on the CPU, those of a type in one copy: a GPU is waited for once, not once a tensor.

    What lies on the CPU is given back as it is, not copied.
    """
    alike: dict[torch.dtype, list[tuple[str, str]]] = {}
    found = {part: dict(tensors) for part, tensors in parts.items()}
    for part, tensors in found.items():
        for name, tensor in tensors.items():
            if tensor.device.type != "cpu":
                alike.setdefault(tensor.dtype, []).append((part, name))
    for places in alike.values():
        copies = in_one_copy([found[part][name] for part, name in places])
        for (part, name), copied in zip(places, copies, strict=True):
            found[part][name] = copied
    return found


def in_one_copy(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one type and device on the CPU, by one copy that all of them share."""
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).cpu()
    pieces = flat.split([tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape) for tensor, piece in zip(tensors, pieces, strict=True)]


class Writing:
    """Something that is written by a thread of its own.

    Args:
        write: Is called at once, in that thread.
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
        """Whether `wait` would not wait."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Until it is written; raises what the writing raised."""
        self._thread.join()
        if self._fault is not None:
            raise self._fault
