"""A VAE's nats of images: the same however they are cut, and known where decoder and encoder are trivial."""

import numpy as np
import pytest
import torch

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment, with_overrides
from framework.errors import EvaluationError
from framework.evaluation.likelihood import LikelihoodBounds, binarised, check_likelihood, image_nats
from framework.models import build_encoder, build_generator

SETTINGS = {"model.family": "vae", "model.width": 4, "model.latent_size": 3, "objective.likelihood": "bernoulli"}


def experiment(**more):
    return with_overrides(Experiment(), SETTINGS | {key.replace("__", "."): value for key, value in more.items()})


def loaded(given, change=lambda network: None):
    shape = {"resolution": 28, "channels": 1, "seed": 0}
    networks = build_generator(given.model, **shape), build_encoder(given.model, **shape)
    for network in networks:
        change(network)
    config = given.model.model_dump() | {"resolution": 28, "channels": 1}
    return LoadedGenerator(networks[0], encoder=networks[1], config=config, digest="x", source="here", device="cpu")


def silenced(network):
    """Whatever is given, the last layer says 0: logits of 0, posteriors that are the prior."""
    for name, value in network.named_parameters():
        if "to_image" in name or "head" in name:
            torch.nn.init.zeros_(value)


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), np.uint8)


def test_a_decoder_that_knows_nothing_gives_each_pixel_log_2():
    given = experiment()
    found = image_nats(loaded(given, silenced), given, pictures(5), start=0, draws=4, seed=0)
    np.testing.assert_allclose(found.reconstruction, -784 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.kl, 0.0, atol=1e-6)
    np.testing.assert_allclose(found.weighted, -784 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.elbo_of_weighted, -784 * np.log(2), rtol=1e-6)


def test_more_draws_are_a_higher_bound_and_shards_move_no_bit():
    given, images = experiment(), pictures(70)
    generator = loaded(given)
    whole = image_nats(generator, given, images, start=0, draws=20, seed=0)
    assert (whole.weighted >= whole.elbo_of_weighted).all()
    halves = [image_nats(generator, given, images[a:b], start=a, draws=20, seed=0) for a, b in ((0, 32), (32, 70))]
    for name, values in vars(LikelihoodBounds.merged(halves)).items():
        np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)
    other = image_nats(generator, given, images, start=0, draws=20, seed=1)
    assert not np.array_equal(other.weighted, whole.weighted)


def test_binarised_images_are_white_as_often_as_they_are_grey():
    grey = np.full((200, 28, 28, 1), 51, np.uint8)
    grey[:, 0], grey[:, 1] = 0, 255
    found = binarised(grey, seed=0, start=0)
    assert set(np.unique(found)) == {0, 255}
    assert not found[:, 0].any()
    assert (found[:, 1] == 255).all()
    assert (found[:, 2:] == 255).mean() == pytest.approx(0.2, abs=0.005)
    np.testing.assert_array_equal(binarised(grey[64:96], seed=0, start=64), found[64:96])
    assert not np.array_equal(binarised(grey, seed=1, start=0), found)


def test_a_gaussian_likelihood_is_of_the_images_as_they_are():
    given = with_overrides(experiment(), {"objective.likelihood": "gaussian", "objective.deviation": 0.5})
    images = np.full((3, 28, 28, 1), 255, np.uint8)
    found = image_nats(loaded(given, silenced), given, images, start=0, draws=2, seed=0)
    each = -0.5 - np.log(0.5 * np.sqrt(2 * np.pi))  # white is one deviation from a mean of a half
    np.testing.assert_allclose(found.weighted, 784 * each, rtol=1e-5)
    np.testing.assert_allclose(found.reconstruction, 784 * each, rtol=1e-5)


def test_what_has_no_posterior_is_refused():
    given = with_overrides(experiment(), {"model.family": "autoencoder"})
    with pytest.raises(EvaluationError, match=r"model\.family: autoencoder has no likelihood"):
        check_likelihood(loaded(given))
    check_likelihood(loaded(experiment()))
