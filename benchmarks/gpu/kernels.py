"""What other kernels would give: a CUDA graph of the step, a fused activation, rows, another backward for R1."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd import Function

from benchmarks.gpu.bench import Bench, replaced
from benchmarks.gpu.cases import library_wide, made, moving
from framework.models.architectures import dcgan, skip
from framework.models.arithmetic.bfloat16 import has_bfloat16
from framework.models.arithmetic.leaky import leaky_convolution
from framework.models.arithmetic.wide import convolution_by_rows

BOTH = (False, True)


def graphs(bench: Bench) -> None:
    """The step as one CUDA graph (without R1, whose steps would be a second one), beside the same step eager."""
    sizes = [("dcgan 128", 16), ("dcgan 128", 128), ("skip 64", 64), ("skip 32", 32), ("vae 28", 128)]
    torch.backends.cudnn.benchmark = True
    for case, batch in sizes if not bench.quick else [("skip 32", 4)]:
        trial = made(case, device=bench.device, precision=best_precision(bench), batch=batch)
        work = moving(trial, bench.device, numbers="held")
        eager = bench.pipelined(work)
        replay, figures = _captured(bench, trial.state, work)
        graph = bench.pipelined(replay)
        text = f"{eager:.2f} ms eager, {graph:.2f} ms as a graph: {_speed(batch, eager)} against {_speed(batch, graph)}"
        finite = bool(torch.isfinite(figures).all())
        bench.told(f"graph, {case}, batch {batch}", text, eager_ms=eager, graph_ms=graph, finite=finite)


def activation(bench: Bench) -> None:
    """Bias and LeakyReLU in one kernel: beside the library's for one layer, and within a step."""
    from benchmarks.gpu.fused import fused_leaky_convolution

    ways = {"library": leaky_convolution, "fused": fused_leaky_convolution}
    count, side, width = (64, 64, 128) if not bench.quick else (2, 4, 16)
    precision = best_precision(bench)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layer = _on(bench, nn.Conv2d(width, width, 3, stride=1, padding=1), dtype)
    images = _on(bench, torch.randn(count, width, side, side), dtype).requires_grad_()
    results = {name: _with_gradients(way, layer, images) for name, way in ways.items()}
    pairs = zip(results["library"], results["fused"], strict=True)
    apart = max(float((a.double() - b.double()).norm() / a.double().norm()) for a, b in pairs)
    times = {name: bench.drained(lambda way=way: _with_gradients(way, layer, images)) for name, way in ways.items()}
    text = ", ".join(f"{name} {ms:.2f} ms" for name, ms in times.items())
    bench.told(f"a layer of {count} x {width} x {side} x {side}", f"{text}; {apart:.1e} apart", **times, apart=apart)
    torch.backends.cudnn.benchmark = True
    for case, batch in [("dcgan 128", 128), ("skip 64", 64)] if not bench.quick else [("skip 32", 2)]:
        for name, way in ways.items():
            module = dcgan if case.startswith("dcgan") else skip
            with replaced(module, "leaky_convolution", way):
                more = {"model.width": 8} if bench.quick else {}
                trial = made(case, device=bench.device, precision=precision, batch=batch, **more)
                ms = bench.pipelined(moving(trial, bench.device, numbers="held"))
            bench.told(f"step with the {name} activation, {case}", f"{ms:.2f} ms, {_speed(batch, ms)}", ms=ms)


def rows(bench: Bench) -> None:
    """The 8x8 convolution to 3 channels by rows, beside the library's."""
    for dtype, benchmark in itertools.product(_dtypes(bench), BOTH):
        torch.backends.cudnn.benchmark = benchmark
        for name, way in (("library", library_wide), ("by rows", convolution_by_rows)):
            forward, both = _wide_times(bench, way, dtype)
            title = f"8x8 to 3 channels, {_name(dtype)}, {name}, benchmark {_word(benchmark)}"
            bench.told(title, f"{forward:.2f} ms, with backward {both:.2f} ms", forward_ms=forward, both_ms=both)


def penalty(bench: Bench) -> None:
    """R1 of two convolutions: the library's double backward, and a first backward that is a transposed convolution."""
    count, side, width = (64, 64, 32) if not bench.quick else (2, 16, 8)
    shapes = [(width, 2 * width), (2 * width, 4 * width)]
    weights = [_on(bench, nn.Conv2d(a, b, 4).weight.detach(), torch.float32).requires_grad_() for a, b in shapes]
    images = _on(bench, torch.randn(count, width, side, side), torch.float32).requires_grad_()

    def r1(convolve: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        value = images
        for weight in weights:
            value = F.leaky_relu(convolve(value, weight), 0.2)
        (slope,) = torch.autograd.grad(value.sum(), images, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), weights)

    ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "library": lambda value, weight: F.conv2d(value, weight, stride=2, padding=1),
        "transposed": _Transposed.apply,
    }
    for benchmark in BOTH:
        torch.backends.cudnn.benchmark = benchmark
        pairs = zip(*(r1(way) for way in ways.values()), strict=True)
        apart = max(float((a - b).norm() / a.norm()) for a, b in pairs)
        times = {name: bench.drained(lambda way=way: r1(way)) for name, way in ways.items()}
        text = ", ".join(f"{name} {ms:.2f} ms" for name, ms in times.items())
        bench.told(f"R1, benchmark {_word(benchmark)}", f"{text}; {apart:.1e} apart", **times, apart=apart)


def best_precision(bench: Bench) -> str:
    """bfloat16 where the device has it."""
    return "bfloat16" if has_bfloat16(bench.device) else "float32"


class _Transposed(Function):
    """A 4x4 convolution of stride 2 whose gradient by the image is an ordinary differentiable operation."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        return F.conv2d(images, weight, stride=2, padding=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        images, weight = ctx.saved_tensors
        by_weight = None
        if ctx.needs_input_grad[1]:
            how = [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
            by_weight = torch.ops.aten.convolution_backward(gradients[0], images, weight, None, *how)[1]
        return F.conv_transpose2d(gradients[0], weight, stride=2, padding=1), by_weight


def _captured(bench: Bench, state: Any, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
    """The replay of a graph of the step, and the figures that it writes; without a card the step itself."""
    if not bench.is_card:
        return work, work()
    for optimizer in state.optimizers().values():
        for group in optimizer.param_groups:
            group["capturable"] = True
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        figures = work()
    graph.replay()
    return graph.replay, figures


def _wide_times(bench: Bench, way: Callable[..., Tensor], dtype: torch.dtype) -> tuple[float, float]:
    count, side, width = (64, 128, 128) if not bench.quick else (1, 16, 8)
    images = _on(bench, torch.randn(count, width, side, side), dtype).requires_grad_()
    weight = _on(bench, torch.randn(3, width, 8, 8), dtype).requires_grad_()
    bias = torch.zeros(3, device=bench.device, dtype=dtype)
    forward = bench.drained(lambda: way(images.detach(), weight.detach(), bias))
    return forward, bench.drained(lambda: torch.autograd.grad(way(images, weight, bias).sum(), (images, weight)))


def _with_gradients(way: Callable[..., Tensor], layer: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    result = way(layer, images, slope=0.2)
    return result.detach(), *torch.autograd.grad(result.sum(), [images, *layer.parameters()])


def _on(bench: Bench, thing: Any, dtype: torch.dtype) -> Any:
    return thing.to(bench.device, dtype).to(memory_format=torch.channels_last)


def _dtypes(bench: Bench) -> list[torch.dtype]:
    return [torch.float32, *([torch.bfloat16] if has_bfloat16(bench.device) else [])]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _word(on: bool) -> str:
    return "on" if on else "off"


def _speed(batch: int, milliseconds: float) -> str:
    return f"{batch / milliseconds * 1e3:,.0f} images/s"
