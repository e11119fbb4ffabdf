"""The moving average forgets by the images it has seen, whatever the batch."""

import pytest
import torch
from torch import nn

from framework.models import Ema


def constant(value):
    network = nn.Linear(3, 2)
    for parameter in network.parameters():
        nn.init.constant_(parameter, value)
    return network


@pytest.mark.parametrize("batch", [1, 10, 250, 1_000])
def test_half_is_forgotten_after_a_half_life(batch):
    network = constant(1.0)
    ema = Ema(network, half_life_images=1_000)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    for _ in range(1_000 // batch):
        ema.update(batch, images_seen=1_000_000)
    torch.testing.assert_close(ema.network.weight, torch.full((2, 3), 0.5), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("images_seen", "half_life"), [(200, 10), (4_000, 200), (20_000, 1_000), (90_000, 1_000)])
def test_a_young_average_forgets_sooner(images_seen, half_life):
    network = constant(1.0)
    ema = Ema(network, half_life_images=1_000)
    nn.init.zeros_(network.weight)
    ema.update(10, images_seen=images_seen)
    torch.testing.assert_close(ema.network.weight, torch.full((2, 3), 0.5 ** (10 / half_life)))


def test_a_half_life_of_0_follows():
    network = constant(1.0)
    ema = Ema(network, half_life_images=0)
    nn.init.constant_(network.weight, 3.0)
    ema.update(1, images_seen=1)
    assert torch.equal(ema.network.weight, network.weight)
    assert ema.network.weight.data_ptr() != network.weight.data_ptr()


def test_it_asks_for_no_gradients():
    assert not any(parameter.requires_grad for parameter in Ema(constant(1.0), half_life_images=5).network.parameters())
