"""What a training takes, beside closed forms and beside the networks and the state that a training really has."""

import numpy as np
import pytest
import torch

from framework.config import Experiment, with_overrides
from framework.data.labels import Labels
from framework.models import count_parameters
from framework.models.architectures.residual import widths_of
from framework.training.beginning import begin_training
from framework.training.conditions import condition_by, condition_of
from framework.training.cost import META, TrainingCost, _Held
from framework.training.precision import Precision
from framework.training.steps.families import family_of
from framework.training.workers import WorkerGroup
from jobs.cli.forecast_cost import costs_of, say_networks
from jobs.cli.job import Console

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
SMALL = {"data.resolution": 32, "model.width": 8, "model.latent_size": 6, "training.batch_size": 8}
JOINT = SMALL | {"training.schedule": "joint", "model.dropout": 0.0}
RESIDUAL = JOINT | {"model.architecture": "residual"}
LABELS = Labels({"woman": np.float32([0, 1, 1, 0]), "age": np.float32([20, 30, np.nan, 40])}, {})
WHOLE = RESIDUAL | {
    "model.discriminator": "both",
    "model.condition": ["woman", "age"],
    "objective.loss": "relativistic",
    "objective.r1_gamma": "auto",
    "objective.r2_gamma": "auto",
    "objective.r1_every_steps": 2,
    "objective.augmentations": ["color", "scale", "noise"],
    "objective.augmentation_probability": "adaptive",
}


def cost(overrides, **more):
    experiment = with_overrides(Experiment(), overrides)
    return TrainingCost(experiment, condition=condition_by(LABELS, experiment.model.condition), **more)


def test_what_is_held_counts_storages_from_birth_to_death():
    with _Held() as held:
        one = torch.empty(256, device=META)
        view = one.view(16, 16)
        two = one + 1
        assert (held.now, held.most) == (2048, 2048)
        del one, view
        assert held.now == 1024
        two = two * 2  # old and new, for a moment
        assert (held.now, held.most) == (1024, 2048)


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_a_step_holds_its_activations_a_pass_at_a_time(schedule):
    """What stays: weights, gradients, two moments, and the generator's average."""
    small = {"data.resolution": 32, "model.width": 8, "model.dropout": 0.0, "training.schedule": schedule}
    whole = cost(small | {"training.batch_size": 64})
    half = cost(small | {"training.batch_size": 64, "compute.images_per_pass": 32})
    double = cost(small | {"training.batch_size": 128})
    shared = cost(small | {"training.batch_size": 128}, workers=2)
    assert half.kept_bytes == whole.kept_bytes
    generator, discriminator = whole.parameters.values()
    assert whole.kept_bytes == 4 * (5 * generator + 4 * discriminator)
    stays, passing = whole.kept_bytes, whole.memory_bytes("float32") - whole.kept_bytes
    assert 0.3 < (half.memory_bytes("float32") - stays) / passing < 0.75
    assert (double.memory_bytes("float32") - stays) / passing == pytest.approx(2, abs=0.1)
    assert shared.memory_bytes("float32") == whole.memory_bytes("float32")
    assert whole.memory_bytes("bfloat16") == stays + passing // 2
    # More passes hold only more images that wait, as bytes and as numbers, and their latents.
    many = [
        cost(small | {"training.batch_size": batch, "compute.images_per_pass": 16}).memory_bytes("float32")
        for batch in (64, 128, 256)
    ]
    real = 1 if schedule == "joint" else 0.5
    latents = 100 * 4 * (1 if schedule == "joint" else 1.5)
    assert many[2] - many[1] == 2 * (many[1] - many[0])
    assert (many[1] - many[0]) / 64 == pytest.approx(3 * 32 * 32 * (real + 4) + latents, rel=1e-3)


def test_operations_are_counted_once_whatever_the_batch():
    """An optimizer's update is one of them, whatever the number of weights."""
    few, many, deep = (cost(RESIDUAL | more) for more in ({}, {"training.batch_size": 64}, {"model.blocks": 2}))
    assert few.step_operations == many.step_operations < deep.step_operations
    # A block has two convolutions, an activation and a sum; it goes forward three times and back twice at most.
    assert deep.step_operations - few.step_operations < 4 * 2 * 4 * 8
    passes = cost(RESIDUAL | {"training.batch_size": 64, "compute.images_per_pass": 8})
    assert 4 < passes.step_operations / few.step_operations < 9


def test_float64_holds_twice_as_much():
    single, double = (cost(SMALL | {"compute.precision": precision}) for precision in ("float32", "float64"))
    assert double.kept_bytes == 2 * single.kept_bytes
    assert double.memory_bytes("float64") == pytest.approx(2 * single.memory_bytes("float32"), rel=0.02)


def residual_multiplications(width, latent_size):
    """Those of the pair at 32 px with one block a size: of both networks, of the first layer of each."""
    widths = widths_of(32, width)
    sides = [4 * 2**k for k in range(len(widths))]
    blocks = sum(2 * 9 * channels**2 * side**2 for channels, side in zip(widths, sides, strict=True))
    between = [
        before * after * side**2
        for before, after, side in zip(widths, widths[1:], sides, strict=False)
        if before != after
    ]
    dense, image = latent_size * widths[0], 3 * width * 32**2
    return blocks + sum(between) + dense + image, blocks + sum(between) + image, dense, image


def test_multiplications_are_those_of_the_layers():
    """A forward, and for each weight and each input that wants a gradient as much again."""
    generator, discriminator, dense, image = residual_multiplications(8, 6)
    of_pair = cost(RESIDUAL)
    assert of_pair.generator_multiplications == generator
    # Real and generated images, whose pixels need no gradient; then through both networks to the generator's weights.
    step = 2 * (3 * discriminator - image) + 2 * discriminator + (3 * generator - dense)
    assert of_pair.step_multiplications == step
    # The partners of a paired loss go through the discriminator once more.
    paired = cost(RESIDUAL | {"objective.loss": "relativistic"})
    assert paired.step_multiplications == step + discriminator


@pytest.mark.parametrize("gammas", [["r1_gamma"], ["r2_gamma"], ["r1_gamma", "r2_gamma"]])
def test_penalties_count_at_their_share_of_the_steps(gammas):
    keys = RESIDUAL | {f"objective.{gamma}": 1.0 for gamma in gammas}
    plain, *lazily = (
        cost(more).step_multiplications
        for more in (RESIDUAL, *(keys | {"objective.r1_every_steps": every} for every in (1, 4)))
    )
    assert lazily[0] > 1.2 * plain
    assert lazily[1] == (lazily[0] + 3 * plain) / 4


def test_multiplications_follow_from_the_size_alone():
    few, many = (cost(JOINT | {"training.batch_size": batch}) for batch in (8, 24))
    passes = cost(JOINT | {"training.batch_size": 24, "compute.images_per_pass": 8})
    assert few.step_multiplications == many.step_multiplications
    generator = many.generator_multiplications
    # In passes the generator's images are made again for its own update.
    assert passes.step_multiplications == pytest.approx(many.step_multiplications + generator)


@pytest.mark.parametrize("family", ["autoencoder", "vae"])
def test_an_encoder_and_a_decoder(family):
    made = cost(SMALL | {"model.family": family})
    assert [*made.parameters] == ["generator", "encoder"]
    encoder = 3 * made.generator_multiplications  # about what the two have, forward and backward
    assert 0 < made.generator_multiplications < encoder < made.step_multiplications < 3 * encoder
    generator, encoder = made.parameters.values()
    assert made.kept_bytes == pytest.approx(4 * 5 * (generator + encoder), rel=0.01)


NETWORKS = [
    {"model.architecture": architecture, "model.discriminator": discriminator, "model.condition": condition}
    for architecture in ("dcgan", "skip", "residual")
    for discriminator in ("own", "projected", "both")
    for condition in ([], ["bright", "shade"])
]


@pytest.mark.parametrize("keys", [*NETWORKS, {"model.family": "autoencoder"}, {"model.family": "vae"}], ids=str)
def test_the_plan_counts_the_networks_that_a_training_builds(keys, images, capsys):
    experiment = with_overrides(Experiment(), SMALL | keys)
    images.labels["bright"] = np.arange(len(images.names), dtype=np.float32) % 2
    images.labels["shade"] = np.arange(len(images.names), dtype=np.float32)
    labels = Labels(images.labels, images.label_classes)
    costs = costs_of([experiment], labels, workers=1)
    told = say_networks(costs, Console())["parameters"]
    state = begin_training(experiment, images=images, newest=None, precision="float32", device=CPU, log=print)
    built = {name: count_parameters(network) for name, network in state.networks().items()}
    assert told == built
    said = capsys.readouterr().err
    assert all(f"{name.capitalize()}: {count:,} parameters" in said for name, count in built.items())
    discriminator = state.companion()[1]
    assert costs[0].frozen == getattr(discriminator, "frozen_size", 0)
    assert (costs[0].frozen > 0) == (keys.get("model.discriminator", "own") != "own")


def test_what_stays_is_the_state_of_a_training(images):
    """Weights, gradients, moments, average, condition and the adaptive probability, after a real step."""
    names = {"woman": np.arange(len(images.names), dtype=np.float32) % 2}
    names["age"] = np.arange(len(images.names), dtype=np.float32)
    images.labels.update(names)
    experiment = with_overrides(Experiment(), WHOLE)
    condition = condition_of(images, experiment.model.condition)
    family = family_of(experiment)
    state = family.state.fresh(
        experiment, resolution=32, channels=3, precision="float32", device=CPU, condition=condition
    )
    step = family.step(state, experiment=experiment, workers=WorkerGroup(), precision=Precision("float32", CPU))
    codes = torch.zeros(8, condition.size)
    step(torch.zeros(8, 32, 32, 3, dtype=torch.uint8), numbers=step.draw(0).with_codes("real", codes))
    networks = [*state.networks().values(), state.ema.network]
    weights = [each for network in networks for each in (*network.parameters(), *network.buffers())]
    gradients = [each.grad for each in weights if each.grad is not None]
    moments = [each for one in state.optimizers().values() for kept in one.state.values() for each in kept.values()]
    kept = [*weights, *gradients, *moments, state.augmentation]
    steps = 4 * len(moments) / 3  # Adam's own count of steps is on the host in the plan
    assert sum(each.nbytes for each in kept) - steps == cost(WHOLE).kept_bytes


def test_everything_that_is_turned_on_takes_more():
    memory, work = cost(RESIDUAL).memory_bytes("float32"), cost(RESIDUAL).step_multiplications
    keys = dict(RESIDUAL)
    for key in ("model.condition", "objective.augmentations", "objective.r1_gamma"):
        keys[key] = WHOLE[key]
        made = cost(keys)
        assert made.memory_bytes("float32") > memory
        assert made.step_multiplications >= work
        memory, work = made.memory_bytes("float32"), made.step_multiplications


def test_a_size_that_no_machine_has_is_counted_at_once():
    huge = cost({"model.width": 2048, "data.resolution": 256, "training.batch_size": 2**26})
    assert huge.memory_bytes("float32") > 2**50
    many = cost({"training.batch_size": 2**26, "compute.images_per_pass": 1})
    assert many.memory_bytes("float32") > 2**26 * 3 * 128**2
