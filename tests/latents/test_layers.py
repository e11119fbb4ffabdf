"""First layers of any network, by what they compute: dense, transposed or not, scaled, ours and others'."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from framework.config import LatentsConfig, ModelConfig
from framework.errors import LatentsError
from framework.latents.directions.discover import DiscoveryModels, discover
from framework.latents.directions.methods.layers import early_activations
from framework.latents.directions.methods.sefa import first_weight
from framework.models import build_generator, sample_latents

SIZE = 16
LATENTS = torch.from_numpy(sample_latents(6, SIZE, seed=0))


def as_maps():
    return nn.Unflatten(1, (SIZE, 1, 1))


class Scaled(nn.Module):
    """Brings each latent to a length first, and calls the function that layers call: no module of torch's shows it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(20, SIZE))

    def forward(self, latents):
        latents = latents * torch.rsqrt(latents.square().mean(dim=1, keepdim=True))
        return F.linear(torch.relu(F.linear(latents, 0.5 * self.weight)), torch.eye(20))


@pytest.mark.parametrize(
    ("network", "first"),
    [
        (nn.Sequential(nn.Linear(SIZE, 30), nn.ReLU(), nn.Linear(30, 3)), 1),
        (nn.Sequential(as_maps(), nn.ConvTranspose2d(SIZE, 5, 4), nn.ReLU(), nn.ConvTranspose2d(5, 3, 2)), 2),
        (nn.Sequential(as_maps(), nn.Conv2d(SIZE, 5, 3, padding=2), nn.ReLU(), nn.Conv2d(5, 3, 3)), 2),
    ],
    ids=["dense", "transposed", "convolution"],
)
def test_the_first_matrix_and_what_comes_behind_its_nonlinearity(network, first):
    with torch.no_grad():
        out, zero = network[:first](LATENTS), network[:first](torch.zeros(1, SIZE))
        behind = network[: first + 1](LATENTS)
    weight = first_weight(network, SIZE)
    np.testing.assert_allclose(LATENTS.numpy() @ weight.T, (out - zero).flatten(1).numpy(), atol=1e-5)
    assert torch.equal(early_activations(network, LATENTS), behind.flatten(1))


def test_a_layer_is_seen_by_what_it_computes():
    network = Scaled()
    np.testing.assert_allclose(first_weight(network, SIZE), 0.5 * network.weight.detach().numpy(), rtol=1e-6)
    with torch.no_grad():
        lengths = LATENTS.square().mean(dim=1, keepdim=True).sqrt()
        expected = torch.relu(LATENTS @ network.weight.T * 0.5 / lengths)
    np.testing.assert_allclose(early_activations(network, LATENTS).numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("architecture", ["dcgan", "skip", "residual"])
def test_our_own_generators_show_theirs(architecture):
    config = ModelConfig(architecture=architecture, width=4, latent_size=SIZE)
    network = build_generator(config, resolution=32, channels=3, seed=0).requires_grad_(False)
    assert np.array_equal(first_weight(network, SIZE), network.dense.weight.numpy())
    with torch.no_grad():
        whole = network(LATENTS)
    activations = early_activations(network, LATENTS)
    patterns = 4 * 4 if architecture == "residual" else 1  # each number of the dense layer weighs a map of 4x4
    assert activations.shape == (6, network.dense.out_features * patterns)
    with torch.no_grad():
        assert torch.equal(network(LATENTS), whole)
    found = discover(
        _tools(network), LatentsConfig(directions={"method": "ganspace", "samples": 64, "components": 2}), {}
    )
    assert [one.name for one in found] == ["ganspace_1", "ganspace_2"]


class Later(nn.Module):
    """Makes something else of latents before any layer, though the layer has the right size."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(SIZE, 3)

    def forward(self, latents):
        return self.dense(latents.abs())


class Layerless(nn.Module):
    def forward(self, latents):
        return torch.tanh(latents.cumsum(dim=1))


def test_what_has_no_such_layer_is_said_in_one_line():
    for network, method in ((Later(), "sefa"), (Layerless(), "sefa"), (Layerless(), "ganspace"),
                            (nn.Linear(SIZE, 3), "ganspace")):  # fmt: skip
        with pytest.raises(
            LatentsError, match=rf"latents\.directions\.method: {method} needs .* this generator has no such layer"
        ) as e:
            discover(_tools(network), LatentsConfig(directions={"method": method, "samples": 64}), {})
        assert "\n" not in str(e.value)


def _tools(network):
    return DiscoveryModels(
        latent_size=SIZE,
        digest="a" * 64,
        sample=lambda n, start: sample_latents(n, SIZE, seed=0, start=start),
        assess=None,
        generate=network,
        network=network,
        score=None,
        made_of={},
    )
