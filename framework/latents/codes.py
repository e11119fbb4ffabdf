"""Images as codes: what an encoder says of them, with a VAE's doubt."""

from dataclasses import dataclass

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator
from framework.errors import LatentsError
from framework.images import to_model_range
from framework.models.vae import Posterior

BLOCK_IMAGES = 32  # a network's rounding depends on how many go through it at a time: always so many


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
    means = generator.encode(pixels)
    variances = np.zeros_like(means)
    if generator.config.get("family") != "vae":
        return Codes(means, variances)
    assert generator.encoder is not None
    block = np.zeros((BLOCK_IMAGES, *pixels.shape[1:]), np.uint8)
    for start in range(0, len(pixels), BLOCK_IMAGES):
        count = len(pixels[start : start + BLOCK_IMAGES])
        block[:count] = pixels[start : start + count]
        numbers = generator.encoder(to_model_range(torch.from_numpy(block).to(generator.device)))
        variances[start : start + count] = Posterior.of(numbers).log_variance.exp()[:count].cpu().numpy()
    return Codes(means, variances)
