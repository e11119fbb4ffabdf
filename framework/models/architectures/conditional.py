"""A discriminator that depends on a condition, made of any discriminator.

It adds to each logit the inner product of its features with a projection of the condition's code (Miyato & Koyama 2018,
"cGANs with Projection Discriminator").
"""

from typing import cast

import torch
from torch import Tensor, nn

from framework.models.architectures.base import DiscriminatorNetwork
from framework.models.arithmetic.spectral import spectral_norms


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
def initialise(network: ConditionalDiscriminator, *, generator: torch.Generator) -> None:
    """Sets the weights of the condition; those of the inner network stay.

    A projection begins at 0, so that the discriminator begins without a condition; one with a spectral norm of 1, which
    0 cannot have, is normal.
    """
    for projection, is_bounded in zip(network.projections, network.inner.bounded, strict=True):
        assert isinstance(projection, nn.Linear)
        if is_bounded:
            projection.weight.normal_(std=projection.out_features**-0.5, generator=generator)
        else:
            projection.weight.zero_()
