"""A GPU that is not there: real code runs with device="cuda" on a machine that has none.

The one exception to this project's rule that tests have no mocks: nobody can be asked to own a GPU. Tensors on "cuda"
are shapes without values (torch's FakeTensor), all on the CPU is real. A tensor left on the other device raises, and
`.numpy()` of one on the GPU, as they do there. What comes from the GPU to the host is made up, the same each time.
Recorded with the line of the project that asked for it: operations, copies, and whatever waits for the GPU. A copy to
the GPU waits unless it is non-blocking, from pinned memory, and contiguous.

It sees no values, speed, streams, NCCL, nor a kernel that is missing for a type; layouts only in float32 and float64
(of bfloat16 FakeTensor's convolution says nothing true without a GPU). Memory is that of the tensors that are alive,
and its engine of autograd lets go of a graph later than torch's own. It knows torch from within, so it is held to the
minor version that constraints.txt names.
"""

import contextlib
import heapq
import itertools
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

import framework

aten: Any = torch.ops.aten

_ROOTS = tuple(f"{root}/" for root in (Path(framework.__file__).parent, Path(__file__).parents[1]))
_DEVICE: Any = torch.ops.prim.device.default
# Beside views, which torch names itself: what launches no kernel.
_FREE = {
    *(aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default, aten._unsafe_view.default),
    *(aten.new_empty.default, aten.new_empty_strided.default, aten.record_stream.default),
}
_CONVOLUTIONS = {
    aten.convolution.default: ("input", "weight"),
    aten.convolution_backward.default: ("gradient", "input", "weight"),
}


def line() -> str:
    """Where in the project we are: `framework/training/steps/draws.py:49 in Draws.mask`."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        root = next((root for root in _ROOTS if file.startswith(root)), None)
        if root is not None and file != __file__:
            return f"{Path(root).name}/{file[len(root) :]}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        frame = frame.f_back
    return "nowhere in the project"


@dataclass
class Record:
    """What a stretch of work asked of the GPU, each as "what: line" -> how often.

    Attributes:
        operations: Kernels, or what comes to a few of them.
        blocking: Copies to the GPU that the host waits for.
        copies: Copies either way that nobody waits for.
        waits: Whatever else makes the host wait for the GPU.
        layouts: Convolutions of what is not channels_last.
        aside: "what: line" of what blocks or waits in a thread beside the one that records.
    """

    operations: Counter[str] = field(default_factory=Counter)
    blocking: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    layouts: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)

    def told(self, *names: str) -> str:
        """The named counters, a line each thing."""
        rows = [(name, *each) for name in names for each in sorted(getattr(self, name).items())]
        return "\n".join(f"{name}: {count} x {what}" for name, what, count in rows)


class Gpu:
    """The GPU that is pretended, and what was asked of it so far.

    Attributes:
        held: Bytes of the tensors that are alive.
        most: The most there were.
    """

    def __init__(self) -> None:
        self.record = Record()
        self.held = self.most = 0
        self._storages: set[int] = set()
        self.lock = threading.RLock()  # FakeTensorMode is made for one thread
        self.shapes = FakeTensorMode(allow_non_fake_inputs=True)
        self._main = threading.get_ident()
        self._pinned: list[StorageWeakRef] = []
        self._random = torch.Generator().manual_seed(0)

    def taken(self) -> Record:
        """What was asked since this was last called."""
        with self.lock:
            record, self.record = self.record, Record()
        return record

    def note(self, kind: str, what: str) -> None:
        """Records one thing."""
        if threading.get_ident() != self._main:
            if kind not in ("blocking", "waits"):
                return
            kind, what = "aside", f"{kind}: {what}"
        with self.lock:
            getattr(self.record, kind)[f"{what}: {line()}" if kind != "operations" else what] += 1

    def hold(self, found: Any) -> None:
        """Counts the memory of what an operation gave, until it is gone."""
        for tensor in found if isinstance(found, list | tuple) else [found]:
            if not isinstance(tensor, FakeTensor) or tensor.fake_device.type != "cuda":
                continue
            storage = tensor.untyped_storage()
            if storage._cdata not in self._storages:
                self._storages.add(storage._cdata)
                self.held += storage.nbytes()
                self.most = max(self.most, self.held)
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())

    def _gone(self, storage: int, size: int) -> None:
        self._storages.discard(storage)
        self.held -= size

    def pin(self, host: Tensor) -> Tensor:
        """The same tensor, its memory pinned from now on."""
        self._pinned.append(StorageWeakRef(host.untyped_storage()))
        return host

    def is_pinned(self, host: Tensor) -> bool:
        """Whether it lies in pinned memory, be it as a view."""
        self._pinned = [pinned for pinned in self._pinned if not pinned.expired()]
        place = host.untyped_storage().data_ptr()
        for pinned in self._pinned:
            storage = torch.UntypedStorage._new_with_weak_ptr(pinned.cdata)
            if storage is not None and storage.data_ptr() <= place < storage.data_ptr() + storage.nbytes():
                return True
        return False

    def made_up(self, host: Tensor) -> Tensor:
        """Fills a tensor of the host with what might have come from the GPU: floats in (0, 1), ones, True.

        Bytes are such that they are floats in (0, 1) too, if they are taken for some.
        """
        with torch.no_grad():
            if host.is_floating_point():
                return host.uniform_(generator=self._random)
            return host.random_(56, 64, generator=self._random) if host.dtype == torch.uint8 else host.fill_(1)


class _Mode(TorchDispatchMode):
    """Sends each operation of a thread to the CPU or to the GPU that is not there."""

    def __init__(self, gpu: Gpu) -> None:
        super().__init__()
        self._gpu = gpu

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to be wrapped for that costs time at each operation

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is _DEVICE:  # asked for at every turn
            return args[0].fake_device if isinstance(args[0], FakeTensor) else args[0].device
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and func not in (aten.empty.memory_format, aten._to_copy.default):
            with self:  # inference mode hands over operations that consist of others
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        devices = {tensor.device.type for tensor in _tensors(args, kwargs)}
        wanted = kwargs.get("device")
        if "cuda" not in devices and (wanted is None or torch.device(wanted).type != "cuda"):
            return self._on_host(func, args, kwargs)
        special = _SPECIAL.get(func)
        return special(self, func, *args, **kwargs) if special else self._shaped(func, *args, **kwargs)

    def _on_host(self, func: Any, args: tuple, kwargs: dict) -> Any:
        if not kwargs.get("pin_memory"):
            return func(*args, **kwargs)
        return self._gpu.pin(func(*args, **{**kwargs, "pin_memory": False}))

    def _shaped(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """What an operation of the GPU gives, without values."""
        self._check(func, args, kwargs)
        pinned = kwargs.pop("pin_memory", False)
        try:
            found = self._without_values(func, args, kwargs)
        except RuntimeError as fault:
            raise RuntimeError(f"{func} at {line()}: {fault}") from fault
        if not func.is_view and func not in _FREE:
            self._gpu.note("operations", func.name().removeprefix("aten::"))
        if isinstance(found, FakeTensor) and found.device.type == "cpu":  # such as empty_like(…, device="cpu")
            host = self._real(found)
            return self._gpu.pin(host) if pinned else host
        return found

    def _without_values(self, func: Any, args: tuple, kwargs: dict) -> Any:
        with self._gpu.lock:
            args = _mapped(args, self._faked)
            kwargs = {name: _mapped(value, self._faked) for name, value in kwargs.items()}
            with self._gpu.shapes:
                found = func(*args, **kwargs)
            self._gpu.hold(found)
            return found

    def _check(self, func: Any, args: tuple, kwargs: dict) -> None:
        """What a GPU minds and FakeTensor does not; and the layout of what is convolved."""
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type == "cpu":
            raise RuntimeError(f"{func} at {line()}: a generator of the CPU draws no numbers on the GPU")
        if "_fused_" in func.name() or "_foreach_" in func.name():
            lists = [value for value in args if isinstance(value, list | tuple)]
            devices = {str(tensor.device) for tensor in _tensors((list(itertools.chain(*lists)),), {})}
            if len(devices) > 1:
                raise RuntimeError(f"{func} at {line()}: tensors on {' and '.join(sorted(devices))}")
        for name, tensor in zip(_CONVOLUTIONS.get(func, ()), args, strict=False):
            exact = tensor.dtype in (torch.float32, torch.float64)
            if exact and tensor.ndim == 4 and not tensor.is_contiguous(memory_format=torch.channels_last):
                self._gpu.note("layouts", f"{func.name()}'s {name} {list(tensor.shape)} of strides {tensor.stride()}")

    def _faked(self, tensor: Tensor) -> Tensor:
        return tensor if isinstance(tensor, FakeTensor) else self._gpu.shapes.from_tensor(tensor.detach())

    def _real(self, like: Tensor) -> Tensor:
        """On the host, with the shape, layout and type of one without values."""
        return self._gpu.made_up(torch.empty_strided(tuple(like.shape), like.stride(), dtype=like.dtype))

    def _upload(self, host: Tensor, *, non_blocking: bool) -> None:
        whole = host.is_contiguous() or (host.ndim == 4 and host.is_contiguous(memory_format=torch.channels_last))
        pinned = self._gpu.is_pinned(host)
        if non_blocking and pinned and whole:
            return self._gpu.note("copies", "copy to the GPU")
        why = "not asked to be non-blocking" if not non_blocking else "of memory that is not pinned"
        why = "of pinned memory that is not contiguous" if non_blocking and pinned else why
        return self._gpu.note("blocking", f"copy to the GPU ({why})")

    def _to_copy(self, func: Any, given: Tensor, **kwargs: Any) -> Tensor:
        target = torch.device(kwargs.get("device") or given.device)
        free = kwargs.pop("non_blocking", False)
        if target.type == given.device.type:
            return self._shaped(func, given, **kwargs)
        if target.type == "cuda":
            self._upload(given, non_blocking=free)
            return self._without_values(func, (given,), kwargs)
        self._gpu.note("copies" if free else "waits", "copy to the host")
        stays = {name: value for name, value in kwargs.items() if name not in ("device", "pin_memory")}
        host = self._real(self._without_values(func, (given,), stays))
        return self._gpu.pin(host) if free else host  # as torch does it

    def _copy(self, func: Any, into: Tensor, given: Tensor, non_blocking: bool = False) -> Tensor:
        if into.device.type == given.device.type:
            return self._shaped(func, into, given)
        if into.device.type == "cuda":
            self._upload(given, non_blocking=non_blocking)
            return into
        free = non_blocking and self._gpu.is_pinned(into)
        self._gpu.note("copies" if free else "waits", "copy to the host")
        return self._gpu.made_up(into)

    def _number(self, _: Any, given: Tensor) -> bool | int | float:
        self._gpu.note("waits", "a number taken to the host (item, float, int, bool)")
        return self._gpu.made_up(torch.empty((), dtype=given.dtype)).item()

    def _equal(self, _: Any, *__: Any) -> bool:
        self._gpu.note("waits", "equal")
        return False

    def _settled(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """What looks at an error code on the host, such as cholesky does."""
        self._gpu.note("waits", func.name())
        return self._shaped(func, *args, **kwargs)

    def _positions(self, _: Any, given: Tensor) -> Tensor:
        """Of what is not 0, which is all of it."""
        self._gpu.note("waits", "nonzero")
        return self._places(given.numel(), given.ndim)

    def _indexed(self, func: Any, into: Tensor, indices: Sequence[Tensor | None], *rest: Any) -> Any:
        """By numbers or by masks, which are True all over; on the host they are real, and are copied."""
        fills = len(rest) > 0 and rest[0].numel() == 1 and not any(rest[1:2])
        ready: list[Tensor | None] = []
        for index in indices:
            if index is None:
                ready.append(index)
                continue
            is_mask = index.dtype in (torch.bool, torch.uint8)
            if index.device.type == "cpu":
                self._upload(index, non_blocking=False)
            elif is_mask and not fills:  # to fill where a mask says so takes no list of places
                self._gpu.note("waits", "index by a mask")
            if is_mask:
                count = int(index.sum()) if index.device.type == "cpu" else index.numel()
                ready += [self._places(count) for _ in range(index.ndim)]
            else:
                ready.append(index)
        return self._shaped(func, into, ready, *rest)

    def _resized(self, func: Any, given: Tensor, *rest: Any, **kwargs: Any) -> Tensor:
        """In the layout that it was given: FakeTensor says what torch's compiler would do with few channels."""
        found = self._shaped(func, given, *rest, **kwargs)
        if given.is_contiguous() or not given.is_contiguous(memory_format=torch.channels_last):
            return found
        return self._without_values(aten.clone.default, (found,), {"memory_format": torch.channels_last})

    def _places(self, *shape: int) -> Tensor:
        about = {"dtype": torch.long, "device": torch.device("cuda")}
        return self._without_values(aten.empty.memory_format, (shape,), about)


_SPECIAL: dict[Any, Callable[..., Any]] = {
    aten._to_copy.default: _Mode._to_copy,
    aten.copy_.default: _Mode._copy,
    aten._local_scalar_dense.default: _Mode._number,
    aten.equal.default: _Mode._equal,
    aten.nonzero.default: _Mode._positions,
    aten._linalg_check_errors.default: _Mode._settled,
    aten.upsample_bilinear2d.default: _Mode._resized,
    aten.upsample_bilinear2d.vec: _Mode._resized,
    aten.index.Tensor: _Mode._indexed,
    aten.index_put.default: _Mode._indexed,
    aten.index_put_.default: _Mode._indexed,
    aten._index_put_impl_.default: _Mode._indexed,
}


def _tensors(args: tuple, kwargs: dict) -> Iterator[Tensor]:
    for value in itertools.chain(args, kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, Tensor))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, change) for each in value)
    return value


class _Queue:
    """An event or a stream: all is done already, but to wait for it is recorded."""

    def __init__(self, gpu: Gpu, *_: Any, **__: Any) -> None:
        self._gpu = gpu

    def synchronize(self) -> None:
        self._gpu.note("waits", "synchronize")

    def query(self) -> bool:
        return True

    def elapsed_time(self, _: Any) -> float:
        return 1.0

    def record_event(self, event: Any = None) -> Any:
        return event or _Queue(self._gpu)

    def nothing(self, *_: Any) -> None:
        """Others' events and streams are done too."""

    record = wait = wait_event = wait_stream = nothing


def _set_device(device: torch.device | str | int) -> None:
    """As torch, which wants the number too."""
    if not isinstance(device, int) and torch.device(device).index is None:
        raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")


def _cuda(gpu: Gpu) -> dict[str, Any]:
    """`torch.cuda`, by name: what product code, or torch itself, asks of it."""
    about = {"name": "pretended GPU", "major": 9, "minor": 0, "total_memory": 80 * 2**30, "multi_processor_count": 132}
    return {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": _set_device,
        "device": lambda _: contextlib.nullcontext(),
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_name": lambda _=None: about["name"],
        "get_device_capability": lambda _=None: (about["major"], about["minor"]),
        "get_device_properties": lambda _=None: SimpleNamespace(**about),
        "mem_get_info": lambda _=None: (about["total_memory"], about["total_memory"]),
        "memory_allocated": lambda _=None: gpu.held,
        "max_memory_allocated": lambda _=None: gpu.most,
        "memory_reserved": lambda _=None: gpu.held,
        "max_memory_reserved": lambda _=None: gpu.most,
        "reset_peak_memory_stats": lambda _=None: setattr(gpu, "most", gpu.held),
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "synchronize": lambda _=None: gpu.note("waits", "synchronize"),
        "Event": lambda *_, **__: _Queue(gpu),
        "Stream": lambda *_, **__: _Queue(gpu),
        "current_stream": lambda _=None: _Queue(gpu),
        "default_stream": lambda _=None: _Queue(gpu),
        "stream": lambda _: contextlib.nullcontext(),
    }


def _moved(module: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`Module._apply`, which `.to` is made of: torch's own swaps tensors, which FakeTensors do not let it."""
    for child in module.children() if recurse else ():
        child._apply(change)
    for name, weight in module._parameters.items():
        if weight is not None:
            with torch.no_grad():
                module._parameters[name] = nn.Parameter(change(weight), weight.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = change(buffer)
    return module


def _gpu_methods() -> dict[str, Any]:
    def refused(given: Tensor, **_: Any) -> None:
        raise TypeError(f"can't convert {given.device} device type tensor to numpy at {line()}")

    return {"numpy": refused, "tolist": lambda given: given.cpu().tolist(), "data_ptr": lambda given: 0}


def _methods(gpu: Gpu) -> dict[str, Any]:
    def pinned(given: Tensor, device: Any = None) -> Tensor:
        if given.device.type != "cpu":
            raise RuntimeError(f"cannot pin a tensor on {given.device} at {line()}: only the host's memory can be")
        return given if gpu.is_pinned(given) else gpu.pin(given.clone())

    return {
        "pin_memory": pinned,
        "is_pinned": lambda given, device=None: given.device.type == "cpu" and gpu.is_pinned(given),
        "record_stream": lambda given, stream: None,
        "backward": _backward,
    }


@contextlib.contextmanager
def pretended() -> Iterator[Gpu]:
    """Whatever is done inside, in threads begun inside too, finds one GPU, "cuda"."""
    gpu = Gpu()
    torch._C._ensureCUDADeviceGuardSet()  # a guard that does nothing; it stays, and nothing else looks at it
    with contextlib.ExitStack() as stack:

        def patch(place: Any, **found: Any) -> None:
            for name, value in found.items():
                # The one place where tests replace parts: a GPU is not there, and what is counted on this one is the
                # product's own code.
                stack.enter_context(mock.patch.object(place, name, value))

        patch(torch.cuda, **_cuda(gpu))
        patch(nn.Module, _apply=_moved)
        patch(Tensor, **_methods(gpu))
        patch(FakeTensor, **_gpu_methods())
        patch(torch.autograd, grad=_grad)
        patch(threading.Thread, start=_start_inside(gpu, threading.Thread.start))
        stack.enter_context(_inside(gpu))
        yield gpu


@contextlib.contextmanager
def _inside(gpu: Gpu) -> Iterator[None]:
    """In this thread: modes are a thread's own."""
    lifts = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda"): made on the host, then copied
    try:
        with _Mode(gpu):
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts)


def _start_inside(gpu: Gpu, start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def started(thread: threading.Thread) -> None:
        run = thread.run

        def inside() -> None:
            with _inside(gpu):
                run()

        thread.run = inside
        start(thread)

    return started


# An engine of autograd: torch's own asks the driver for its devices. Nodes by falling number, so that all that a node
# is given is there when its turn comes. Where gradients of some tensors only are wanted it computes those of all.


def _descended(
    roots: Sequence[Tensor], given: Sequence[Tensor | None], *, wanted: Sequence[Tensor] = (), create_graph: bool
) -> list[Tensor | None]:
    """The gradients by `wanted`; without those, all leaves get theirs."""
    places = {_place(tensor): number for number, tensor in enumerate(wanted)}
    found: list[Tensor | None] = [None] * len(wanted)
    waiting: dict[Any, dict[int, Tensor]] = {}
    turns: list[tuple[int, int, Any]] = []
    ties = itertools.count()

    def hand_over(node: Any, output: int, gradient: Tensor | None) -> None:
        if node is None or gradient is None:
            return
        if node not in waiting:
            waiting[node] = {}
            heapq.heappush(turns, (0 if _is_leaf(node) else -node._sequence_nr(), next(ties), node))
        about = node.variable if _is_leaf(node) else node._input_metadata[output]
        gradient = gradient if gradient.shape == about.shape else gradient.sum_to_size(about.shape)
        gradient = gradient.to(about.dtype)
        before = waiting[node].get(output)
        waiting[node][output] = gradient if before is None else before + gradient

    with torch.set_grad_enabled(create_graph):
        for root, gradient in zip(roots, given, strict=True):
            if not root.requires_grad:
                raise RuntimeError(f"at {line()}: a tensor does not require grad and does not have a grad_fn")
            hand_over(*_place(root), torch.ones_like(root) if gradient is None else gradient)
        while turns:
            node = heapq.heappop(turns)[2]
            gradients = waiting.pop(node)
            for output, gradient in gradients.items():
                if (node, output) in places:
                    found[places[node, output]] = gradient
            if _is_leaf(node):
                if not wanted:
                    _accumulate(node.variable, gradients[0])
                continue
            call = getattr(node, "apply", node)  # a Function's own node has one
            results = call(*(gradients.get(output) for output in range(len(node._input_metadata))))
            results = results if isinstance(results, tuple) else (results,)
            for (following, output), gradient in zip(node.next_functions, results, strict=False):
                hand_over(following, output, gradient)
    return found


def _place(tensor: Tensor) -> tuple[Any, int]:
    """The node whose output a tensor is, or that gathers its gradient."""
    return torch.autograd.graph.get_gradient_edge(tensor)[:2]


def _is_leaf(node: Any) -> bool:
    return node.name() == "torch::autograd::AccumulateGrad"


def _accumulate(leaf: Tensor, gradient: Tensor) -> None:
    """As torch does it: in the leaf's own layout."""
    with torch.no_grad():
        if leaf.grad is not None:
            leaf.grad += gradient
        elif gradient.stride() == leaf.stride():
            leaf.grad = gradient.detach()
        else:
            leaf.grad = torch.empty_like(leaf).copy_(gradient)


def _backward(root: Tensor, gradient: Tensor | None = None, *_: Any, create_graph: bool = False, **__: Any) -> None:
    _descended([root], [gradient], create_graph=create_graph)


def _grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, *_: Any, create_graph: bool = False, allow_unused: Any = None
) -> tuple[Tensor | None, ...]:
    roots, wanted = ([each] if isinstance(each, Tensor) else list(each) for each in (outputs, inputs))
    given = [None] * len(roots) if grad_outputs is None else list(grad_outputs)
    found = _descended(roots, given, wanted=wanted, create_graph=create_graph)
    if None in found and not allow_unused:
        raise RuntimeError(f"at {line()}: one of the differentiated tensors was not used in the graph")
    return tuple(found)
