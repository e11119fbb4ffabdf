"""Both schedules against the same written plainly; bookkeeping; precisions."""

import copy
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.config.schedule import value_at
from framework.images import to_model_range
from framework.storage import open_folder
from framework.training.precision import Precision, choose_precision
from framework.training.state import TrainState
from framework.training.steps.augment import build_augmentation
from framework.training.steps.draws import StepRandom
from framework.training.steps.gan_step import METRIC_NAMES, STEPS
from framework.training.workers import WorkerGroup

CPU = torch.device("cpu")
SMALL = {"data.resolution": 32, "model.width": 4, "model.latent_size": 6, "training.batch_size": 8}


def start(precision="float64", **overrides):
    experiment = with_overrides(Experiment(), SMALL | {key.replace("__", "."): v for key, v in overrides.items()})
    state = TrainState.fresh(experiment, resolution=32, channels=3, precision=precision, device=CPU)
    step = STEPS[experiment.training.schedule](
        state, experiment=experiment, workers=WorkerGroup(), precision=Precision(precision, CPU)
    )
    return experiment, state, step


def pixels(count, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8))


class Plain:
    """The same networks, optimizers and numbers, without any of the framework's step."""

    def __init__(self, experiment, state):
        self.generator, self.discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
        settings = {"betas": (0.5, 0.999), "eps": 1e-7}
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=experiment.optimizer.generator_lr, **settings)
        self.adam_d = torch.optim.Adam(
            self.discriminator.parameters(), lr=experiment.optimizer.discriminator_lr, **settings
        )
        self.draws = StepRandom(
            seed=experiment.seed,
            latent_size=6,
            features=self.discriminator.features,
            dropout=experiment.model.dropout,
            dtype=torch.float64,
        )

    def descend(self, adam, loss):
        self.generator.zero_grad()
        self.discriminator.zero_grad()
        loss.backward()
        adam.step()

    def judge(self, images, purpose, step, count):
        mask = self.draws.mask(purpose, step, WorkerGroup().shard(count))
        return self.discriminator(images, mask)

    def latents(self, purpose, step, count):
        return self.draws.latents(purpose, step, WorkerGroup().shard(count))


def cross_entropy(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def assert_same_networks(plain, state):
    for ours, theirs in ((state.generator, plain.generator), (state.discriminator, plain.discriminator)):
        for (name, found), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_the_notebooks_schedule():
    experiment, state, step = start(training__schedule="notebook")
    plain = Plain(experiment, state)
    for number in range(3):
        real = pixels(4, number)
        figures = dict(zip(METRIC_NAMES, step(real).tolist(), strict=True))
        on_real = plain.judge(to_model_range(real).double(), "real", number, 4)
        loss_real = cross_entropy(on_real, 1.0)
        plain.descend(plain.adam_d, loss_real)
        fake = plain.generator(plain.latents("fake", number, 4)).detach()
        on_fake = plain.judge(fake, "fake", number, 4)
        loss_fake = cross_entropy(on_fake, 0.0)
        plain.descend(plain.adam_d, loss_fake)
        loss = cross_entropy(
            plain.judge(plain.generator(plain.latents("generator", number, 8)), "generator", number, 8), 1.0
        )
        plain.descend(plain.adam_g, loss)
        assert_same_networks(plain, state)
        assert figures["discriminator_loss"] == pytest.approx((loss_real + loss_fake).item() / 2)
        assert figures["generator_loss"] == pytest.approx(loss.item())
        assert figures["accuracy_real"] == (on_real > 0).double().mean()
        assert figures["accuracy_fake"] == (on_fake <= 0).double().mean()
        assert figures["logit_mean_fake"] == pytest.approx(on_fake.mean().item())
    assert (state.steps, state.images_seen, state.real_images_seen) == (3, 24, 12)


def test_the_joint_schedule():
    experiment, state, step = start(training__schedule="joint")
    plain = Plain(experiment, state)
    for number in range(3):
        real = pixels(8, number)
        figures = dict(zip(METRIC_NAMES, step(real).tolist(), strict=True))
        fake = plain.generator(plain.latents("generator", number, 8))
        on_real = plain.judge(to_model_range(real).double(), "real", number, 8)
        on_fake = plain.judge(fake.detach(), "fake", number, 8)
        loss = cross_entropy(on_real, 1.0) + cross_entropy(on_fake, 0.0)
        plain.descend(plain.adam_d, loss)
        plain.descend(plain.adam_g, cross_entropy(plain.judge(fake, "generator", number, 8), 1.0))
        assert_same_networks(plain, state)
        assert figures["discriminator_loss"] == pytest.approx(loss.item() / 2)
    assert (state.steps, state.images_seen, state.real_images_seen) == (3, 24, 24)


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_r1_enters_the_discriminators_step_where_it_is_due(schedule):
    extra = {"objective__r1_gamma": 4.0, "objective__r1_every_steps": 2, "model__dropout": 0.0}
    _, state, step = start(training__schedule=schedule, **extra)
    _, without, step_without = start(training__schedule=schedule, model__dropout=0.0)
    before = copy.deepcopy(state.discriminator)
    count = 4 if schedule == "notebook" else 8
    real = pixels(count)
    penalised, plain = step(real)[6], step_without(real)[6]
    assert penalised != plain
    images = to_model_range(real).double().requires_grad_()
    (slopes,) = torch.autograd.grad(before(images).sum(), images, create_graph=True)
    penalty = 4.0 / 2 * 2 * slopes.square().sum(dim=(1, 2, 3)).mean()  # gamma / 2 x the steps between
    gradient = torch.autograd.grad(penalty, [before.from_image.weight])[0]
    assert gradient.abs().max() > 0
    # Adam's first moment after one update of one pass is (1 - beta1) x gradient; joint has just one
    if schedule == "joint":
        found = state.discriminator_optimizer.state[state.discriminator.from_image.weight]["exp_avg"] / 0.5
        plain_found = without.discriminator_optimizer.state[without.discriminator.from_image.weight]["exp_avg"] / 0.5
        torch.testing.assert_close(found - plain_found, gradient, rtol=1e-7, atol=1e-12)


def test_the_relativistic_loss_in_the_joint_schedule():
    """The generator is compared with the real image of its index, augmented and masked as the discriminator saw it."""
    settings = {"objective__loss": "relativistic", "objective__augmentations": ["color", "translation", "cutout"]}
    experiment, state, step = start(training__schedule="joint", **settings)
    plain = Plain(experiment, state)
    augment = build_augmentation(experiment.objective.augmentations)

    def judge(images, purpose, number):
        numbers = plain.draws.augmentation(purpose, number, WorkerGroup().shard(8))
        return plain.judge(augment(images, numbers), purpose, number, 8)

    for number in range(3):
        pixels_seen = pixels(8, number)
        figures = dict(zip(METRIC_NAMES, step(pixels_seen).tolist(), strict=True))
        real = to_model_range(pixels_seen).double()
        fake = plain.generator(plain.latents("generator", number, 8))
        margins = judge(real, "real", number) - judge(fake.detach(), "fake", number)
        loss = torch.log1p(torch.exp(-margins)).mean()
        plain.descend(plain.adam_d, loss)
        above = judge(fake, "generator", number) - judge(real, "real", number).detach()
        generator_loss = torch.log1p(torch.exp(-above)).mean()
        plain.descend(plain.adam_g, generator_loss)
        assert_same_networks(plain, state)
        assert figures["discriminator_loss"] == pytest.approx(loss.item())
        assert figures["generator_loss"] == pytest.approx(generator_loss.item())
        assert figures["accuracy_real"] == figures["accuracy_fake"] == (margins > 0).double().mean()


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_r2_is_the_penalty_on_generated_images_through_their_augmentation(schedule):
    settings = {"training__schedule": schedule, "model__dropout": 0.0, "objective__augmentations": ["color"]}
    experiment, state, step = start(**settings, objective__r2_gamma=4.0, objective__r1_every_steps=2)
    _, without, step_without = start(**settings)
    plain = Plain(experiment, state)
    count, purpose = (4, "fake") if schedule == "notebook" else (8, "generator")
    numbers = plain.draws.augmentation("fake", 0, WorkerGroup().shard(count))
    images = plain.generator(plain.latents(purpose, 0, count)).detach().requires_grad_()
    # One step of each with a learning rate that moves nothing: the moments are the gradients.
    for each in (state, without):
        each.experiment = with_overrides(each.experiment, {"optimizer.discriminator_lr": 1e-300})
        each.follow_schedules()
    figures = dict(zip(step.metric_names, step(pixels(count)).tolist(), strict=True))
    step_without(pixels(count))
    logits = plain.discriminator(build_augmentation(["color"])(images, numbers), None)
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    penalty = 4.0 / 2 * 2 * slopes.square().sum(dim=(1, 2, 3)).mean()  # gamma / 2 x the steps between
    assert figures["r2_penalty"] == pytest.approx(penalty.item())
    (gradient,) = torch.autograd.grad(penalty, [plain.discriminator.from_image.weight])
    found, plain_found = (
        each.discriminator_optimizer.state[each.discriminator.from_image.weight]["exp_avg"] / 0.5
        for each in (state, without)
    )
    torch.testing.assert_close(found - plain_found, gradient, rtol=1e-7, atol=1e-12)
    assert step(pixels(count))[6].item() == 0.0  # the second step is without


def test_augmentation_touches_real_and_generated_images():
    _, state, step = start(training__schedule="joint", objective__augmentations=["color", "cutout"])
    _, without, step_without = start(training__schedule="joint")
    step(pixels(8))
    step_without(pixels(8))
    assert not torch.equal(state.discriminator.from_image.weight, without.discriminator.from_image.weight)
    assert not torch.equal(state.generator.dense.weight, without.generator.dense.weight)


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
@pytest.mark.parametrize("images_per_pass", [1, 3, 100])
def test_passes_add_up_to_the_whole_batch(schedule, images_per_pass):
    """Two steps, the first with R1, in float64."""
    settings = {
        "training__schedule": schedule,
        "objective__r1_gamma": 4.0,
        "objective__r2_gamma": 1.0,
        "objective__loss": "relativistic" if schedule == "joint" else "least_squares",
        "objective__augmentations": ["color", "translation", "cutout"],
    }
    _, whole, step = start(**settings)
    _, parts, step_in_parts = start(**settings, compute__images_per_pass=images_per_pass)
    for number in range(2):
        real = pixels(4 if schedule == "notebook" else 8, number)
        torch.testing.assert_close(step_in_parts(real), step(real), rtol=1e-12, atol=1e-12)
    for name, network in whole.networks().items():
        for expected, found in zip(network.parameters(), parts.networks()[name].parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)
    assert parts.discriminator.dense.weight.requires_grad


def test_mirrored_images_are_turned_left_to_right_before_the_step():
    _, state, step = start(training__schedule="joint")
    _, turned, step_turned = start(training__schedule="joint")
    real, mirrored = pixels(8), torch.tensor([True, False] * 4)
    step(real, mirrored)
    step_turned(torch.stack([image.flip(1) if flip else image for image, flip in zip(real, mirrored, strict=True)]))
    assert torch.equal(state.discriminator.from_image.weight, turned.discriminator.from_image.weight)


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_numbers_that_were_drawn_ahead_are_those_of_the_step(schedule):
    settings = {"training__schedule": schedule, "objective__augmentations": ["translation"]}
    _, state, step = start(**settings)
    _, ahead, step_ahead = start(**settings)
    count = 4 if schedule == "notebook" else 8
    drawn = [step_ahead.draw(number) for number in range(3)]
    for number in range(3):
        assert torch.equal(step(pixels(count, number)), step_ahead(pixels(count, number), numbers=drawn[number]))
    assert torch.equal(state.generator.dense.weight, ahead.generator.dense.weight)


def test_the_average_follows_by_its_half_life():
    _, state, step = start(training__ema_half_life_images=8)
    state.images_seen = 1_000  # old enough to have the whole half-life
    first = state.generator.dense.weight.detach().clone()
    step(pixels(4))
    torch.testing.assert_close(state.ema.network.dense.weight, 0.5 * (first + state.generator.dense.weight.detach()))


SCHEDULED = {
    "optimizer__generator_lr": {"from": 2e-3, "to": 1e-4, "over": 40},
    "optimizer__discriminator_lr": {"from": 1e-4, "to": 1e-3, "over": 24, "shape": "linear"},
    "optimizer__beta2": {"from": 0.9, "to": 0.99, "over": 40},
    "objective__r1_gamma": {"from": 2.0, "to": 0.0, "over": 32, "shape": "linear"},
    "objective__r2_gamma": {"from": 0.0, "to": 1.0, "over": 40},
    "objective__r1_every_steps": 2,
    "objective__loss": "relativistic",
    "training__schedule": "joint",
    "training__ema_half_life_images": {"from": 0, "to": 2, "over": 40},
}


def test_a_step_takes_the_values_of_schedules_at_its_images_seen():
    _, state, step = start(**SCHEDULED)
    for number in range(3):
        seen = 8 * number
        rates = ("generator_lr", "discriminator_lr", "beta2")
        constants = {key: value_at(getattr(state.experiment.optimizer, key), seen) for key in rates}
        groups = [optimizer.param_groups[0] for optimizer in state.optimizers().values()]
        assert [group["lr"] for group in groups] == [constants["generator_lr"], constants["discriminator_lr"]]
        assert [group["betas"] for group in groups] == [(0.5, constants["beta2"])] * 2
        before = state.ema.network.dense.weight.clone()
        step(pixels(8, number))
        half_life = min(
            value_at(SCHEDULED["training__ema_half_life_images"] | {"shape": "cosine"}, seen + 8), 0.4 * (number + 1)
        )
        decay = 0.5 ** (8 / half_life)
        expected = decay * before + (1 - decay) * state.generator.dense.weight.detach()
        torch.testing.assert_close(state.ema.network.dense.weight, expected)


def test_a_resumed_training_goes_on_along_its_schedules_bit_for_bit(tmp_path):
    _, whole, step = start("float32", **SCHEDULED)
    _, first, step_first = start("float32", **SCHEDULED)
    for number in range(6):
        step(pixels(8, number))
    for number in range(3):
        step_first(pixels(8, number))
    store = CheckpointStore(open_folder(tmp_path), digest="0", learned={}, keep="all")
    experiment, second, _ = start("float32", **SCHEDULED, training__total_images=10**9)
    second.load(first.save(store))
    precision = Precision("float32", CPU)
    step_second = STEPS["joint"](second, experiment=experiment, workers=WorkerGroup(), precision=precision)
    for number in range(3, 6):
        step_second(pixels(8, number))
    for name, network in whole.networks().items():
        for expected, found in zip(network.parameters(), second.networks()[name].parameters(), strict=True):
            assert torch.equal(found, expected), name
    for expected, found in zip(whole.ema.network.parameters(), second.ema.network.parameters(), strict=True):
        assert torch.equal(found, expected)


PAIRS = {
    "training__schedule": "joint",
    "objective__loss": "relativistic",
    "objective__r1_gamma": 1.0,
    "objective__r2_gamma": 1.0,
    "objective__r1_every_steps": 1,
}


@pytest.mark.parametrize(("settings", "count"), [({}, 4), ({"model__architecture": "residual"}, 4), (PAIRS, 8)])
def test_bfloat16_computes_nearly_the_same_on_float32_weights(settings, count):
    _, state, step = start("bfloat16", **settings)
    _, exact, exact_step = start("float64", **settings)
    found = dict(zip(step.metric_names, step(pixels(count)).tolist(), strict=True))
    expected = dict(zip(step.metric_names, exact_step(pixels(count)).tolist(), strict=True))
    assert state.generator.dense.weight.dtype == torch.float32
    assert exact.generator.dense.weight.dtype == torch.float64
    for name in found.keys() - {"accuracy_real", "accuracy_fake"}:  # those jump where a logit is near 0
        assert found[name] == pytest.approx(expected[name], rel=0.05, abs=0.05), name


def test_auto_precision_is_found_by_trying_and_says_so():
    experiment = with_overrides(Experiment(), SMALL)
    name, reason = choose_precision(experiment, resolution=32, channels=3, device=CPU)
    assert name in ("float32", "bfloat16")
    assert re.search(r"bfloat16 .* \d+\.\d\d .*float32", reason)  # the share of the time that was measured
