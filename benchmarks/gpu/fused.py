"""Bias and LeakyReLU of a convolution in one kernel each way, where the library has two and three passes.

In channels_last memory a channel is the last index. Backward also sums the bias's gradient, in the pass that makes the
gradient by the convolution's output. Written in Triton; `TRITON_INTERPRET=1` runs it on a CPU, slowly.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_BLOCK = 1024
_ROWS = 32
_LOOPS = tl.constexpr(16)


@triton.jit
def _forward(values, bias, size, channels, slope, BLOCK: tl.constexpr):  # noqa: N803
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    value = tl.load(values + at, mask=inside).to(tl.float32) + tl.load(bias + at % channels, mask=inside).to(tl.float32)
    tl.store(values + at, tl.where(value > 0, value, value * slope), mask=inside)


@triton.jit
def _backward(gradient, result, before, sums, rows, slope, CHANNELS: tl.constexpr, ROWS: tl.constexpr):  # noqa: N803
    column = tl.arange(0, CHANNELS)
    total = tl.zeros([CHANNELS], tl.float32)
    for loop in range(_LOOPS):
        row = (tl.program_id(0) * _LOOPS + loop) * ROWS + tl.arange(0, ROWS)
        at = row[:, None] * CHANNELS + column[None, :]
        inside = row[:, None] < rows
        value = tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32)
        value = tl.where(tl.load(result + at, mask=inside, other=0.0) > 0, value, value * slope)
        tl.store(before + at, value, mask=inside)
        total += tl.sum(value, axis=0)
    tl.store(sums + tl.program_id(0) * CHANNELS + column, total)


class BiasLeaky(Function):
    """`leaky_relu(values + bias, slope)` in the place of `values` [n, c, h, w], channels_last, c a power of 2."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor, slope: float) -> Tensor:
        size, channels = values.numel(), values.shape[1]
        _forward[(triton.cdiv(size, _BLOCK),)](values, bias, size, channels, slope, BLOCK=_BLOCK)
        ctx.mark_dirty(values)
        ctx.save_for_backward(values)
        ctx.slope = slope
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (result,) = ctx.saved_tensors
        channels = result.shape[1]
        rows = result.numel() // channels
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        before, programs = torch.empty_like(result), triton.cdiv(rows, _ROWS * _LOOPS.value)
        sums = torch.empty(programs, channels, device=result.device, dtype=torch.float32)
        _backward[(programs,)](gradient, result, before, sums, rows, ctx.slope, CHANNELS=channels, ROWS=_ROWS)
        return before, sums.sum(0), None


def fused_leaky_convolution(layer: nn.Module, images: Tensor, *, slope: float) -> Tensor:
    """`framework.models.arithmetic.leaky.leaky_convolution` with the fused kernel; once differentiable."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    convolve = F.conv_transpose2d if isinstance(layer, nn.ConvTranspose2d) else F.conv2d
    result = convolve(images, layer.weight, None, stride=layer.stride, padding=layer.padding)
    return BiasLeaky.apply(result.contiguous(memory_format=torch.channels_last), layer.bias, slope)
