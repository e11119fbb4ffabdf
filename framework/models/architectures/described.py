"""Networks built from layer descriptions, as checkpoints of the architecture `keras` contain them.

Weights and images have torch's layout, channels first. Only reshaping, and so flattening, uses channels last, as the
shapes of the layers do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.errors import ConfigError
from framework.images import from_intensities, to_intensities
from framework.models.architectures import described_layers as plain
from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork

GENERATOR_KEY, DISCRIMINATOR_KEY = "model.layers", "model.discriminator_layers"

_FUNCTIONS = {
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class Generator(GeneratorNetwork):
    """A chain of layers from a latent to a square image.

    Args:
        layers: Documents of the layers, as `described_layers.documents_of` returns them.
        latent_size: Number of entries of a latent.
        resolution: Width and height of the output of the last layer.
        channels: Channels of the output of the last layer, 1 or 3.

    Raises:
        ConfigError: A layer is invalid, or the last output has a different shape.
    """

    def __init__(
        self, layers: Sequence[Mapping[str, Any]], *, latent_size: int, resolution: int, channels: int
    ) -> None:
        super().__init__()
        self.latent_size, self.resolution, self.channels = latent_size, resolution, channels
        read = plain.layers_of(layers, key=GENERATOR_KEY)
        shapes = plain.shapes_of(read, (latent_size,), key=GENERATOR_KEY)
        if shapes[-1] != (resolution, resolution, channels):
            expected = [resolution, resolution, channels]
            raise ConfigError(f"{GENERATOR_KEY}: the output is {list(shapes[-1])}; it must be {expected}")
        self.steps = chain(read, shapes)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] from latents [n, latent_size]."""
        x = latents
        for step in self.steps:
            x = step(x)
        return x


class Discriminator(DiscriminatorNetwork):
    """A chain of layers from an image in [-1, 1] to one logit.

    The dropout mask applies to the last dropout layer; other dropout layers have no effect.

    Args:
        layers: Documents of the layers, as `described_layers.documents_of` returns them, without the final sigmoid.
        resolution: Width and height of the images in pixels.
        channels: 1 for grey images, 3 for colour.
        dropout: Probability of dropping a feature, by which a mask scales the kept features.

    Raises:
        ConfigError: A layer is invalid, or the output is not one number.
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]], *, resolution: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        read = plain.layers_of(layers, key=DISCRIMINATOR_KEY)
        shapes = plain.shapes_of(read, (resolution, resolution, channels), key=DISCRIMINATOR_KEY)
        if shapes[-1] != (1,):
            raise ConfigError(f"{DISCRIMINATOR_KEY}: the output is {list(shapes[-1])}; it must be one logit, [1]")
        dropouts = [index for index, layer in enumerate(read) if isinstance(layer, plain.Dropout)]
        self._masked = dropouts[-1] if dropouts else None
        self.features = 1 if self._masked is None else int(torch.Size(shapes[self._masked]).numel())
        self.steps = chain(read, shapes)

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """None: the layers before the logit may be of any kind."""
        return ()

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n] of images [n, c, h, w], as `DiscriminatorNetwork` defines them, and no features."""
        x = images
        for index, step in enumerate(self.steps):
            x = step(x)
            if index == self._masked and dropout_mask is not None:
                mask = dropout_mask.to(x.dtype).div_(1.0 - self.dropout)
                if x.ndim == 4:  # [n, features] -> [n, c, h, w], features channels last
                    n, c, h, w = x.shape
                    mask = mask.view(n, h, w, c).permute(0, 3, 1, 2)
                x = x * mask
        return x[:, 0], []

    def layers_from_image(self) -> list[list[nn.Module]]:
        """The layers with weights, except the last one."""
        return [[step] for step in self.steps if any(True for _ in step.parameters())][:-1]


class Normalisation(nn.Module):
    """Batch normalisation with fixed statistics, which training does not change; scale and offset are trained."""

    def __init__(self, layer: plain.Normalisation, shape: plain.Shape) -> None:
        super().__init__()
        size = shape[-1]
        self.epsilon = layer.epsilon
        self.weight = nn.Parameter(torch.ones(size)) if layer.scale else None
        self.bias = nn.Parameter(torch.zeros(size)) if layer.center else None
        self.mean, self.variance = nn.Buffer(torch.zeros(size)), nn.Buffer(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises [n, size, …] along dimension 1."""
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, eps=self.epsilon)


class _Convolution(nn.Conv2d):
    def __init__(self, layer: plain.Convolution, shape: plain.Shape) -> None:
        (top, bottom), (left, right) = layer.pads(shape)
        self.alike = top == bottom and left == right
        padding = (top, left) if self.alike else (0, 0)
        super().__init__(shape[2], layer.filters, layer.kernel, layer.strides, padding, bias=layer.bias)
        self.pads = left, right, top, bottom

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  as torch calls it
        return super().forward(input if self.alike else F.pad(input, self.pads))


class _Transposed(nn.ConvTranspose2d):
    """A transposed convolution cropped as in Keras: torch crops all sides equally, then the end is cropped further."""

    def __init__(self, layer: plain.TransposedConvolution, shape: plain.Shape) -> None:
        cuts, after = layer.cuts(), layer.after(shape)
        cropped = [(shape[axis] - 1) * layer.strides[axis] + layer.kernel[axis] - 2 * cuts[axis] for axis in (0, 1)]
        # If the stride is larger than the kernel, the last rows receive no input and must be added.
        missing = (max(after[0] - cropped[0], 0), max(after[1] - cropped[1], 0))
        super().__init__(
            shape[2], layer.filters, layer.kernel, layer.strides, cuts, output_padding=missing, bias=layer.bias
        )
        self.sides = after[:2]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002  as torch calls it
        output = super().forward(input, output_size)
        height, width = self.sides
        return output if output.shape[2:] == self.sides else output[:, :, :height, :width]


class _Enlargement(nn.Module):
    def __init__(self, layer: plain.Enlargement, _: plain.Shape) -> None:
        super().__init__()
        self.factors, self.how = [float(factor) for factor in layer.factors], layer.how

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.factors, mode=self.how)


class _Reshape(nn.Module):
    def __init__(self, layer: plain.Reshape, _: plain.Shape) -> None:
        super().__init__()
        self.shape = layer.shape

    def forward(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
        flat = flat.reshape(len(x), *self.shape)
        return flat.permute(0, 3, 1, 2) if flat.ndim == 4 else flat


class _Activation(nn.Module):
    def __init__(self, layer: plain.Activation, _: plain.Shape) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        if layer.function in _FUNCTIONS:
            return _FUNCTIONS[layer.function](x)
        x = F.leaky_relu(x, layer.slope) if layer.slope else F.relu(x)
        return x if layer.limit is None else x.clamp(max=layer.limit)


class _Range(nn.Module):
    def __init__(self, layer: plain.Range, _: plain.Shape) -> None:
        super().__init__()
        self.to_model = layer.to == "model"

    def forward(self, x: Tensor) -> Tensor:
        return from_intensities(x) if self.to_model else to_intensities(x)


_MODULES: dict[type[plain.Layer], Callable[[Any, plain.Shape], nn.Module]] = {
    plain.Dense: lambda layer, shape: nn.Linear(shape[0], layer.units, bias=layer.bias),
    plain.Convolution: _Convolution,
    plain.TransposedConvolution: _Transposed,
    plain.Normalisation: Normalisation,
    plain.Enlargement: _Enlargement,
    plain.Reshape: _Reshape,
    plain.Dropout: nn.Identity,
    plain.Activation: _Activation,
    plain.Range: _Range,
}


def chain(layers: Sequence[plain.Layer], shapes: Sequence[plain.Shape]) -> nn.ModuleList:
    """Builds a module for each layer; `shapes` are their input shapes, as `described_layers.shapes_of` returns them."""
    return nn.ModuleList(_MODULES[type(layer)](layer, shape) for layer, shape in zip(layers, shapes, strict=False))
