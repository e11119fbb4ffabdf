"""Discriminators on the features of a pretrained network: alone (Sauer et al. 2021), or beside the pair's own one.

With both, each is trained as if it were alone, and the generator by the sum of their losses, much as in Kumari et al.
2022. Spectral norms keep the heads smooth. Unlike in Projected GAN they have no batch norm: an image's logit does not
depend on the other images.
"""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor, nn

from framework.errors import CheckpointError
from framework.models.architectures.base import DiscriminatorNetwork
from framework.models.arithmetic.spectral import spectral_norms
from framework.models.pretrained.projection import Projection

_SLOPE = 0.2
_SMALLEST = 4  # a head halves maps that are larger


class Head(nn.Module):
    """The trained layers for maps of one size: two 3x3 convolutions and a weighted sum, all with a spectral norm of 1.

    Args:
        channels: Channels of the maps and of the hidden layers.
        side: The side of the maps, which a convolution halves as long as it is above 4.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        stride = 2 if side > _SMALLEST else 1
        self.first = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)
        stride = 2 if -(-side // stride) > _SMALLEST else 1
        self.second = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)
        self.dense = nn.Linear(channels, 1)


class Projected(DiscriminatorNetwork):
    """A head for each size of the projected feature maps; logits [n, 4], one of each head.

    The frozen part is not in the module tree, so it is neither trained nor saved. The state has its sha256.

    Args:
        resolution: Width and height of the images in pixels.
        projection: The frozen part.
        dropout: Probability of dropping a feature, by which a mask scales the kept features.
    """

    def __init__(self, *, resolution: int, projection: Projection, dropout: float) -> None:
        super().__init__()
        self.dropout, self.projection = dropout, projection
        self.heads = nn.ModuleList(Head(projection.channels, side) for side in projection.sides(resolution))
        self.features = projection.channels * len(self.heads)
        self.frozen_size = projection.size

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """The channels of each head."""
        return (self.projection.channels,) * len(self.heads)

    @property
    def bounded(self) -> tuple[bool, ...]:
        """All of them."""
        return (True,) * len(self.heads)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n, heads], positive for real, of images [n, c, h, w] in [-1, 1], and features [n, channels] of each.

        Args:
            dropout_mask: [n, features] bool, True where a feature is kept; None disables dropout.
        """
        heads = cast("list[Head]", list(self.heads))
        layers = [layer for head in heads for layer in (head.first, head.second)]
        norms = spectral_norms(torch.stack([layer.weight.flatten(1) for layer in layers])).split(2)
        features = [_pooled(*each) for each in zip(heads, self.projection(images), norms, strict=True)]
        x = torch.stack(features, dim=1)  # [n, heads, channels]
        if dropout_mask is not None:
            x = x * dropout_mask.view_as(x).to(x.dtype).div_(1.0 - self.dropout)
        weights = torch.cat([head.dense.weight / torch.linalg.vector_norm(head.dense.weight) for head in heads])
        logits = (x * weights).sum(dim=2) + torch.cat([head.dense.bias for head in heads])
        return logits, list(x.unbind(1))

    def combined(self, values: Tensor) -> Tensor:
        """The mean over the heads: [n, heads] -> [n]."""
        return values.mean(dim=1)

    def get_extra_state(self) -> Tensor:
        """The sha256 of the frozen weights as 32 bytes, which checkpoints keep instead of the weights."""
        return torch.frombuffer(bytearray.fromhex(self.projection.digest), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Compares the sha256 of a checkpoint with that of the weights here.

        Raises:
            CheckpointError: They differ.
        """
        name, here, kept = self.projection.name, self.projection.digest, bytes(state.cpu().tolist()).hex()
        if kept != here:
            raise CheckpointError(
                f"model.feature_network: {name} had other weights in this training (sha256 {kept}, here {here}); "
                "install the package that it began with"
            )


class Both(DiscriminatorNetwork):
    """The pair's own discriminator and a projected one; logits [n, 1 + heads], its own first.

    While the weights are trained, no gradient goes back through the frozen network. So it keeps no activations, and a
    gradient penalty is one of the pair's own discriminator alone, as in Kumari et al. 2022.

    Args:
        own: The pair's own discriminator.
        projected: The one on features.
    """

    judges = 2

    def __init__(self, own: DiscriminatorNetwork, projected: Projected) -> None:
        super().__init__()
        self.own, self.projected = own, projected
        self.dropout, self.features = own.dropout, own.features + projected.features
        self.frozen_size = projected.frozen_size

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """Those of its own discriminator, then those of the heads."""
        return (*self.own.feature_widths, *self.projected.feature_widths)

    @property
    def bounded(self) -> tuple[bool, ...]:
        """The heads."""
        return (*self.own.bounded, *self.projected.bounded)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [n, 1 + heads] of images [n, c, h, w], as `DiscriminatorNetwork` defines them, and their features."""
        parts = [self.own.features, self.projected.features]
        masks = (None, None) if dropout_mask is None else dropout_mask.split(parts, dim=1)
        is_trained = next(self.projected.parameters()).requires_grad
        seen = images.detach() if is_trained else images
        own, own_features = self.own.judged(images, masks[0])
        projected, features = self.projected.judged(seen, masks[1])
        return torch.cat([own.unsqueeze(1).to(projected.dtype), projected], dim=1), [*own_features, *features]

    def combined(self, values: Tensor) -> Tensor:
        """The own value plus the mean over the heads: [n, 1 + heads] -> [n]."""
        return values[:, 0] + values[:, 1:].mean(dim=1)

    def layers_from_image(self) -> list[list[nn.Module]]:
        """Those of the pair's own discriminator."""
        return self.own.layers_from_image()


def _pooled(head: Head, x: Tensor, norms: Tensor) -> Tensor:
    """The means [n, channels] over the places of what the two convolutions make of a map."""
    for layer, norm in zip((head.first, head.second), norms, strict=True):
        x = F.conv2d(x, layer.weight / norm, layer.bias, stride=cast("tuple[int, int]", layer.stride), padding=1)
        x = F.leaky_relu(x, _SLOPE)
    return x.mean(dim=(2, 3))


@torch.no_grad()
def initialise(network: nn.Module, *, generator: torch.Generator) -> None:
    """Sets normal weights of the heads, whose scale the spectral norms remove, and zero biases."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.weight.normal_(std=layer.weight[0].numel() ** -0.5, generator=generator)
            assert layer.bias is not None
            layer.bias.zero_()
