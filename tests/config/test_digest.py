"""The digest covers what is learned, and only that."""

import hashlib
import json

import pytest

from framework.config import Experiment, known_keys, with_overrides
from framework.config.describe import default_of
from framework.errors import ConfigError

# A value other than the default for every key that changes what is learned; all other keys must not.
LEARNED = {
    "seed": 1,
    "data.horizontal_flip": True,
    "model.family": "vae",
    "model.width": 64,
    "model.latent_size": 32,
    "model.discriminator": "both",
    "model.condition": ["gender"],
    "model.dropout": 0.1,
    "model.entry": "mine:generator",
    "model.discriminator_layers": [{"kind": "dense", "units": 1}],
    "objective.loss": "hinge",
    "objective.r1_gamma": 1.0,
    "objective.r2_gamma": 1.0,
    "objective.r1_every_steps": 4,
    "objective.augmentations": ["color"],
    "objective.augmentation_probability": 0.5,
    "objective.augmentation_target": 0.5,
    "objective.augmentation_speed_images": 100_000,
    "optimizer.generator_lr": 1e-3,
    "optimizer.discriminator_lr": 1e-3,
    "optimizer.beta1": 0.0,
    "optimizer.beta2": 0.9,
    "optimizer.epsilon": 1e-8,
    "training.start_digest": "0" * 64,
    "training.freeze_discriminator": 1,
    "training.on_collapse": "stop",
    "training.schedule": "joint",
    "training.batch_size": 64,
    "training.ema_half_life_images": 0,
}
# Likewise, of keys that have an effect only beside others.
NEEDS = {
    "model.blocks": ({"model.architecture": "residual"}, 2),
    "model.feature_network": ({"model.discriminator": "both"}, "efficientnet-lite2"),
    "training.most_rewinds": ({"training.on_collapse": "rewind"}, 3),
    "model.projection_channels": ({"model.discriminator": "projected"}, 32),
}
# Likewise, of keys that only some families have.
LEARNED_BY = {
    "objective.likelihood": ("autoencoder", "bernoulli"),
    "objective.deviation": ("autoencoder", 0.2),
    "objective.beta": ("vae", 4.0),
    "objective.beta_warmup_images": ("vae", 1_000),
}
NOT_LEARNED = {
    "name": "other",
    "data.path": "/elsewhere",
    "data.labels": "labels.csv",
    "data.rules": 1,
    "data.copies": "keep",
    "training.start_from": "/runs/elsewhere",
    "training.total_images": 10**9,
    "training.budget_minutes": 10.0,
    "training.report_every_images": 1,
    "training.samples_every_images": 1,
    "evaluation.samples": 50_000,
    "evaluation.weights": "/weights",
    "search.trials": 99,
    "search.space": {"model.width": {"choice": [1]}},
    "latents.expression": "a - b",
    "checkpoint.keep": "all",
    "storage.path": "s3://bucket",
    "storage.cache_path": "/cache",
    "compute.workers": 4,
    "compute.precision": "bfloat16",
    "compute.deterministic": True,
    "compute.images_per_pass": 4,
}


def test_the_default_experiment_is_its_data_alone():
    assert Experiment().learned() == {}
    expected = hashlib.sha256(json.dumps({"data": "abc"}).encode()).hexdigest()
    assert Experiment().digest("abc") == expected
    assert Experiment().digest("abd") != expected


@pytest.mark.parametrize("key", LEARNED)
def test_a_learned_key_makes_another_digest(key):
    changed = with_overrides(Experiment(), {key: LEARNED[key]})
    assert changed.learned() == {key: LEARNED[key]}
    assert changed.digest("abc") != Experiment().digest("abc")
    back = with_overrides(changed, {key: default_of(key)})
    assert back.digest("abc") == Experiment().digest("abc"), "a key at its default is as if it were not there"


@pytest.mark.parametrize("key", LEARNED_BY)
def test_a_learned_key_of_a_family_is_refused_by_others(key):
    family, value = LEARNED_BY[key]
    changed = with_overrides(Experiment(), {"model.family": family, key: value})
    assert changed.learned() == {"model.family": family, key: value}
    with pytest.raises(ConfigError, match=f"{key}: {value} has no effect for model.family=gan; remove it"):
        with_overrides(Experiment(), {key: value})


@pytest.mark.parametrize("key", NEEDS)
def test_a_learned_key_that_needs_another_is_refused_without_it(key):
    others, value = NEEDS[key]
    assert with_overrides(Experiment(), {**others, key: value}).learned() == {**others, key: value}
    with pytest.raises(ConfigError, match=f"{key}: {value} has no effect for .*; remove it"):
        with_overrides(Experiment(), {key: value})


@pytest.mark.parametrize("key", ["model.dropout", "objective.loss", "optimizer.discriminator_lr", "training.schedule"])
def test_what_only_a_gan_has_is_refused_by_others(key):
    with pytest.raises(ConfigError, match=f"{key}: .* has no effect for model.family=vae; remove it"):
        with_overrides(Experiment(), {"model.family": "vae", key: LEARNED[key]})


@pytest.mark.parametrize("key", NOT_LEARNED)
def test_where_and_how_long_it_runs_is_not_learned(key):
    assert with_overrides(Experiment(), {key: NOT_LEARNED[key]}).digest("abc") == Experiment().digest("abc")


def test_every_learned_key_is_in_the_digest():
    sections = ("model.", "objective.", "optimizer.", "training.")
    not_alone = {"model.architecture", "model.layers"}
    wanted = {key for key in known_keys() if key.startswith(sections)} - set(NOT_LEARNED) - not_alone
    assert wanted <= LEARNED.keys() | LEARNED_BY.keys() | NEEDS.keys()
    imported = [
        with_overrides(
            Experiment(), {"model.architecture": "keras", "model.layers": [{"kind": "dense", "units": units}]}
        )
        for units in (1, 2)
    ]
    assert len({one.digest("abc") for one in [Experiment(), *imported]}) == 3


def test_a_number_is_the_same_however_it_is_written():
    whole, broken = (with_overrides(Experiment(), {"optimizer.beta1": value}) for value in (0, 0.0))
    assert whole.digest("abc") == broken.digest("abc")


def test_an_experiment_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Experiment().seed = 3
    with pytest.raises(ValueError, match="frozen"):
        Experiment().model.width = 3
