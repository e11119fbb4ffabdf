"""Studies of a conditional generator: what they do with the code behind z, and what they leave alone."""

import numpy as np
import pytest
import torch

from framework.checkpoint import LoadedGenerator
from framework.checkpoint.saved import CONDITION, condition_in, generator_config
from framework.config import Experiment, ModelConfig, with_overrides
from framework.errors import ConfigError
from framework.latents.directions.methods.layers import early_activations, first_matrix
from framework.latents.directions.methods.sefa import sefa
from framework.latents.walks.interpolate import between_corners, interpolate, lerp, loop, slerp
from framework.models import build_generator
from framework.models.condition import Condition
from framework.orchestration.studies.project import _of_normal, _unknown
from framework.report.export.portable import portable_config

NUMBERS = np.random.default_rng(0)
CONDITION_OF = Condition.of(
    ["hair", "age"],
    {"hair": NUMBERS.integers(0, 3, 50).astype(np.float32), "age": NUMBERS.uniform(1, 90, 50).astype(np.float32)},
    {"hair": ["bald", "short", "long"]},
)
MODEL = ModelConfig(width=4, latent_size=6, architecture="skip", condition=["hair", "age"])


@pytest.fixture(scope="module")
def generator():
    network = build_generator(MODEL, resolution=32, channels=3, seed=0, condition=CONDITION_OF)
    config = generator_config(MODEL, resolution=32, channels=3, images_seen=1, condition=CONDITION_OF)
    return LoadedGenerator(
        network, config=config, digest="d", source="here", device="cpu", condition=condition_in(config)
    )


def test_walks_are_spherical_in_z_and_linear_in_the_code(generator):
    a, b = generator.sample_latents(2, seed=1)
    walk = slerp(a, b, 5, normal=6)
    np.testing.assert_array_equal(walk[:, :6], slerp(a[:6], b[:6], 5))
    np.testing.assert_array_equal(walk[:, 6:], lerp(a[6:], b[6:], 5))
    same = generator.conditioned({"hair": "long", "age": 30}).sample_latents(4, seed=1)
    for latents in (loop(same, 4, normal=6), between_corners(same, 3, normal=6).reshape(9, -1)):
        np.testing.assert_allclose(latents[:, 6:], np.repeat(same[:1, 6:], len(latents), axis=0), atol=1e-6)
    settings = with_overrides(Experiment(), {"latents.walks.steps": 3}).latents
    drawn = interpolate(generator.conditioned({"hair": "long", "age": 30}), settings)
    assert drawn.latents["slerp"].shape == (3, 11)
    assert drawn.document["latent_norms"]["slerp"][0] == pytest.approx(
        np.linalg.norm(generator.sample_latents(1, settings.seed)[0, :6]), abs=1e-3
    )


def test_the_first_layer_is_that_of_z(generator):
    latents = torch.from_numpy(generator.sample_latents(4, seed=2))
    matrix = first_matrix(generator.network, latents)
    torch.testing.assert_close(matrix[:, :6], generator.network.dense.weight[:, :6])
    assert matrix.shape[1] == 11
    assert not matrix[:, 6:].any()
    assert not sefa(matrix.double().numpy(), count=6).vectors[:, 6:].any()
    assert early_activations(generator.network, latents).shape[1] > 6


def test_a_projection_looks_for_z_with_the_labels_that_are_asked_for(generator):
    settings = with_overrides(
        Experiment(), {"model.condition": ["hair", "age"], "latents.condition": {"hair": "short"}}
    ).latents
    candidates = _unknown(generator, generator.sample_latents(3, seed=5), settings)
    assert generator.condition.captions(candidates[:, 6:]) == ["hair short, age unknown"] * 3
    with torch.no_grad():
        found = _of_normal(generator, candidates)(torch.from_numpy(candidates[:, :6]))
        torch.testing.assert_close(found, generator.network(torch.from_numpy(candidates)))


def test_an_export_has_the_condition_or_is_refused(generator):
    public = portable_config(generator.config)
    assert condition_in(public).names == ["hair", "age"]
    private = {"labels": [{"name": "a", "kind": "classes", "classes": ["/home/me", "b"]}]}
    with pytest.raises(ConfigError, match=r"model\.condition: .* cannot be published"):
        portable_config(generator.config | {CONDITION: generator.config[CONDITION] | private})


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [
        ({"model.condition": ["age", "age"]}, "twice"),
        ({"model.condition": ["age"], "model.family": "vae"}, "model.family=vae"),
        ({"model.condition": ["age"], "model.entry": "mine:generator"}, "model.entry"),
        ({"latents.condition": {"age": 30}}, "latents.condition: 'age'"),
    ],
)
def test_what_does_not_fit_a_condition_is_one_line(overrides, facts):
    with pytest.raises(ConfigError) as fault:
        with_overrides(Experiment(), overrides)
    assert len(fault.value.faults) == 1
    assert facts in fault.value.faults[0]
