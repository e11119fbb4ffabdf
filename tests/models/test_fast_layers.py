"""The fast layers against the library's own, in every way they are used."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from framework.models.arithmetic.leaky import leaky_convolution
from framework.models.arithmetic.wide import convolution_by_rows, wide_convolution

LAYERS = {
    "stride 2": lambda: nn.Conv2d(6, 5, 3, stride=2, padding=1),
    "stride 1": lambda: nn.Conv2d(3, 5, 3, padding=1),
    "transposed": lambda: nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1),
}


def fresh(shape, seed=0):
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values.to(memory_format=torch.channels_last)


def gradients(make, inputs, *, seed=9):
    result = make()
    weights = fresh(result.shape, seed)
    return result, torch.autograd.grad((result * weights).sum(), inputs)


def assert_alike(one, other):
    torch.testing.assert_close(one[0], other[0])
    for found, expected in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("count", "side"), [(2, 6), (3, 28), (1, 64)])
@pytest.mark.parametrize("name", LAYERS)
def test_leaky_convolution(name, count, side):
    layer = LAYERS[name]().double()
    images = fresh((count, layer.in_channels, side, side)).requires_grad_()
    inputs = [images, layer.weight, layer.bias]
    expected = gradients(lambda: F.leaky_relu(layer(images), 0.2), inputs)
    assert_alike(gradients(lambda: leaky_convolution(layer, images, slope=0.2), inputs), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_leaky_convolution_can_be_differentiated_twice(name):
    layer = LAYERS[name]().double()
    images = fresh((1, layer.in_channels, 6, 6)).requires_grad_()

    def penalty(convolve):
        (slopes,) = torch.autograd.grad(convolve().square().sum(), images, create_graph=True)
        return torch.autograd.grad(slopes.square().sum(), [layer.weight, layer.bias, images])

    expected = penalty(lambda: F.leaky_relu(layer(images), 0.2))
    found = penalty(lambda: leaky_convolution(layer, images, slope=0.2))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_chain_in_place_is_the_chain():
    first, second = nn.Conv2d(3, 6, 3, padding=1).double(), nn.Conv2d(6, 5, 3, stride=2, padding=1).double()
    images = fresh((2, 3, 8, 8)).requires_grad_()
    inputs = [images, *first.parameters(), *second.parameters()]
    expected = gradients(lambda: F.leaky_relu(second(F.leaky_relu(first(images), 0.2)), 0.2), inputs)
    fast = gradients(lambda: leaky_convolution(second, leaky_convolution(first, images, slope=0.2), slope=0.2), inputs)
    assert_alike(fast, expected)


def test_a_gradient_that_is_a_view_is_left_alone():
    layer = nn.Conv2d(3, 5, 3, padding=1).double()
    images = fresh((2, 3, 8, 8))
    ones = torch.ones(1, dtype=torch.float64).expand(2, 5, 8, 8)
    leaky_convolution(layer, images, slope=0.2).backward(ones)
    assert torch.equal(ones, torch.ones(2, 5, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize(("count", "side", "few", "taps"), [(2, 7, 1, 8), (20, 32, 3, 8), (1, 130, 3, 4)])
def test_wide_convolution(count, side, few, taps):
    images = fresh((count, 6, side, side)).requires_grad_()
    weight, bias = fresh((few, 6, taps, taps), 1).requires_grad_(), torch.randn(few).double().requires_grad_()
    before, after = taps // 2 - 1, taps // 2
    inputs = [images, weight, bias]
    expected = gradients(lambda: F.conv2d(F.pad(images, (before, after, before, after)), weight, bias), inputs)
    assert_alike(gradients(lambda: wide_convolution(images, weight, bias), inputs), expected)


@pytest.mark.parametrize("wanted", [[True, False], [False, True]])
def test_wide_convolution_gives_only_what_is_asked_for(wanted):
    images, weight = fresh((2, 6, 8, 8)), fresh((3, 6, 8, 8), 1)
    images.requires_grad_(wanted[0])
    weight.requires_grad_(wanted[1])
    wide_convolution(images, weight, torch.zeros(3).double()).sum().backward()
    assert [images.grad is not None, weight.grad is not None] == wanted


def test_bfloat16_is_near():
    layer = nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1)
    images = fresh((2, 6, 16, 16)).float()
    weight, bias = fresh((3, 5, 8, 8), 1).float(), torch.zeros(3)
    exact = wide_convolution(leaky_convolution(layer, images, slope=0.2), weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = wide_convolution(leaky_convolution(layer, images, slope=0.2), weight, bias)
    assert rounded.dtype == torch.float32  # summed up in it
    assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize(("count", "side", "few", "taps"), [(2, 7, 1, 8), (4, 32, 3, 8), (1, 40, 3, 4)])
def test_convolution_by_rows(count, side, few, taps):
    """The form for GPUs, differentiated twice."""
    images = fresh((count, 6, side, side)).requires_grad_()
    weight, bias = fresh((few, 6, taps, taps), 1).requires_grad_(), torch.randn(few).double().requires_grad_()
    inputs = [images, weight, bias]

    def library(images, weight, bias):
        return F.conv2d(images, weight, bias, padding=taps // 2)[:, :, 1:, 1:]

    found, expected = [], []
    for convolve, results in ((convolution_by_rows, found), (library, expected)):
        result = convolve(*inputs)
        first = torch.autograd.grad(result.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(slope.square().sum() for slope in first), inputs)
        results += [result, *first, *second]
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 2e-13 * other.norm()


def test_convolution_by_rows_keeps_channels_last():
    images, weight = fresh((2, 6, 16, 16)).requires_grad_(), fresh((3, 6, 8, 8), 1).requires_grad_()
    result = convolution_by_rows(images, weight, torch.zeros(3).double())
    assert torch.tanh(result).is_contiguous(memory_format=torch.channels_last)
    for gradient in torch.autograd.grad(result.square().sum(), [images, weight]):
        assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_convolution_by_rows_in_bfloat16_is_near():
    images, weight, bias = fresh((2, 6, 16, 16)).float(), fresh((3, 6, 8, 8), 1).float(), torch.zeros(3)
    exact = convolution_by_rows(images, weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = convolution_by_rows(images, weight, bias)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()
