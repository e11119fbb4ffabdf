"""The residual pair: its sizes, a direct formula, what a new one computes, and that it trains."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from framework.config import Experiment, ModelConfig, with_overrides
from framework.errors import ConfigError
from framework.models import build_discriminator, build_generator, count_parameters
from framework.models.architectures import residual
from framework.models.architectures.residual import basis_size, widths_of
from tests.conftest import missing


def pair(resolution, width, *, blocks=1, latent_size=5, channels=3, seed=0):
    config = ModelConfig(architecture="residual", width=width, blocks=blocks, latent_size=latent_size)
    shape = {"resolution": resolution, "channels": channels, "seed": seed}
    return build_generator(config, **shape), build_discriminator(config, **shape)


def shaken(network, seed=1):
    """With random numbers in all weights, also those that begin at 0; in float64."""
    numbers = torch.Generator().manual_seed(seed)
    for parameter in network.double().parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 1
        parameter.data.normal_(std=fan**-0.5, generator=numbers)
    return network


@pytest.mark.parametrize(
    ("resolution", "width", "millions", "of_discriminator"),
    [(128, 24, 6.34, 6.30), (64, 48, 6.33, 6.28), (64, 32, 2.83, 2.79), (32, 32, 0.71, 0.69)],
)
def test_published_sizes(resolution, width, millions, of_discriminator):
    """With latents of 128, counted by hand from 3x3, 1x1 and basis: 2 x 9 x c^2 + c a block, and so on."""
    generator, discriminator = pair(resolution, width, latent_size=128)
    assert count_parameters(generator) / 1e6 == pytest.approx(millions, abs=0.0051)
    assert count_parameters(discriminator) / 1e6 == pytest.approx(of_discriminator, abs=0.0051)
    widths = widths_of(resolution, width)
    side, _ = basis_size(resolution)
    of_blocks = sum(18 * c * c + c for c in widths)
    between = sum(a * b for a, b in itertools.pairwise(widths) if a != b)
    common = of_blocks + between + side * side * widths[0] + 3 * widths[-1]
    assert count_parameters(generator) == common + 128 * widths[0] + 3
    assert count_parameters(discriminator) == common + widths[0] + 1


@pytest.mark.parametrize("resolution", [14, 18, 22, 26, 28, 32, 48, 64, 80, 96, 112, 160])
def test_every_even_size(resolution):
    generator, discriminator = pair(resolution, 4)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, 3, resolution, resolution)
    assert discriminator(images).shape == (2,)
    side, doublings = basis_size(resolution)
    assert side * 2**doublings == resolution
    assert len(widths_of(resolution, 4)) == doublings + 1


def by_formula_image(network, latent):
    """Image [c, h, w] of one latent [z], stage by stage."""
    x = torch.einsum("c,ijc->cij", network.dense.weight @ latent, network.basis)[None]
    for number, stage in enumerate(network.stages):
        if number:
            weight = getattr(network.narrow[number - 1], "weight", None)
            x = x if weight is None else torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
            x = doubled(x)
        x = through(stage, x)
    return (
        torch.einsum("oi,nihw->nohw", network.to_image.weight[:, :, 0, 0], x) + network.to_image.bias[:, None, None]
    )[0]


def by_formula_logit(network, image):
    x = torch.einsum("oi,nihw->nohw", network.from_image.weight[:, :, 0, 0], image[None])
    for number, stage in enumerate(network.stages):
        if number:
            x = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
            weight = getattr(network.widen[number - 1], "weight", None)
            x = x if weight is None else torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
        x = through(stage, x)
    return network.dense.weight[0] @ (x[0] * network.basis.permute(2, 0, 1)).sum(dim=(1, 2)) + network.dense.bias[0]


def through(stage, x):
    for block in stage:
        inner = F.conv2d(x, block.inner.weight, block.inner.bias, padding=1)
        x = x + F.conv2d(torch.where(inner > 0, inner, 0.2 * inner), block.outer.weight, padding=1)
    return x


def doubled(x):
    """Bilinear: each new pixel is 3/4 of its own and 1/4 of the neighbour, along each side; the border is repeated."""
    for axis in (2, 3):
        padded = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, x.shape[axis] - 1, 1)], dim=axis)
        side = x.shape[axis]
        before, after = padded.narrow(axis, 0, side), padded.narrow(axis, 2, side)
        x = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dim=axis + 1).flatten(axis, axis + 1)
    return x


@pytest.mark.parametrize(("resolution", "channels", "blocks"), [(28, 1, 1), (32, 3, 2), (80, 3, 1)])
def test_both_are_the_direct_formula(resolution, channels, blocks):
    generator, discriminator = map(shaken, pair(resolution, 4, blocks=blocks, channels=channels))
    latents = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    images = generator(latents)
    assert images.abs().max() > 1  # not limited in training
    logits = discriminator(images)
    for number in range(2):
        torch.testing.assert_close(images[number], by_formula_image(generator, latents[number]))
        torch.testing.assert_close(logits[number], by_formula_logit(discriminator, images[number]))
    assert torch.equal(generator.eval()(latents), images.clamp(-1, 1))


def test_a_new_pair_is_linear():
    generator, discriminator = pair(32, 4)
    latents = torch.randn(2, 5)
    network = torch.nn.Sequential(generator, discriminator)
    zero = network(torch.zeros(1, 5))
    torch.testing.assert_close(
        network(latents.sum(0, keepdim=True)) - zero,
        (network(latents) - zero).sum(0, keepdim=True),
        atol=1e-5,
        rtol=1e-4,
    )
    x = torch.randn(1, 4, 8, 8)
    block = generator.stages[-1][0]
    assert torch.equal(block(x), x)
    assert not block.outer.weight.any()


def test_weights_keep_the_variance_and_branches_shrink_with_their_number():
    for blocks in (1, 4):
        generator, discriminator = pair(64, 16, blocks=blocks, latent_size=64)
        number = 5 * blocks
        for network in (generator, discriminator):
            weight = network.stages[1][0].inner.weight
            gain = math.sqrt(2 / 1.04 / number)
            assert weight.std().item() == pytest.approx(gain / math.sqrt(9 * weight.shape[1]), rel=0.02)
        assert generator.dense.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
        assert generator.basis.std().item() == pytest.approx(1.0, rel=0.05)
        assert discriminator.basis.std().item() == pytest.approx(1 / 4, rel=0.05)


def test_the_mask_drops_and_scales_up():
    _, network = pair(28, 4, channels=1)
    images = torch.rand(5, 1, 28, 28) * 2 - 1
    torch.nn.init.constant_(network.dense.bias, 0.5)
    everything = torch.ones(5, network.features, dtype=torch.bool)
    torch.testing.assert_close(network(images, everything) - 0.5, (network(images) - 0.5) / (1 - 0.4))
    torch.testing.assert_close(network(images, ~everything), torch.full((5,), 0.5))


def test_blocks_are_only_of_the_residual_pair():
    with pytest.raises(ConfigError) as fault:
        with_overrides(Experiment(), {"model.blocks": 2})
    assert missing(str(fault.value), "model.blocks: 2", "model.architecture=dcgan", "remove it") == []
    assert isinstance(pair(32, 4, blocks=2)[0].stages[0][1], residual.Block)
