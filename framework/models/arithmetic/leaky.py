"""A convolution and its LeakyReLU as one autograd function, which is faster on a CPU than two operations of torch.

Three costs of the separate operations on a CPU, measured at 128 channels and 128x128 pixels, where a core reaches 90
GFLOP/s: the backward of the activation copies its largest tensor (a seventh of a training step); the gradient of the
bias takes as long as that of the weights (a third of a transposed convolution's backward); and the gradient of the
weights of a stride-2 convolution runs at 17 to 30 GFLOP/s in float32. Here the activation works in place, the gradient
of the bias is a sum, and the gradient of the weights is a matrix product over windows.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn
from torch.autograd import Function

# Windows per matrix product; they fit a core's cache (256 x 16 taps x 128 channels x 4 bytes = 2 MB).
_WINDOWS = 256


def leaky_convolution(layer: nn.Module, images: Tensor, *, slope: float) -> Tensor:
    """`leaky_relu(layer(images), slope)` with the same gradients; can be differentiated twice.

    Args:
        layer: Conv2d or ConvTranspose2d with a bias, a square kernel, and equal stride and padding in both directions.
        images: [n, c, h, w], fastest in channels_last memory.
        slope: Slope of the activation below 0.
    """
    if images.device.type != "cpu":
        return F.leaky_relu_(layer(images), slope)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    weight = layer.weight
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        images, weight = images.to(dtype), weight.to(dtype)
    padding = cast("tuple[int, int]", layer.padding)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    return _LeakyConvolution.apply(images, weight, layer.bias, slope, layer.stride[0], padding[0], transposed)


class _LeakyConvolution(Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        slope: float,
        stride: int,
        padding: int,
        transposed: bool,
    ) -> Tensor:
        convolve = F.conv_transpose2d if transposed else F.conv2d
        result = convolve(images, weight, bias.to(images.dtype), stride=stride, padding=padding)
        result = F.leaky_relu_(result, slope)
        ctx.save_for_backward(images, weight, result)
        ctx.how = slope, stride, padding, transposed
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, result = ctx.saved_tensors
        slope, stride, padding, transposed = ctx.how
        wants_images, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        gradient = _before_activation(gradients[0], result, slope)
        exact = images.dtype in (torch.float32, torch.float64)
        # Elsewhere torch's gradient is good enough: a first layer has few channels, and second gradients are rare.
        by_product = exact and wants_weight and stride > 1 and not torch.is_grad_enabled()
        by_images, by_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            images,
            weight,
            None,
            [stride, stride],
            [padding, padding],
            [1, 1],
            transposed,
            [0, 0],
            1,
            [wants_images, wants_weight and not by_product, False],
        )
        if by_product:
            small, big = (images, gradient) if transposed else (gradient, images)
            by_weight = _by_windows(small, big, taps=weight.shape[-1], stride=stride, padding=padding)
        by_bias = gradient.sum((0, 2, 3)) if wants_bias else None
        return by_images, by_weight, by_bias, None, None, None, None


def _before_activation(gradient: Tensor, result: Tensor, slope: float) -> Tensor:
    """The gradient with respect to the activation's input, computed in place where that is safe."""
    channels_last = gradient.is_contiguous(memory_format=torch.channels_last)
    backward = torch.ops.aten.leaky_relu_backward
    if torch.is_grad_enabled() or not channels_last:
        return backward(gradient, result, slope, True)
    # Safe in place, because the networks are chains: no other layer receives this gradient.
    return backward.grad_input(gradient, result, slope, True, grad_input=gradient)


def _by_windows(small: Tensor, big: Tensor, *, taps: int, stride: int, padding: int) -> Tensor:
    """The sum, over all pixels, of the product of a pixel of `small` and its window of `big`.

    Args:
        small: [n, s, h, w], a convolution's output gradient or a transposed convolution's input.
        big: [n, b, h * stride, w * stride].
        taps: Side of a window.
        padding: Padding of `big` on each side.

    Returns:
        [s, b, taps, taps].
    """
    n, s, h, w = small.shape
    b = big.shape[1]
    small, big = small.permute(0, 2, 3, 1), big.permute(0, 2, 3, 1)
    total = torch.zeros(s, taps * taps * b, dtype=small.dtype)
    images_each, rows_each = max(1, _WINDOWS // (h * w)), max(1, min(h, _WINDOWS // w))
    for first in range(0, n, images_each):
        padded = F.pad(big[first : first + images_each], (0, 0, padding, padding, padding, padding))
        steps = padded.stride()
        for row in range(0, h, rows_each):
            part = small[first : first + images_each, row : row + rows_each]
            shape = (*part.shape[:3], taps, taps * b)  # a row of taps is contiguous in memory
            strides = (steps[0], stride * steps[1], stride * steps[2], steps[1], 1)
            windows = padded.as_strided(shape, strides, row * stride * steps[1])
            total.addmm_(part.reshape(-1, s).t(), windows.reshape(-1, taps * taps * b))
    return total.view(s, taps, taps, b).permute(0, 3, 1, 2)
