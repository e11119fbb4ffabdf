"""Base classes of all generators and discriminators."""

from torch import Tensor, nn


class GeneratorNetwork(nn.Module):
    """Generates images [n, channels, resolution, resolution] from latents [n, latent_size].

    In evaluation mode, which everything but a training step uses, they are in [-1, 1].

    Attributes:
        latent_size: Numbers of a latent: those of z, then those of the code of a condition.
        code_size: Numbers of the code; 0 without a condition.
    """

    latent_size: int
    resolution: int
    channels: int
    code_size: int = 0


class DiscriminatorNetwork(nn.Module):
    """Computes logits [n] or [n, heads], positive for real, from images [n, c, h, w] in [-1, 1] and a dropout mask.

    The mask is [n, features] bool, True where a feature is kept, or None for no dropout.

    Attributes:
        judges: Number of discriminators that are trained side by side.
        frozen_size: Number of weights that it uses, does not train and does not own.
    """

    features: int
    dropout: float
    judges: int = 1
    frozen_size: int = 0

    def layers_from_image(self) -> list[list[nn.Module]]:
        """The trained layers from the image on, without the output, as lists of modules that belong together.

        `training.freeze_discriminator` counts them. There are none on features of a pretrained network.
        """
        return []

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """The numbers of the features before each logit; none if it can have no condition."""
        return (self.features,)

    @property
    def bounded(self) -> tuple[bool, ...]:
        """For each logit, whether the weights that make it from its features have a spectral norm of 1."""
        return (False,) * len(self.feature_widths)

    def judged(self, images: Tensor, dropout_mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """The logits, and for each the features [n, width] from which a last layer makes it."""
        raise NotImplementedError  # an imported Keras discriminator has only `forward`, and no condition

    def forward(self, images: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Logits [n] or [n, heads], as the class says."""
        return self.judged(images, dropout_mask)[0]

    def combined(self, values: Tensor) -> Tensor:
        """Losses or other values of logits [n] or [n, heads] -> [n], summed over the judges."""
        return values
