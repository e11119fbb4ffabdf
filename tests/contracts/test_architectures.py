"""What every architecture has to keep, at every size and number of channels."""

from typing import get_args

import pytest
import torch

from framework.config import ModelConfig
from framework.models import Ema, build_discriminator, build_generator, count_parameters, sample_latents
from framework.models.architectures.prior import keep_mask

# An import's layers are of one size; tests/models/test_keras_import.py has them.
ARCHITECTURES = [name for name in get_args(ModelConfig.model_fields["architecture"].annotation) if name != "keras"]
COUNT, WIDTH, LATENT = 3, 8, 5


@pytest.fixture(params=ARCHITECTURES)
def config(request):
    return ModelConfig(architecture=request.param, width=WIDTH, latent_size=LATENT)


@pytest.fixture(params=[(28, 1), (32, 3), (64, 1), (128, 3), (256, 3)], ids=lambda shape: f"{shape[0]}px{shape[1]}")
def shape(request):
    return {"resolution": request.param[0], "channels": request.param[1], "seed": 3}


def latents(count=COUNT):
    return torch.from_numpy(sample_latents(count, LATENT, seed=1))


def test_images_have_their_shape_and_range(config, shape):
    network = build_generator(config, **shape).eval()
    images = network(latents())
    assert images.shape == (COUNT, shape["channels"], shape["resolution"], shape["resolution"])
    assert images.abs().max() <= 1.0
    assert images.std() > 0.0
    assert (network.latent_size, network.resolution, network.channels) == (
        LATENT,
        shape["resolution"],
        shape["channels"],
    )


def test_logits_have_their_shape_and_the_mask_its_say(config, shape):
    network = build_discriminator(config, **shape)
    images = torch.rand(COUNT, shape["channels"], shape["resolution"], shape["resolution"]) * 2 - 1
    mask = torch.from_numpy(keep_mask(COUNT, network.features, dropout=0.4, seed=1))
    plain, masked = network(images), network(images, mask)
    assert plain.shape == masked.shape == (COUNT,)
    assert not torch.equal(plain, masked)
    assert torch.equal(plain, network(images))  # no randomness of its own


def test_every_weight_gets_a_finite_gradient_through_both(config, shape):
    generator, discriminator = build_generator(config, **shape), build_discriminator(config, **shape)
    for network in (generator, discriminator):  # a layer that begins at 0 passes no gradient on
        for parameter in network.parameters():
            parameter.data.add_(torch.full_like(parameter, 1e-3))
    discriminator(generator(latents())).square().sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name


def test_it_can_be_differentiated_twice(config):
    network = build_discriminator(config, resolution=28, channels=1, seed=0).double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64).requires_grad_()

    def slope(weight_scale):
        scaled = {name: value * weight_scale for name, value in network.named_parameters()}
        logits = torch.func.functional_call(network, scaled, (images,))
        (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return slopes.square().sum()

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(slope(scale), scale)
    step = 1e-6
    expected = (slope(scale.detach() + step) - slope(scale.detach() - step)) / (2 * step)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-9)


def test_an_image_does_not_depend_on_the_rest_of_its_batch(config):
    generator = build_generator(config, resolution=32, channels=3, seed=0).double()
    discriminator = build_discriminator(config, resolution=32, channels=3, seed=0).double()
    together = generator(latents(8).double())
    torch.testing.assert_close(generator(latents(8)[2:4].double()), together[2:4])
    torch.testing.assert_close(discriminator(together[2:4]), discriminator(together)[2:4])


def test_weights_and_average_go_through_a_state_dict(config):
    generator = build_generator(config, resolution=32, channels=3, seed=0)
    ema = Ema(generator, half_life_images=100)
    other = build_generator(config, resolution=32, channels=3, seed=9)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(other(latents()), generator(latents()))
    assert count_parameters(other) == count_parameters(generator)


def test_width_and_latent_size_are_the_configs(config):
    small = build_generator(config, resolution=32, channels=3, seed=0)
    wide = build_generator(config.model_copy(update={"width": 2 * WIDTH}), resolution=32, channels=3, seed=0)
    deep = build_generator(config.model_copy(update={"latent_size": 2 * LATENT}), resolution=32, channels=3, seed=0)
    assert count_parameters(small) < min(count_parameters(wide), count_parameters(deep))
    assert deep(torch.zeros(1, 2 * LATENT)).shape == (1, 3, 32, 32)
