"""A residual generator and a discriminator that mirrors it, after R3GAN (Huang et al. 2024).

There is no normalisation, so an image does not depend on the batch. Only the branches of the residual blocks have
activations. The last convolution of each branch is initially 0, so a new network is linear: the generator a blend of
learned patterns, the discriminator a weighted sum of patches. This is what makes it trainable without normalisation
(Fixup, Zhang et al. 2019).

R3GAN's branches are grouped convolutions between two 1x1 ones. Here a branch is two dense 3x3 convolutions, of which a
CPU core computes 1.7 to 2.1 times as many multiplications a second (16 channels a group, 16 and 32 px, float32).
"""

import itertools
import math

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.architectures.dcgan import stem_size
from framework.models.architectures.skip import LEAKY_GAIN
from framework.models.arithmetic.leaky import leaky_convolution

_SLOPE = 0.2
_WIDEST = 16  # the smallest maps have at most this many times `width` channels


def basis_size(resolution: int) -> tuple[int, int]:
    """The side of the smallest feature map, and the number of doublings up to the image: one more than `stem_size`.

    An odd stem is not halved.

    >>> basis_size(128), basis_size(96), basis_size(80), basis_size(28)
    ((4, 5), (6, 4), (5, 4), (7, 2))
    """
    stem, halvings = stem_size(resolution)
    return (stem // 2, halvings + 1) if stem % 2 == 0 else (stem, halvings)


def widths_of(resolution: int, width: int) -> list[int]:
    """Channels of the maps from the smallest to the largest.

    The largest has `width`, and each halving doubles it up to 16 times `width`; the two smallest are alike.

    >>> widths_of(128, 24), widths_of(64, 48), widths_of(32, 32)
    ([384, 384, 192, 96, 48, 24], [384, 384, 192, 96, 48], [128, 128, 64, 32])
    """
    _, doublings = basis_size(resolution)
    upper = [width * min(2**halvings, _WIDEST) for halvings in range(doublings)]
    return [upper[-1], *upper[::-1]] if upper else [width]


class Block(nn.Module):
    """A map plus a branch of two 3x3 convolutions with a LeakyReLU between; the second is initially 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.outer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] -> [n, channels, h, w]."""
        return x + self.outer(leaky_convolution(self.inner, x, slope=_SLOPE))


class Generator(GeneratorNetwork):
    """Learned patterns weighted by a linear map of the latent, then residual blocks at each doubling of the side.

    In training the images are not limited, so that a pixel beyond the range still has a gradient. `eval()` limits them
    to [-1, 1].

    Args:
        latent_size: Number of entries of a latent.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest maps.
        blocks: Residual blocks per size of the maps.
    """

    def __init__(self, *, latent_size: int, resolution: int, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels = latent_size, resolution, channels
        side, _ = basis_size(resolution)
        widths = widths_of(resolution, width)
        self.dense = nn.Linear(latent_size, widths[0], bias=False)
        self.basis = nn.Parameter(torch.empty(side, side, widths[0]))
        self.narrow = nn.ModuleList(_between(*pair) for pair in itertools.pairwise(widths))
        self.stages = nn.ModuleList(_stage(channels, blocks) for channels in widths)
        self.to_image = nn.Conv2d(widths[-1], channels, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] from latents [n, latent_size]."""
        x = (self.dense(latents)[:, None, None, :] * self.basis).permute(0, 3, 1, 2)
        x = self.stages[0](x)
        for narrow, stage in zip(self.narrow, self.stages[1:], strict=True):
            x = stage(F.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False))
        images = self.to_image(x)
        return images if self.training else images.clamp(-1.0, 1.0)


class Discriminator(DiscriminatorNetwork):
    """Residual blocks at each halving of the side, then a learned weighted sum of each map, dropout, one logit.

    Args:
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the largest maps.
        blocks: Residual blocks per size of the maps.
        dropout: Probability of dropping a feature, by which a mask scales the kept features.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        side, _ = basis_size(resolution)
        widths = widths_of(resolution, width)[::-1]
        self.from_image = nn.Conv2d(channels, widths[0], 1, bias=False)
        self.stages = nn.ModuleList(_stage(channels, blocks) for channels in widths)
        self.widen = nn.ModuleList(_between(*pair) for pair in itertools.pairwise(widths))
        self.basis = nn.Parameter(torch.empty(side, side, widths[-1]))
        self.features = widths[-1]
        self.dense = nn.Linear(self.features, 1)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n] and features [n, features] of images [n, c, h, w], as `DiscriminatorNetwork` defines them."""
        x = self.stages[0](self.from_image(images))
        for widen, stage in zip(self.widen, self.stages[1:], strict=True):
            x = stage(widen(F.avg_pool2d(x, 2)))
        x = (x.permute(0, 2, 3, 1) * self.basis).sum(dim=(1, 2))
        if dropout_mask is not None:
            x = x * dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
        return x @ self.dense.weight[0] + self.dense.bias, [x]

    def layers_from_image(self) -> list[list[nn.Module]]:
        """The blocks of each size of the maps, with the 1x1 convolution before them."""
        return [list(pair) for pair in zip((self.from_image, *self.widen), self.stages, strict=True)]


def _stage(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(blocks)))


def _between(before: int, after: int) -> nn.Module:
    """A 1x1 convolution between maps of different widths; nothing between those of the same."""
    return nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)


@torch.no_grad()
def initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Sets normal weights that keep the variance (He et al. 2015), zero biases, and branches that begin at 0.

    A branch's first convolution is smaller by the root of the number of blocks (Fixup), so that a first step of the
    optimizer changes the whole network by the same amount for any number of blocks.
    """
    blocks = [block for block in network.modules() if isinstance(block, Block)]
    inner, outer = {block.inner for block in blocks}, {block.outer for block in blocks}
    for layer in network.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        gain = LEAKY_GAIN / math.sqrt(len(blocks)) if layer in inner else 1.0
        inputs = layer.weight[0].numel()
        if isinstance(network, Generator) and layer is network.dense:
            inputs -= network.code_size  # z has its usual weight also beside a long code, most of which is 0
        layer.weight.normal_(std=gain / math.sqrt(inputs), generator=generator)
        if layer in outer:
            layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()
    basis = network.basis
    assert isinstance(basis, Tensor)
    # A generator's pattern is multiplied with one number, a discriminator's sums over its pixels.
    deviation = 1.0 if isinstance(network, Generator) else 1.0 / len(basis)
    basis.normal_(std=deviation, generator=generator)
