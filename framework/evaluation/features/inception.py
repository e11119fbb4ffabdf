"""Inception-v3 of 2015-12-05 as FID uses it, computed only up to the required features.

It computes the same function as torch-fidelity's `FeatureExtractorInceptionV3`, from the same file of weights, about
twice as fast on a CPU: batch norm is folded into the convolutions, memory is channels last, and layers after the tap
are not computed. It differs from the Inception of Keras and torchvision: average pools exclude their padding, and the
last block uses a maximum pool. Heusel et al. 2017 used Google's graph of that date, as has every FID since.
"""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

TAPS = (64, 192, 768, 2048)
CLASSES = 1008
_NORM_EPSILON = 1e-3
_STAGES = {
    "Conv2d_1": 64,
    "Conv2d_2": 64,
    "Conv2d_3": 192,
    "Conv2d_4": 192,
    "Mixed_5": 768,
    "Mixed_6": 768,
    "Mixed_7": 2048,
}
# All other convolutions have stride 1 and the padding that keeps the size.
_UNPADDED = ("Conv2d_2a_3x3", "Conv2d_4a_3x3")
_HALVING = (
    *("Conv2d_1a_3x3", "Mixed_6a.branch3x3", "Mixed_6a.branch3x3dbl_3"),
    *("Mixed_7a.branch3x3_2", "Mixed_7a.branch7x7x3_4"),
)


class Inception:
    """The network up to one tap.

    Args:
        weights: torch-fidelity's state dict; the weights of layers after the tap are ignored.
        tap: 64, 192, 768 or 2048: the number of features, each the mean of a channel over the image.
        logits: Whether the logits of the classes are computed too, which takes the whole network.
        dtype: Precision of the convolutions; means and logits are always float32.

    Raises:
        KeyError: Weights are missing.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        tap: int,
        logits: bool = False,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        self.tap = tap
        self.device, self._dtype = torch.device(device), dtype
        self._head = weights["fc.weight"].to(self.device) if logits else None
        self._end = TAPS[-1] if logits else tap
        self._units = {
            name.removesuffix(".conv.weight"): _folded(weights, name.removesuffix(".conv.weight"), dtype, self.device)
            for name in weights
            if name.endswith(".conv.weight") and _stage(name) <= self._end
        }

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Images [n,299,299,3] float32 in [0,255] -> features [n,tap], followed by the logits [n,1008] if enabled."""
        taps = dict(self.walk(images))
        if self._head is None:
            return taps[self.tap]
        return torch.cat([taps[self.tap], self.logits(taps[self._end])], dim=1)

    @torch.inference_mode()
    def logits(self, last: Tensor) -> Tensor:
        """Logits [n,1008] from the last tap's features [n,2048], without bias, as in the usual Inception Score."""
        assert self._head is not None, "built without logits"
        return last @ self._head.T

    @torch.inference_mode()
    def walk(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(tap, features [n,tap]) of images [n,299,299,3] float32 in [0,255], one tap after the other."""
        yield from self._taps(images)

    def differentiable(self, images: Tensor) -> Tensor:
        """Images [n,299,299,3] float32 in [0,255], through which gradients go -> features [n,tap]."""
        return dict(self._taps(images))[self.tap]

    def _taps(self, images: Tensor) -> Iterator[tuple[int, Tensor]]:
        x = ((images - 128) / 128).permute(0, 3, 1, 2).to(self._dtype)
        for tap, stage in zip(TAPS, (self._to_64, self._to_192, self._to_768, self._to_2048), strict=True):
            if tap <= self._end:
                x = stage(x)
                yield tap, x.float().mean(dim=(2, 3))

    def _to_64(self, x: Tensor) -> Tensor:
        x = self._chain(x, "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
        return F.max_pool2d(x, 3, stride=2)

    def _to_192(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self._chain(x, "Conv2d_3b_1x1", "Conv2d_4a_3x3"), 3, stride=2)

    def _to_768(self, x: Tensor) -> Tensor:
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._block(x, block, ["1x1"], ["5x5_1", "5x5_2"], ["3x3dbl_1", "3x3dbl_2", "3x3dbl_3"])
        x = self._halve(x, "Mixed_6a", ["3x3"], ["3x3dbl_1", "3x3dbl_2", "3x3dbl_3"])
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            long = [f"7x7dbl_{k}" for k in range(1, 6)]
            x = self._block(x, block, ["1x1"], ["7x7_1", "7x7_2", "7x7_3"], long)
        return x

    def _to_2048(self, x: Tensor) -> Tensor:
        x = self._halve(x, "Mixed_7a", ["3x3_1", "3x3_2"], [f"7x7x3_{k}" for k in range(1, 5)])
        x = self._fork(x, "Mixed_7b", F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        return self._fork(x, "Mixed_7c", F.max_pool2d(x, 3, stride=1, padding=1))

    def _block(self, x: Tensor, block: str, *branches: list[str]) -> Tensor:
        """Parallel branches of convolutions, and a branch with an average pool.

        In that branch the 1x1 convolution comes before the average, not after it. Both are linear, so the result is the
        same, and only a quarter of the channels have to be averaged.
        """
        parts = [self._chain(x, *(f"{block}.branch{name}" for name in names)) for names in branches]
        last = F.conv2d(x, *self._units[f"{block}.branch_pool"])
        pooled = F.avg_pool2d(last, 3, stride=1, padding=1, count_include_pad=False).relu_()
        return torch.cat([*parts, pooled], dim=1)

    def _halve(self, x: Tensor, block: str, *branches: list[str]) -> Tensor:
        """Branches of convolutions, the last of each with stride 2, and a pool."""
        parts = [self._chain(x, *(f"{block}.branch{name}" for name in names)) for names in branches]
        return torch.cat([*parts, F.max_pool2d(x, 3, stride=2)], dim=1)

    def _fork(self, x: Tensor, block: str, pooled: Tensor) -> Tensor:
        """One of the last blocks, whose 3x3 convolutions are split into parallel 1x3 and 3x1 convolutions."""
        unit = f"{block}.branch"
        short = self._chain(x, f"{unit}3x3_1")
        long = self._chain(x, f"{unit}3x3dbl_1", f"{unit}3x3dbl_2")
        forked = [
            self._chain(stem, f"{unit}{name}{arm}")
            for stem, name in ((short, "3x3_2"), (long, "3x3dbl_3"))
            for arm in "ab"
        ]
        return torch.cat([self._chain(x, f"{unit}1x1"), *forked, self._chain(pooled, f"{unit}_pool")], dim=1)

    def _chain(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            weight, bias = self._units[name]
            halving = name in _HALVING
            padding = (0, 0) if halving or name in _UNPADDED else (weight.shape[2] // 2, weight.shape[3] // 2)
            x = F.conv2d(x, weight, bias, stride=2 if halving else 1, padding=padding).relu_()
        return x


def _stage(name: str) -> float:
    """The first tap after a unit; infinity for a name that does not belong to the network."""
    return next((tap for prefix, tap in _STAGES.items() if name.startswith(prefix)), float("inf"))


def _folded(
    weights: Mapping[str, Tensor], name: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """A convolution with its batch norm folded in, in float64: weight [out,in,kh,kw], bias [out]."""
    norm = {key: weights[f"{name}.bn.{key}"].double() for key in ("weight", "bias", "running_mean", "running_var")}
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + _NORM_EPSILON)
    weight = (weights[f"{name}.conv.weight"].double() * scale.view(-1, 1, 1, 1)).to(dtype)
    bias = (norm["bias"] - norm["running_mean"] * scale).to(dtype)
    return weight.to(device).contiguous(memory_format=torch.channels_last), bias.to(device)
