"""A VAE's likelihood of images: the ELBO of their grey values, and the importance-weighted bound of binarised ones."""

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
class Nats:
    """Of images, [n] float64 each.

    Attributes:
        reconstruction: log p(image | code), a code drawn from the posterior.
        kl: Of the posterior from the prior.
        weighted: The importance-weighted bound; of binarised images where the likelihood is Bernoulli's.
        elbo_of_weighted: The ELBO of the very images that `weighted` is of, over the same draws.
    """

    reconstruction: np.ndarray
    kl: np.ndarray
    weighted: np.ndarray
    elbo_of_weighted: np.ndarray

    @classmethod
    def merged(cls, parts: Sequence["Nats"]) -> "Nats":
        """Parts of the images, in their order, as one."""
        return cls(*(np.concatenate(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))


def check_likelihood(generator: LoadedGenerator) -> None:
    """Raises EvaluationError where it is no VAE's."""
    if generator.encoder is None or generator.config.get("family") != "vae":
        family = generator.config.get("family", "gan")
        raise EvaluationError(f"model.family: {family} has no likelihood that could be bounded; a vae has")


def image_nats(
    generator: LoadedGenerator, experiment: Experiment, pixels: np.ndarray, *, start: int, draws: int, seed: int
) -> Nats:
    """Of images `start` … of a series that is the same whoever computes which part.

    Args:
        generator: A VAE's decoder with its encoder.
        experiment: Says the likelihood.
        pixels: [n,h,w,c] uint8.
        start: The place of the first one, a multiple of 32.
        draws: Of codes, for the weighted bound.
        seed: Of codes and of the binarisation.
    """
    likelihood = build_likelihood(experiment.objective)
    binarises = experiment.objective.likelihood == "bernoulli"
    parts = []
    for part, block in blocks_of(pixels):
        place, count = start + part.start, part.stop - part.start
        weighed = binarised(block, seed=seed, start=place) if binarises else block
        nats = _block(generator, likelihood, block, weighed, place=place, draws=draws, seed=seed)
        parts.append(Nats(*(values[:count] for values in vars(nats).values())))
    return Nats.merged(parts)


def binarised(pixels: np.ndarray, *, seed: int, start: int) -> np.ndarray:
    """Each pixel 255 with the probability that its grey value says, else 0; image k depends on (seed, k) alone.

    Args:
        pixels: [n,h,w,c] uint8.
        seed: Of the draw.
        start: The first image's k.
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
    place: int,
    draws: int,
    seed: int,
) -> Nats:
    decoder, encoder, device = generator.network, generator.encoder, generator.device
    assert isinstance(decoder, Decoder)
    assert encoder is not None

    def noise(draw: int) -> np.ndarray:
        return sample_latents(BLOCK_IMAGES, generator.latent_size, seed=derive_seed(seed, "codes", draw), start=place)

    images = from_pixels(grey).to(device)
    posterior = Posterior.of(encoder(images))
    codes = posterior.at(torch.from_numpy(noise(0)).to(device))
    reconstruction = likelihood(images, decoder.body(codes)).double().cpu().numpy()
    kl = posterior.divergence().double().cpu().numpy()
    white = from_pixels(weighed).to(device)
    proposal = Posterior.of(encoder(white))

    def log_likelihood(wide: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(wide.astype(np.float32)).to(device)
        return likelihood(white, decoder.body(given)).double().cpu().numpy()

    mean, log_variance = (each.cpu().numpy() for each in (proposal.mean, proposal.log_variance))
    drawn = (noise(draw) for draw in range(1, draws + 1))
    return Nats(reconstruction, kl, *importance_log_likelihood(log_likelihood, mean, log_variance, drawn))
