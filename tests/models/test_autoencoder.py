"""Encoders and decoders at every size; the fitted Gaussian, posteriors and likelihoods against closed forms."""

import pytest
import torch

from framework.config import ModelConfig, ObjectiveConfig
from framework.models import build_encoder, build_generator
from framework.models.architectures.autoencoder import FittedDecoder
from framework.models.architectures.vae import Posterior
from framework.models.likelihood import bernoulli, build_likelihood, gaussian

WIDTH, LATENT = 4, 5


@pytest.fixture(params=[(28, 1), (32, 3), (64, 3), (128, 1), (256, 3)], ids=lambda shape: f"{shape[0]}px{shape[1]}")
def shape(request):
    return {"resolution": request.param[0], "channels": request.param[1], "seed": 3}


@pytest.fixture(params=["autoencoder", "vae"])
def config(request):
    return ModelConfig(family=request.param, width=WIDTH, latent_size=LATENT)


def random(*sizes, seed=0):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_there_and_back_with_a_gradient_for_every_weight(config, shape):
    encoder, decoder = build_encoder(config, **shape), build_generator(config, **shape)
    side, channels = shape["resolution"], shape["channels"]
    images = torch.rand(3, channels, side, side) * 2 - 1
    numbers = encoder(images)
    assert numbers.shape == (3, LATENT * (2 if config.family == "vae" else 1))
    made = decoder(numbers[:, :LATENT])
    assert made.shape == images.shape
    assert made.abs().max() <= 1.0
    assert made.std() > 0.0
    assert (decoder.latent_size, decoder.resolution, decoder.channels) == (LATENT, side, channels)
    (made.square().sum() + numbers.sum()).backward()
    for network in (encoder, decoder):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
            assert torch.isfinite(parameter.grad).all(), name


def test_the_same_seed_gives_the_same_weights_and_an_image_depends_on_itself_alone(config):
    shape = {"resolution": 28, "channels": 1, "seed": 0}
    encoder, again = build_encoder(config, **shape).double(), build_encoder(config, **shape).double()
    images = random(6, 1, 28, 28).tanh()
    assert torch.equal(encoder(images), again(images))
    torch.testing.assert_close(encoder(images[2:4]), encoder(images)[2:4])
    decoder = build_generator(config, **shape).double()
    torch.testing.assert_close(decoder(random(6, LATENT)[2:4]), decoder(random(6, LATENT))[2:4])


def test_an_image_is_the_mean_that_its_logits_say(config):
    decoder = build_generator(config, resolution=28, channels=1, seed=0).double()
    latents = random(2, LATENT)
    torch.testing.assert_close(decoder(latents), 2 * torch.sigmoid(decoder.body(latents)) - 1)


@pytest.fixture
def fitted():
    """A decoder that has seen codes of a known Gaussian, and these."""
    decoder = FittedDecoder(latent_size=3, resolution=28, channels=1, width=4).double()
    root = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.3, 0.1]], dtype=torch.float64)
    codes = random(20_000, 3) @ root.T + torch.tensor([5.0, -1.0, 0.0])
    decoder.fit(codes)
    return decoder, codes, root


def test_the_gaussian_is_that_of_the_codes(fitted):
    decoder, codes, root = fitted
    torch.testing.assert_close(decoder.code_root, root, atol=0.05, rtol=0.0)
    torch.testing.assert_close(decoder.code_mean, codes.mean(0))
    torch.testing.assert_close(decoder.code_root @ decoder.code_root.T, torch.cov(codes.T), rtol=1e-5, atol=1e-5)


def test_codes_become_standard_latents_and_these_the_codes_again(fitted):
    decoder, codes, _ = fitted
    latents = decoder.latents_of(codes)
    torch.testing.assert_close(latents.mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0.0)
    torch.testing.assert_close(torch.cov(latents.T), torch.eye(3).double(), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(decoder.codes_of(latents), codes)


def test_codes_that_never_move_have_a_gaussian_too():
    decoder = FittedDecoder(latent_size=3, resolution=28, channels=1, width=4)
    decoder.fit(torch.ones(10, 3))
    assert torch.isfinite(decoder.latents_of(torch.ones(2, 3))).all()
    decoder.fit(random(2, 3).float())  # fewer codes than numbers in one
    assert torch.isfinite(decoder.code_root).all()


def test_the_divergence_is_the_closed_one():
    posterior = Posterior.of(random(4, 10))
    ours = torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(()).double(), torch.ones(()).double())
    expected = torch.distributions.kl_divergence(ours, prior).sum(1)
    torch.testing.assert_close(posterior.divergence(), expected)
    torch.testing.assert_close(Posterior.of(torch.zeros(1, 10)).divergence(), torch.zeros(1))


def test_a_code_is_reparameterised():
    numbers = random(2, 6).requires_grad_()
    noise = random(2, 3, seed=1)
    posterior = Posterior.of(numbers)
    code = posterior.at(noise)
    torch.testing.assert_close(code, posterior.mean + posterior.log_variance.exp().sqrt() * noise)
    (gradient,) = torch.autograd.grad(code.sum(), numbers)
    torch.testing.assert_close(gradient[:, :3], torch.ones(2, 3).double())
    torch.testing.assert_close(gradient[:, 3:], 0.5 * (code - posterior.mean).detach())


def test_likelihoods_are_those_of_the_textbook():
    logits = random(3, 1, 4, 4)
    white = (random(3, 1, 4, 4, seed=1) > 0).double()
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(white).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli(2 * white - 1, logits), expected)
    grey = random(3, 1, 4, 4, seed=2).sigmoid()
    normal = torch.distributions.Normal(logits.sigmoid(), 0.2).log_prob(grey).sum((1, 2, 3))
    torch.testing.assert_close(gaussian(2 * grey - 1, logits, deviation=0.2), normal)
    config = ObjectiveConfig(likelihood="gaussian", deviation=0.2)
    torch.testing.assert_close(build_likelihood(config)(2 * grey - 1, logits), normal)
    assert build_likelihood(ObjectiveConfig(likelihood="bernoulli")) is bernoulli
