"""Images as codes: what an encoder says of them, with a VAE's doubt."""

from dataclasses import dataclass

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator
from framework.errors import LatentsError
from framework.models.architectures.vae import Posterior


@dataclass(frozen=True, eq=False)
class Codes:
    """Of images.

    Attributes:
        means: [n, z] float32 latents: a VAE's posterior means, an autoencoder's codes laid over its Gaussian.
        variances: [n, z] float32 of a VAE's posteriors; 0 of an autoencoder, whose codes are points.
    """

    means: np.ndarray
    variances: np.ndarray


def check_encoder(generator: LoadedGenerator, place: str) -> None:
    """Raises LatentsError where there is none."""
    if generator.encoder is None:
        raise LatentsError(
            f"{place}: has no encoder, so no map of images; autoencoders and VAEs (model.family) have one"
        )
    if generator.latent_size < 2:
        raise LatentsError(f"{place}: model.latent_size: 1: a map wants codes of two numbers at least")


@torch.inference_mode()
def encode_images(generator: LoadedGenerator, pixels: np.ndarray) -> Codes:
    """Images [n, h, w, c] uint8 -> their codes; an image's are the same bytes whatever others are asked with it.

    Raises:
        LatentsError: There is no encoder, or the images are of another shape.
    """
    if generator.config.get("family") != "vae":
        means = generator.encode(pixels)
        return Codes(means, np.zeros_like(means))
    found = [torch.empty(0, 2, generator.latent_size, device=generator.device)]
    for part, numbers in generator.encoded(pixels):
        posterior = Posterior.of(numbers)  # a VAE's codes are its latents
        both = torch.stack([posterior.mean, posterior.log_variance.exp()], dim=1)
        found.append(both[: part.stop - part.start].float())
    means, variances = np.split(torch.cat(found).cpu().numpy(), 2, axis=1)  # one copy: no block is waited for
    return Codes(np.ascontiguousarray(means[:, 0]), np.ascontiguousarray(variances[:, 0]))
