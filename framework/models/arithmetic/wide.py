"""A convolution with a large kernel and few output channels, several times faster than torch's on a CPU.

Libraries optimise convolutions for many output channels: an 8x8 kernel to 3 channels runs at a fifth of the usual rate
(measured on a CPU: 19 of 100 GFLOP/s forward, and 19 for the gradient of the weights). Here the rows of the kernel
become channels: a 1x8 convolution to 8 x 3 channels, whose 8 groups are then added, each shifted by one row. On a CPU
the gradient of the weights is a matrix product with windows of the output's gradient, which are small because it has
few channels. On a GPU, whose tiles are at least 32 channels wide, a second convolution adds the groups, and torch
differentiates both.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# Pixels per part, so that intermediate results stay in the cache.
_CHUNK_PIXELS = 16_384


def wide_convolution(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`same` convolution with an even kernel, padded as in Keras: k / 2 - 1 before, k / 2 after.

    Args:
        images: [n, c, h, w], fastest in channels_last memory.
        weight: [few, c, k, k], k even.
        bias: [few] or None.

    Returns:
        [n, few, h, w].
    """
    if images.device.type != "cpu":
        return convolution_by_rows(images, weight, bias)
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        images, weight = images.to(dtype), weight.to(dtype)
    result = _WideConvolution.apply(images, weight)
    return result if bias is None else result + bias.view(1, -1, 1, 1)


def convolution_by_rows(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same convolution from two of torch's, for any device; can be differentiated twice.

    In bfloat16 the sums over a row are rounded before they are added.
    """
    few, c, k, _ = weight.shape
    rows = weight.transpose(1, 2).reshape(few * k, c, 1, k)  # no copy if the weight is channels_last
    by_row = F.conv2d(images, rows, padding=(0, k // 2))  # [n, few * k, h, w + 1]
    # 1 where a row's channel meets its position in the kernel; created on the device, so that nothing is copied.
    ones = torch.eye(few * k, device=by_row.device, dtype=by_row.dtype).view(few, k, few * k).mT.unsqueeze(3)
    # Padding of k / 2 on both sides gives one extra row and column.
    return F.conv2d(by_row, ones, bias, padding=(k // 2, 0))[:, :, 1:, 1:]


class _WideConvolution(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        few, c, k, _ = weight.shape
        n, _, h, w = images.shape
        rows = weight.permute(2, 0, 1, 3).reshape(k * few, c, 1, k).contiguous(memory_format=torch.channels_last)
        result = torch.zeros(n, h, w, few, dtype=torch.promote_types(images.dtype, torch.float32))
        for part in _parts(images):
            by_row = F.conv2d(images[part], rows, padding=(0, k // 2))[:, :, :, 1:]  # [m, k * few, h, w]
            by_row = by_row.permute(0, 2, 3, 1).unflatten(3, (k, few))
            for row in range(k):  # output row i uses input row i + shift
                shift = row - (k // 2 - 1)
                first, last = max(0, -shift), min(h, h - shift)
                result[part, first:last] += by_row[:, first + shift : last + shift, :, row]
        return result.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (slope,) = gradients
        images, weight = ctx.saved_tensors
        few, c, k, _ = weight.shape
        h, w = images.shape[2:]
        before, after = k // 2, k // 2 - 1  # the padding of the output, swapped
        slope = slope.to(images.dtype).permute(0, 2, 3, 1)
        padded = F.pad(slope, (0, 0, before, after, before, after)).contiguous()  # [n, h + k - 1, w + k - 1, few]
        by_image = by_weight = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
            by_image = F.conv2d(padded.permute(0, 3, 1, 2), turned)
        if ctx.needs_input_grad[1]:
            total = torch.zeros(k * k * few, c, dtype=torch.promote_types(images.dtype, torch.float32))
            sn, sh, sw, _ = padded.stride()
            for part in _parts(images):
                block = padded[part]
                windows = block.as_strided(
                    (len(block), h, w, k, k * few), (sn, sh, sw, sh, 1), block.storage_offset()
                ).reshape(-1, k * k * few)  # [m * h * w, k * k * few]: the outputs that depend on each input pixel
                total += windows.t() @ images[part].permute(0, 2, 3, 1).reshape(-1, c)
            by_weight = total.view(k, k, few, c).flip(0, 1).permute(2, 3, 0, 1).to(weight.dtype)
            by_weight = by_weight.contiguous(memory_format=torch.channels_last)  # the layout of DDP's buckets
        return by_image, by_weight


def _parts(images: Tensor) -> list[slice]:
    """Slices of the batch of about `_CHUNK_PIXELS` each."""
    n, _, h, w = images.shape
    size = max(1, _CHUNK_PIXELS // (h * w))
    return [slice(start, start + size) for start in range(0, n, size)]
