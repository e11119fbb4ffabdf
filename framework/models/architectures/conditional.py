"""Networks that depend on a condition, made of any pair of networks.

The generator gets an embedding of the condition's code beside its latent (Mirza & Osindero 2014; the size is that of
StyleGAN2-ADA, Karras et al. 2020). The discriminator adds to each logit the inner product of its features with a
projection of the code (Miyato & Koyama 2018, "cGANs with Projection Discriminator").
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork, GeneratorNetwork
from framework.models.arithmetic.spectral import spectral_norms


class ConditionalGenerator(GeneratorNetwork):
    """A generator of latents that are followed by the code of a condition.

    Args:
        inner: A generator whose latents are twice as long as z: z and an embedding of the code, of equal size.
        code_size: The numbers of a code.
        labels: The number of labels that a code is of, by which the embedding's scale does not grow.
    """

    def __init__(self, inner: GeneratorNetwork, *, code_size: int, labels: int) -> None:
        super().__init__()
        self.inner = inner
        self.normal_size, self.code_size = inner.latent_size // 2, code_size
        self.latent_size = self.normal_size + code_size
        self.resolution, self.channels = inner.resolution, inner.channels
        self.scale = 1.0 / math.sqrt(labels)
        # No bias: what is unknown adds nothing.
        self.embedding = nn.Linear(code_size, self.normal_size, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        """Generates images [n, channels, resolution, resolution] from latents [n, normal_size + code_size]."""
        return self.inner(self.embedded(latents))

    def embedded(self, latents: Tensor) -> Tensor:
        """What the inner generator gets: z, then the embedding of the code, [n, 2 * normal_size]."""
        normal, codes = latents.split([self.normal_size, self.code_size], dim=1)
        embedding = (self.embedding(codes) * self.scale).to(normal.dtype)
        return torch.cat([normal, embedding], dim=1)


class ConditionalDiscriminator(DiscriminatorNetwork):
    """A discriminator whose logits depend on the code of a condition; its values and counts are the inner one's.

    Args:
        inner: The discriminator; it gives the features before each logit.
        code_size: The numbers of a code.
    """

    def __init__(self, inner: DiscriminatorNetwork, *, code_size: int) -> None:
        super().__init__()
        self.inner = inner
        self.features, self.dropout = inner.features, inner.dropout
        self.judges, self.frozen_size = inner.judges, inner.frozen_size
        self.projections = nn.ModuleList(nn.Linear(code_size, width, bias=False) for width in inner.feature_widths)

    def forward(self, images: Tensor, dropout_mask: Tensor | None = None, codes: Tensor | None = None) -> Tensor:
        """Logits [n] or [n, heads] of images [n, c, h, w] and codes [n, code_size]; without codes the inner one's."""
        logits, features = self.inner.judged(images, dropout_mask)
        if codes is None:
            return logits
        weights = self._weights()
        terms = [(codes.to(x.dtype) @ weight.mT * x).sum(dim=1) for weight, x in zip(weights, features, strict=True)]
        if logits.ndim == 1:
            return logits + terms[0].to(logits.dtype)
        return logits + torch.stack([term.to(logits.dtype) for term in terms], dim=1)

    def layers_from_image(self) -> list[list[nn.Module]]:
        """Those of the inner discriminator."""
        return self.inner.layers_from_image()

    def combined(self, values: Tensor) -> Tensor:
        """As the inner discriminator combines them."""
        return self.inner.combined(values)

    def _weights(self) -> list[Tensor]:
        """The projections [width, code_size]; those of heads with a spectral norm of 1 have one too."""
        weights: list[Tensor] = [cast("nn.Linear", projection).weight for projection in self.projections]
        bounded = [at for at, is_bounded in enumerate(self.inner.bounded) if is_bounded]
        if bounded:
            flat = torch.stack([weights[at] for at in bounded])
            flat = flat if flat.shape[1] <= flat.shape[2] else flat.mT
            for at, norm in zip(bounded, spectral_norms(flat), strict=True):
                weights[at] = weights[at] / norm
        return weights


@torch.no_grad()
def initialise(network: ConditionalGenerator | ConditionalDiscriminator, *, generator: torch.Generator) -> None:
    """Sets the weights of the condition; those of the inner network stay.

    The embedding of a class has entries like those of a latent. A projection begins at 0, so that the discriminator
    begins without a condition; one with a spectral norm of 1, which 0 cannot have, is normal.
    """
    if isinstance(network, ConditionalGenerator):
        network.embedding.weight.normal_(generator=generator)
        return
    for projection, is_bounded in zip(network.projections, network.inner.bounded, strict=True):
        assert isinstance(projection, nn.Linear)
        if is_bounded:
            projection.weight.normal_(std=projection.out_features**-0.5, generator=generator)
        else:
            projection.weight.zero_()
