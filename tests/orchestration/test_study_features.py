"""What studies compare images by: it follows from what there is, and gradients go through it."""

import pickle

import numpy as np
import pytest
import torch

from framework.config import Experiment, ModelConfig, with_overrides
from framework.errors import LatentsError
from framework.latents.projection.project import project
from framework.latents.walks.smoothness import PathMeter, measured
from framework.models import build_generator, sample_latents
from framework.orchestration.studies.features import projection_features, walk_features, walk_unit

CPU = torch.device("cpu")


def chosen(choice, *, assessed):
    experiment = with_overrides(Experiment(), {"latents.projection.features": choice})
    return projection_features(experiment, assessed=assessed)


def no_assessor():
    raise AssertionError("there is none")


@pytest.mark.parametrize(
    ("choice", "assessed", "kind"),
    [
        ("auto", True, "assessor"),
        ("auto", False, "efficientnet"),
        ("efficientnet", True, "efficientnet"),
        ("pixels", False, None),
        ("assessor", True, "assessor"),
    ],
)
def test_a_projection_compares_by_what_there_is(choice, assessed, kind):
    words, features = chosen(choice, assessed=assessed)
    assert features.kind == kind
    assert len(features.files) == (kind == "efficientnet")
    assert ("efficientnet-lite2" in words) == (kind == "efficientnet")
    assert pickle.loads(pickle.dumps(features)) == features


def test_what_is_named_has_to_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for choice in ("assessor", "inception"):
        with pytest.raises(LatentsError, match=f"latents.projection.features: .*{choice}"):
            chosen(choice, assessed=False)


def test_walks_are_measured_by_the_assessor_if_there_is_one():
    assert (walk_features(assessed=True).kind, walk_unit(walk_features(assessed=True))) == ("assessor", "measurer")
    assert walk_features(assessed=False).kind == "efficientnet"
    assert walk_unit(walk_features(assessed=False)) == "120 features of efficientnet-lite2 at 130x130"


@pytest.mark.long
@pytest.mark.parametrize("channels", [1, 3])
def test_efficientnet_sees_the_difference_and_its_gradients_lead_to_it(channels):
    features = walk_features(assessed=False).build(no_assessor, CPU)
    blurred = torch.linspace(-1, 1, 32).expand(1, channels, 32, 32).clone()
    noisy = blurred + 0.3 * torch.randn(1, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    target = features(blurred)
    assert target.shape == (1, 120)
    assert torch.equal(features(blurred), target)
    images = noisy.clone().requires_grad_()
    before = ((features(images) - target) ** 2).mean()
    before.backward()
    step = 0.02 * images.grad / images.grad.abs().max()
    assert float(((features(noisy - step) - target) ** 2).mean()) < float(before.detach())


@pytest.mark.long
def test_a_projection_and_a_walk_go_by_efficientnet():
    network = build_generator(ModelConfig(width=8, latent_size=6), resolution=32, channels=3, seed=0).eval()
    network.requires_grad_(False)
    features = walk_features(assessed=False).build(no_assessor, CPU)
    a, b = sample_latents(2, 6, seed=0)
    walks = {"lerp": np.linspace(a, b, 5)}
    found = measured(PathMeter(network, features, unit="some"), walks)
    assert found["features"] == "some"
    assert found["lerp"] >= found["straight"] > 0
    with torch.no_grad():
        target = network(torch.from_numpy(a[None]))[0]
    result = project(network, target, sample_latents(8, 6, seed=1), features=features, starts=1, steps=3)
    assert result.feature_error is not None
    assert np.isfinite(result.feature_error)
