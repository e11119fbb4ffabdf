"""Training with a condition: the steps written plainly, any number of workers, restarts, and what is refused."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from framework.checkpoint import CheckpointStore, load_generator
from framework.checkpoint.start import open_start
from framework.config import DataConfig, Experiment, with_overrides
from framework.data import prepare
from framework.errors import CheckpointError, ConfigError, LatentsError, TrainingError
from framework.images import to_model_range
from framework.models import derive_seed, sample_latents
from framework.models.condition import condition_seed
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from framework.training.conditions import (
    check_conditions,
    codes_of,
    condition_of,
    row_labels,
    sample_latents_of,
    training_labels,
)
from framework.training.feed import Feed
from framework.training.precision import Precision
from framework.training.state import TrainState
from framework.training.steps.gan_step import STEPS
from tests.conftest import missing
from tests.training.conftest import Ranks
from tests.training.test_workers import HARD, PARTS, assert_same, rows, weights

CPU = torch.device("cpu")
LABELS = ["hair_colour", "glasses"]  # classes, unknown where there is no hair, and 0 or 1
SETTINGS = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "model.condition": LABELS,
    "training.batch_size": 8,
    "training.total_images": 8 * 4,
    "training.report_every_images": 8 * 2,
    "training.samples_every_images": 8 * 4,
    "evaluation.every_images": 8 * 2,
    "compute.precision": "float32",
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """128 drawn faces with their labels; the age group serves as a number too."""
    config = DataConfig(source="drawn_faces", limit=128, resolution=32)
    store = prepare(config, cache=tmp_path_factory.mktemp("faces"))
    numbers = store.labels["age_group"] * 20 + 10
    return dataclasses.replace(store, labels=store.labels | {"age": numbers, "same": np.zeros(128, np.float32)})


@pytest.fixture
def train(faces, tmp_path):
    def train(*, images=faces, name="checkpoints", **overrides):
        experiment = with_overrides(Experiment(), SETTINGS | {k.replace("__", "."): v for k, v in overrides.items()})
        learned = {"data": images.digest, **experiment.learned()}
        digest = experiment.digest(images.digest)
        store = CheckpointStore(open_folder(tmp_path / name), digest=digest, learned=learned, keep="all")
        reports = []
        Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(),
            report=reports.append,
            log=lambda _: None,
        ).run()
        return load_generator(tmp_path / name), reports

    return train


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_each_image_is_judged_with_its_own_condition(faces, schedule):
    settings = {"model.condition": [*LABELS, "age"], "training.schedule": schedule, "model.dropout": 0.0}
    experiment = with_overrides(Experiment(), SETTINGS | settings | {"compute.precision": "float64"})
    condition = condition_of(faces, experiment.model.condition)
    shape = {"resolution": 32, "channels": 3, "precision": "float64", "device": CPU}
    state = TrainState.fresh(experiment, **shape, condition=condition)
    step = STEPS[schedule](state, experiment=experiment, workers=WorkerGroup(), precision=Precision("float64", CPU))
    feed = Feed(faces, experiment, step=step, workers=WorkerGroup(), condition=condition)
    generator, judge = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
    adams = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), eps=1e-7) for network in (generator, judge)
    ]

    def descend(adam, loss):
        generator.zero_grad()
        judge.zero_grad()
        loss.backward()
        adam.step()

    def made(purpose, count, number):
        normal = sample_latents(count, 6, seed=derive_seed(0, "latents", purpose, number))
        codes = condition.draw(count, seed=derive_seed(0, "condition", purpose, number))
        codes = torch.from_numpy(codes).double()
        return generator(torch.cat([torch.from_numpy(normal).double(), codes], dim=1)), codes

    count, softplus = step.real_images(8), torch.nn.functional.softplus
    table = codes_of(faces, condition)
    for number in range(2):
        batch = feed._batch(number, number * count)
        indices = feed._stream.indices(number * count, count)
        np.testing.assert_array_equal(faces.images[indices], batch.pixels)
        real, codes = to_model_range(batch.pixels).double(), torch.from_numpy(table[indices]).double()
        fake, fake_codes = made("fake" if schedule == "notebook" else "generator", count, number)
        on_real = softplus(-judge(real, None, codes)).mean()
        if schedule == "notebook":
            descend(adams[1], on_real)
            descend(adams[1], softplus(judge(fake.detach(), None, fake_codes)).mean())
        else:
            descend(adams[1], on_real + softplus(judge(fake.detach(), None, fake_codes)).mean())
        whole, whole_codes = made("generator", 8, number)
        descend(adams[0], softplus(-judge(whole, None, whole_codes)).mean())
        step(batch.pixels, batch.mirrored, numbers=batch.numbers)
        for ours, theirs in ((state.generator, generator), (state.discriminator, judge)):
            for (name, found), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-11, msg=name)
    assert judge.projections[0].weight.abs().max() > 0


def test_a_loaded_generator_knows_its_condition_and_needs_no_data(train, faces):
    generator, reports = train()
    condition = generator.condition
    assert condition.names == LABELS
    assert (generator.normal_size, generator.latent_size) == (6, 6 + 5 + 2)
    whole = generator.sample_latents(40, seed=3)
    parts = [generator.sample_latents(15, seed=3), generator.sample_latents(25, seed=3, start=15)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(whole[:, :6], sample_latents(40, 6, seed=3))
    np.testing.assert_array_equal(whole[:, 6:], condition.draw(40, seed=condition_seed(3)))
    np.testing.assert_array_equal(generator.truncated(0.5).sample_latents(40, seed=3)[:, 6:], whole[:, 6:])
    # A condition for z alone, for whole latents, and for all samples.
    asked = {"hair_colour": "red", "glasses": [1, None] * 20}
    expected = np.concatenate([whole[:, :6], condition.encode(asked, 40)], axis=1)
    np.testing.assert_array_equal(generator.images(whole[:, :6], condition=asked), generator.images(expected))
    changed = generator.latents_with(whole, {"glasses": 0})
    np.testing.assert_array_equal(changed[:, :11], whole[:, :11])
    np.testing.assert_array_equal(changed[:, 11:], [[-1, 1]] * 40)
    fixed = generator.conditioned({"hair_colour": "grey"}).sample_latents(40, seed=3)
    assert {text.partition(",")[0] for text in condition.captions(fixed[:, 6:])} == {"hair_colour grey"}
    with pytest.raises(LatentsError) as fault:
        generator.conditioned({"hair_colour": "green"})
    assert not missing(str(fault.value), "hair_colour", "green", "black", "red")
    # The grid of samples goes through the classes.
    samples = next(report.samples for report in reversed(reports) if report.samples is not None)
    assert samples.shape == (64, 32, 32, 3)


def test_a_restart_changes_nothing(train, faces, tmp_path):
    train(name="whole")
    train(name="parts", training__total_images=16)
    train(name="parts")
    one, other = (CheckpointStore(open_folder(tmp_path / name), digest="", learned={}, keep="all").all()[-1]
                  for name in ("whole", "parts"))  # fmt: skip
    for part in PARTS:
        assert_same(one.tensors(part), other.tensors(part))


def test_other_labels_are_refused_when_it_resumes(train, faces):
    train(training__total_images=16)
    other = dataclasses.replace(faces, labels=faces.labels | {"glasses": 1 - faces.labels["glasses"]})
    with pytest.raises(CheckpointError) as fault:
        train(images=other)
    assert not missing(str(fault.value), "model.condition", "glasses")


@pytest.mark.parametrize(
    ("labels", "facts"),
    [(["beards"], ["beards", "beard", "glasses"]), (["same"], ["same", 1, 2])],
)
def test_labels_that_do_not_fit_are_one_line_before_the_training(faces, labels, facts):
    experiment = with_overrides(Experiment(), {"model.condition": labels})
    with pytest.raises(ConfigError) as fault:
        check_conditions(training_labels(faces), experiment)
    assert len(fault.value.faults) == 1
    assert not missing(fault.value.faults[0], "model.condition", *facts)


def test_the_labels_and_the_size_of_the_code_are_said(faces):
    experiment = with_overrides(Experiment(), {"model.condition": ["glasses", "age"]})
    (line,) = check_conditions(training_labels(faces), experiment)
    assert not missing(line, "glasses", "0 or 1", "age", 10, 50, 4)
    searched = with_overrides(experiment, {"search.space": {"model.condition": {"choice": [[], ["skin"]]}}})
    (line,) = check_conditions(training_labels(faces), searched)
    assert not missing(line, "skin", "light", "medium", "dark", 3)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, faces):
    group = Ranks(tmp_path_factory.mktemp("ranks"), faces)
    yield group
    group.close()


@pytest.mark.long
@pytest.mark.timeout(200)
def test_any_number_of_workers_and_passes_is_the_same_training(ranks):
    size = {"training.total_images": 44, "training.report_every_images": 44}
    hard = HARD | size | {"model.condition": LABELS, "model.latent_size": 8}
    kinds = {
        "notebook": hard | {"training.schedule": "notebook"},
        "paired": hard | {"training.schedule": "joint", "objective.loss": "relativistic", "objective.r2_gamma": 2.0},
    }
    ways = [(1, {}), (2, {}), (3, {"compute.images_per_pass": 4})]
    jobs = {}
    for world, more in ways:
        jobs[world] = [
            ranks.job(f"{kind}-{world}", overrides=overrides | more | {"compute.workers": world})
            for kind, overrides in kinds.items()
        ]
        ranks.run(*jobs[world], world=world)
    for world in (2, 3):
        for one, other in zip(jobs[1], jobs[world], strict=True):
            expected, found = weights(one, 44), weights(other, 44)
            for name in expected:
                torch.testing.assert_close(found[name], expected[name], rtol=1e-7, atol=1e-10, msg=name)
            assert rows(one)[-1]["discriminator_loss"] == pytest.approx(rows(other)[-1]["discriminator_loss"], rel=1e-9)


def test_a_training_that_starts_from_it_keeps_its_labels_and_their_scale(train, faces, tmp_path):
    train(name="first", model__condition=["glasses", "age"])
    place = str(tmp_path / "first")
    older = dataclasses.replace(faces, labels=faces.labels | {"age": faces.labels["age"] + 20})
    settings = {"model__condition": ["glasses", "age"], "training__start_from": place}
    settings["training__start_digest"] = open_start(place).digest
    train(images=older, name="second", training__total_images=16, **settings)
    again, _ = train(images=older, name="second", **settings)  # goes on, and finds the same scale again
    ages = again.condition.label("age")
    assert (ages.low, ages.high) == (10, 50)
    assert set(np.unique(again.condition.rows[:, 1])) <= {30, 50, 70}
    other = dataclasses.replace(faces, label_classes=faces.label_classes | {"glasses": ["no", "yes"]})
    with pytest.raises(TrainingError) as fault:
        train(images=other, name="third", **settings)
    assert not missing(str(fault.value), "training.start_from", "model.condition", "glasses", "no", "yes")


def test_the_rows_of_the_samples_have_the_values_of_a_label(faces):
    condition = condition_of(faces, ["age", "background", "glasses"])
    labels = row_labels(condition)
    assert labels == [
        f"background {name}" for name in ("grey", "grey", "blue", "blue", "green", "green", "warm", "warm")
    ]
    latents = sample_latents_of(condition, 64, 6, seed=1)
    np.testing.assert_array_equal(latents[:, :6], sample_latents(64, 6, seed=1))
    shown = [text.split(", ")[1] for text in condition.captions(latents[:, 6:])]
    assert shown == [label for label in labels for _ in range(8)]
    assert row_labels(condition_of(faces, ["age"])) is None
    assert sample_latents_of(condition_of(faces, ["age"]), 64, 6, seed=1).shape == (64, 8)
