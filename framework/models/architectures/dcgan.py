"""The generator and discriminator of the Keras notebooks, for any image size, initialised and padded as in Keras.

Keras weights can be loaded after these changes of layout (`K` is a Keras kernel):

    Dense                 (in, out)       -> weight = K.T
    Conv2D                (h, w, in, out) -> weight = K.permute(3, 2, 0, 1); the discriminator's also .flip(2, 3)
    Conv2DTranspose       (h, w, out, in) -> weight = K.permute(3, 2, 0, 1)
    Dense -> Reshape      unchanged: rows of the dense layer run over (row, column, channel), as in Keras
    Flatten -> Dense(1)   K.reshape(s, s, width).flip(0, 1).reshape(1, -1)

The discriminator works on the image rotated by 180 degrees. Keras pads a 3x3 convolution of stride 2 only at the bottom
and right. PyTorch pads all sides, which at stride 2 has an effect only at the top and left. With rotated images and
kernels the two are equal, so no layer has to copy its input in order to pad it.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.arithmetic.leaky import leaky_convolution
from framework.models.arithmetic.wide import wide_convolution

_SMALLEST_STEM = 7
_SLOPE = 0.2


def stem_size(resolution: int) -> tuple[int, int]:
    """The side of the smallest feature map, resolution / 2^k, and k, the number of halvings.

    >>> stem_size(128), stem_size(32), stem_size(28)
    ((8, 4), (8, 2), (7, 2))
    """
    side, halvings = resolution, 0
    while side % 2 == 0 and side // 2 >= _SMALLEST_STEM:
        side, halvings = side // 2, halvings + 1
    return side, halvings


class Generator(GeneratorNetwork):
    """Dense stem, then transposed convolutions that double the side, then an 8x8 convolution and tanh.

    Args:
        latent_size: Number of entries of a latent.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of every hidden layer.
    """

    def __init__(self, *, latent_size: int, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels, self.width = latent_size, resolution, channels, width
        self.stem, halvings = stem_size(resolution)
        self.dense = nn.Linear(latent_size, self.stem * self.stem * width)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(width, width, 4, stride=2, padding=1) for _ in range(halvings))
        self.to_image = nn.Conv2d(width, channels, 8)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] in [-1, 1] from latents [n, latent_size]."""
        x = F.leaky_relu(self.dense(latents), _SLOPE)
        # [n, stem * stem * width] -> [n, width, stem, stem]; the memory is already channels_last
        x = x.view(-1, self.stem, self.stem, self.width).permute(0, 3, 1, 2)
        for up in self.ups:
            x = leaky_convolution(up, x, slope=_SLOPE)
        return torch.tanh(wide_convolution(x, self.to_image.weight, self.to_image.bias))


class Discriminator(DiscriminatorNetwork):
    """A 3x3 convolution, then 3x3 convolutions of stride 2 down to the stem, dropout, one logit.

    Args:
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        width: Channels of every hidden layer.
        dropout: Probability of dropping a feature, by which a mask scales the kept features.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        stem, halvings = stem_size(resolution)
        self.features = stem * stem * width
        self.from_image = nn.Conv2d(channels, width, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(halvings))
        self.dense = nn.Linear(self.features, 1)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n] and features [n, features], positive for real, of images [n, c, h, w] in [-1, 1].

        Args:
            dropout_mask: [n, features] bool, True where a feature is kept; kept features are scaled up. None disables
                dropout.
        """
        x = leaky_convolution(self.from_image, images.flip(2, 3), slope=_SLOPE)
        for down in self.downs:
            x = leaky_convolution(down, x, slope=_SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)  # [n, stem * stem * width], channels last as in Keras
        if dropout_mask is not None:
            x = x * dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
        # A matrix-vector product, because its gradient has the layout of the weight, which DDP's buckets require.
        return x @ self.dense.weight[0] + self.dense.bias, [x]

    def layers_from_image(self) -> list[list[nn.Module]]:
        """The convolutions."""
        return [[layer] for layer in (self.from_image, *self.downs)]


@torch.no_grad()
def keras_initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Sets Glorot-uniform weights and zero biases, as Keras does, layer by layer.

    The fans are taps x input channels and taps x output channels. A transposed convolution swaps the two, which does
    not change their sum.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(layer.weight.shape[2:])
            bound = math.sqrt(6.0 / (taps * (layer.weight.shape[0] + layer.weight.shape[1])))
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
