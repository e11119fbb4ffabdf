"""The notebooks' pair: sizes, Keras's paddings by hand, Keras's initialisation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from framework.config import ModelConfig
from framework.models import build_discriminator, build_generator, count_parameters
from framework.models.architectures.dcgan import stem_size

REFERENCE = ModelConfig(width=128, latent_size=100)


def test_the_reference_pair_has_the_notebooks_parameters():
    shape = {"resolution": 128, "channels": 3, "seed": 0}
    assert count_parameters(build_generator(REFERENCE, **shape)) == 1_901_059
    assert count_parameters(build_discriminator(REFERENCE, **shape)) == 602_113


@pytest.mark.parametrize(("resolution", "stem", "halvings"), [(28, 7, 2), (32, 8, 2), (64, 8, 3), (256, 8, 5)])
def test_stem(resolution, stem, halvings):
    assert stem_size(resolution) == (stem, halvings)


def tiny(resolution, width, latent_size=2):
    config = ModelConfig(width=width, latent_size=latent_size)
    shape = {"resolution": resolution, "channels": 1, "seed": 0}
    return build_generator(config, **shape), build_discriminator(config, **shape)


def keras_conv(image, kernel, *, stride):
    """TensorFlow's `same` convolution, tap by tap: [h, w] * [k, k]; the larger part of the padding is after."""
    side, taps = len(image), len(kernel)
    out = -(-side // stride)
    total = max((out - 1) * stride + taps - side, 0)
    before = total // 2
    padded = np.pad(image, (before, total - before))
    return np.array(
        [
            [
                (padded[i * stride : i * stride + taps, j * stride : j * stride + taps] * kernel).sum()
                for j in range(out)
            ]
            for i in range(out)
        ]
    )


def keras_transposed(image, kernel):
    """TensorFlow's `same` transposed 4x4 convolution of stride 2: each pixel stamps the kernel, one is cut off."""
    side = len(image)
    canvas = np.zeros((2 * side + 2, 2 * side + 2))
    for i in range(side):
        for j in range(side):
            canvas[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += image[i, j] * kernel
    return canvas[1:-1, 1:-1]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def test_stride_2_pads_bottom_and_right_only_by_hand():
    # One row of ones along the top edge, kernel of ones: with padding before it, the first output would see 2 rows.
    image = np.zeros((4, 4))
    image[0] = 1.0
    ones = np.ones((3, 3))
    expected = np.array([[3.0, 2.0], [0.0, 0.0]])  # rows 0-2 and 2-4, columns 0-2 and 2-4: column 4 is padding
    np.testing.assert_array_equal(keras_conv(image, ones, stride=2), expected)
    turned = F.conv2d(
        torch.from_numpy(image).flip(0, 1)[None, None], torch.ones(1, 1, 3, 3).double(), stride=2, padding=1
    )
    np.testing.assert_array_equal(turned[0, 0].flip(0, 1), expected)


def test_discriminator_is_keras_layer_by_layer():
    _, network = tiny(14, width=4)
    network = network.double()
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (14, 14))
    kernels, biases = [], []  # as Keras has them: (h, w, in, out)
    for layer in [network.from_image, *network.downs]:
        kernels.append(rng.normal(size=(3, 3, layer.in_channels, layer.out_channels)))
        biases.append(rng.normal(size=layer.out_channels))
        turned = torch.from_numpy(kernels[-1]).permute(3, 2, 0, 1).flip(2, 3)
        layer.weight.data.copy_(turned)
        layer.bias.data.copy_(torch.from_numpy(biases[-1]))
    dense = rng.normal(size=(7 * 7 * 4, 1))
    network.dense.weight.data.copy_(torch.from_numpy(dense).reshape(7, 7, 4).flip(0, 1).reshape(1, -1))

    maps = [image]
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        maps = [
            leaky(
                bias[k] + sum(keras_conv(m, kernel[:, :, c, k], stride=2 if number else 1) for c, m in enumerate(maps))
            )
            for k in range(kernel.shape[3])
        ]
    expected = np.stack(maps, axis=-1).reshape(1, -1) @ dense
    found = network(torch.from_numpy(image)[None, None])
    np.testing.assert_allclose(found.detach().numpy(), expected[0], rtol=1e-10)


def test_generator_is_keras_layer_by_layer():
    network, _ = tiny(14, width=4, latent_size=3)
    network = network.double()
    rng = np.random.default_rng(1)
    for parameter in network.parameters():
        parameter.data.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape))))
    latent = rng.normal(size=3)
    dense = network.dense.weight.detach().numpy().T  # Keras: (in, out)
    maps = np.moveaxis(leaky(latent @ dense + network.dense.bias.detach().numpy()).reshape(7, 7, 4), -1, 0)
    for up in network.ups:
        kernel = up.weight.detach().permute(2, 3, 1, 0).numpy()  # Keras: (h, w, out, in)
        maps = np.stack(
            [
                leaky(up.bias[k].item() + sum(keras_transposed(m, kernel[:, :, k, c]) for c, m in enumerate(maps)))
                for k in range(4)
            ]
        )
    kernel = network.to_image.weight.detach().permute(2, 3, 1, 0).numpy()  # Keras: (h, w, in, out)
    expected = np.tanh(
        network.to_image.bias.item() + sum(keras_conv(m, kernel[:, :, c, 0], stride=1) for c, m in enumerate(maps))
    )
    found = network(torch.from_numpy(latent)[None])
    np.testing.assert_allclose(found[0, 0].detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_weights_are_glorot_uniform_and_biases_zero():
    network = build_generator(REFERENCE, resolution=128, channels=3, seed=0)
    other = build_discriminator(REFERENCE, resolution=128, channels=3, seed=0)
    bounds = {  # sqrt(6 / (fan in + fan out)), fans as Keras counts them from the kernel
        network.dense: math.sqrt(6 / (100 + 8192)),
        network.ups[0]: math.sqrt(6 / (16 * 128 + 16 * 128)),
        network.to_image: math.sqrt(6 / (64 * 128 + 64 * 3)),
        other.from_image: math.sqrt(6 / (9 * 3 + 9 * 128)),
        other.downs[1]: math.sqrt(6 / (9 * 128 + 9 * 128)),
        other.dense: math.sqrt(6 / (8192 + 1)),
    }
    for layer, bound in bounds.items():
        weights = layer.weight.detach()
        assert bound * 0.99 < weights.abs().max() <= bound
        assert weights.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert not layer.bias.detach().any()


def test_same_seed_same_weights_another_seed_others():
    first, again, other = (build_generator(REFERENCE, resolution=32, channels=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.dense.weight, again.dense.weight)
    assert not torch.equal(first.dense.weight, other.dense.weight)


def test_dropout_mask_drops_and_scales_up():
    _, network = tiny(28, width=4)
    images = torch.rand(5, 1, 28, 28) * 2 - 1
    everything = torch.ones(5, network.features, dtype=torch.bool)
    bias = nn.init.constant_(network.dense.bias, 0.5)
    plain, scaled = network(images), network(images, everything)
    torch.testing.assert_close(scaled - bias, (plain - bias) / (1 - 0.4))
    torch.testing.assert_close(network(images, ~everything), bias.expand(5))
