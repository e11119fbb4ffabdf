"""The likelihood of images under a VAE: the ELBO, and the importance-weighted bound (Burda et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment
from framework.errors import EvaluationError
from framework.images import from_pixels
from framework.metrics.likelihood import importance_log_likelihood
from framework.models import derive_seed, sample_latents
from framework.models.architectures.autoencoder import Decoder
from framework.models.architectures.prior import uniforms
from framework.models.architectures.vae import Posterior
from framework.models.arithmetic.blocks import BLOCK_IMAGES, blocks_of
from framework.models.arithmetic.exact import exact
from framework.models.likelihood import Likelihood, build_likelihood


@dataclass(frozen=True, eq=False)
class LikelihoodBounds:
    """Bounds of the log likelihood of each image, [n] float64, in nats.

    Attributes:
        reconstruction: log p(image | code), for one code drawn from the posterior.
        kl: KL divergence of the posterior from the prior.
        weighted: The importance-weighted bound; with a Bernoulli likelihood that of the binarised image.
        elbo_of_weighted: The ELBO of the same image as in `weighted`, over the same draws.
    """

    reconstruction: np.ndarray
    kl: np.ndarray
    weighted: np.ndarray
    elbo_of_weighted: np.ndarray

    @classmethod
    def merged(cls, parts: Sequence["LikelihoodBounds"]) -> "LikelihoodBounds":
        """The bounds of all images from those of parts, which are given in order."""
        return cls(*(np.concatenate(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))


def check_likelihood(generator: LoadedGenerator) -> None:
    """Raises EvaluationError if the generator is not that of a VAE."""
    if generator.encoder is None or generator.config.get("family") != "vae":
        family = generator.config.get("family", "gan")
        raise EvaluationError(f"model.family: {family} has no likelihood bound; only vae has one")


def image_nats(
    generator: LoadedGenerator, experiment: Experiment, pixels: np.ndarray, *, start: int, draws: int, seed: int
) -> LikelihoodBounds:
    """The bounds of some images of a series; each depends only on the image and its number in the series.

    Args:
        generator: A VAE's decoder with its encoder.
        experiment: Its `objective` defines the likelihood.
        pixels: [n,h,w,c] uint8.
        start: The number of the first image in the series, a multiple of 32.
        draws: Codes drawn per image for the importance-weighted bound.
        seed: Seed of the codes and of the binarisation.
    """
    likelihood = build_likelihood(experiment.objective)
    binarises = experiment.objective.likelihood == "bernoulli"
    parts = []
    for part, block in blocks_of(pixels):
        number, count = start + part.start, part.stop - part.start
        weighed = binarised(block, seed=seed, start=number) if binarises else block
        nats = _block(generator, likelihood, block, weighed, number=number, draws=draws, seed=seed)
        parts.append(LikelihoodBounds(*(values[:count] for values in vars(nats).values())))
    return LikelihoodBounds.merged(parts)


def binarised(pixels: np.ndarray, *, seed: int, start: int) -> np.ndarray:
    """Sets each pixel to 255 with probability value / 255, else to 0; image k depends only on (seed, k).

    Args:
        pixels: [n,h,w,c] uint8.
        seed: Seed of the draw.
        start: The number k of the first image.
    """
    size = pixels[0].size
    numbers = uniforms(len(pixels), size, seed=derive_seed(seed, "binarise"), start=start)
    return np.where(numbers * 255.0 < pixels.reshape(len(pixels), size), 255, 0).astype(np.uint8).reshape(pixels.shape)


@torch.inference_mode()
@exact()
def _block(
    generator: LoadedGenerator,
    likelihood: Likelihood,
    grey: np.ndarray,
    weighed: np.ndarray,
    *,
    number: int,
    draws: int,
    seed: int,
) -> LikelihoodBounds:
    decoder, encoder, device = generator.network, generator.encoder, generator.device
    assert isinstance(decoder, Decoder)
    assert encoder is not None

    def noise(draw: int) -> np.ndarray:
        return sample_latents(BLOCK_IMAGES, generator.latent_size, seed=derive_seed(seed, "codes", draw), start=number)

    images = from_pixels(grey).to(device)
    posterior = Posterior.of(encoder(images))
    codes = posterior.at(torch.from_numpy(noise(0)).to(device))
    reconstruction = likelihood(images, decoder.body(codes)).double().cpu().numpy()
    kl = posterior.divergence().double().cpu().numpy()
    weighed_images = from_pixels(weighed).to(device)
    proposal = Posterior.of(encoder(weighed_images))

    def log_likelihood(wide: np.ndarray) -> np.ndarray:
        codes = torch.from_numpy(wide.astype(np.float32)).to(device)
        return likelihood(weighed_images, decoder.body(codes)).double().cpu().numpy()

    mean, log_variance = (each.cpu().numpy() for each in (proposal.mean, proposal.log_variance))
    drawn = (noise(draw) for draw in range(1, draws + 1))
    return LikelihoodBounds(reconstruction, kl, *importance_log_likelihood(log_likelihood, mean, log_variance, drawn))
