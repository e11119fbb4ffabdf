"""A photograph's latent: what a generator made itself is found back."""

import numpy as np
import pytest
import torch

from framework.config import ModelConfig
from framework.errors import LatentsError
from framework.latents.projection.project import project
from framework.models import build_generator, sample_latents

SIZE = 8


@pytest.fixture(scope="module")
def generate():
    """A real generator, untrained, its weights wide enough for images that differ."""
    network = build_generator(ModelConfig(width=16, latent_size=SIZE), resolution=32, channels=3, seed=0).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    return network.requires_grad_(False)


def image_of(generate, latent):
    with torch.no_grad():
        return generate(torch.from_numpy(latent[None]))[0]


@pytest.mark.long
def test_a_generated_image_is_found_back(generate):
    candidates, (latent,) = sample_latents(200, SIZE, seed=0), sample_latents(1, SIZE, seed=1)
    others = torch.stack([image_of(generate, other) for other in candidates[:50]])
    target = image_of(generate, latent)
    found = project(generate, target, candidates, shell_weight=0.0)
    random = 127.5 * float(((others - target) ** 2).mean(dim=(1, 2, 3)).sqrt().mean())
    assert found.pixel_error < 0.02 * random
    assert np.linalg.norm(found.latent - latent) < 0.1 * np.linalg.norm(latent)
    assert found.start_errors[0] == pytest.approx(found.pixel_error)
    assert len(found.start_errors) == 4


@pytest.mark.long
def test_a_latent_is_kept_near_its_shell(generate):
    target = torch.ones(3, 32, 32) * 0.9  # nothing that the generator makes
    candidates = sample_latents(50, SIZE, seed=0)
    lengths = [
        np.linalg.norm(project(generate, target, candidates, steps=150, shell_weight=weight).latent)
        for weight in (0.0, 10.0)
    ]
    assert abs(lengths[1] - SIZE**0.5) < 0.2
    assert abs(lengths[0] - SIZE**0.5) > 3 * abs(lengths[1] - SIZE**0.5)


def test_features_count_too(generate):
    target = image_of(generate, sample_latents(1, SIZE, seed=2)[0])
    candidates = sample_latents(50, SIZE, seed=0)
    found = project(generate, target, candidates, features=lambda x: x.mean(dim=(2, 3)), steps=150)
    assert found.feature_error < 0.01


def test_a_photograph_of_another_size_is_one_line(generate):
    candidates = sample_latents(5, SIZE, seed=0)
    with pytest.raises(LatentsError, match=r"shape \[3, 16, 16\], but the generator's images have \[3, 32, 32\]"):
        project(generate, torch.zeros(3, 16, 16), candidates)
    with pytest.raises(LatentsError, match="4 starts need at least 4 candidates, not 2"):
        project(generate, torch.zeros(3, 32, 32), candidates[:2])
