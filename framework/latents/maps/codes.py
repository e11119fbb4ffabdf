"""Encodes images to latent codes, with the variances of a VAE."""

from dataclasses import dataclass

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator
from framework.errors import LatentsError
from framework.models.architectures.vae import Posterior


@dataclass(frozen=True, eq=False)
class Codes:
    """The latent codes of images.

    Attributes:
        means: [n, z] float32 latents: a VAE's posterior means, or an autoencoder's codes in the coordinates of the
            Gaussian fitted to them.
        variances: [n, z] float32: a VAE's posterior variances; 0 for an autoencoder, which encodes to points.
    """

    means: np.ndarray
    variances: np.ndarray


def check_encoder(generator: LoadedGenerator, place: str) -> None:
    """Checks that images can be encoded and drawn in a plane.

    Raises:
        LatentsError: The generator has no encoder, or its latent size is 1.
    """
    if generator.encoder is None:
        raise LatentsError(f"{place}: a map needs an encoder; autoencoders and VAEs (model.family) have one")
    if generator.latent_size < 2:
        raise LatentsError(f"{place}: model.latent_size: a map needs a latent size of at least 2, not 1")


@torch.inference_mode()
def encode_images(generator: LoadedGenerator, pixels: np.ndarray) -> Codes:
    """Encodes images [n, h, w, c] uint8; the code of an image is bit-identical whatever images are encoded with it.

    Raises:
        LatentsError: The generator has no encoder, or the images have a different shape.
    """
    if generator.config.get("family") != "vae":
        means = generator.encode(pixels)
        return Codes(means, np.zeros_like(means))
    blocks = [torch.empty(0, 2, generator.latent_size, device=generator.device)]
    for part, numbers in generator.encoded(pixels):
        posterior = Posterior.of(numbers)  # a VAE's codes are its latents
        both = torch.stack([posterior.mean, posterior.log_variance.exp()], dim=1)
        blocks.append(both[: part.stop - part.start].float())
    means, variances = np.split(torch.cat(blocks).cpu().numpy(), 2, axis=1)  # one copy from the GPU for all blocks
    return Codes(np.ascontiguousarray(means[:, 0]), np.ascontiguousarray(variances[:, 0]))
