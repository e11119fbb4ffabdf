"""The adaptive probability of augmentations: by hand, across a restart, and as it is reported."""

import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.storage import open_folder
from framework.training import WorkerGroup
from framework.training.steps.step_augmentation import AdaptiveProbability
from tests.training.test_step import pixels, start

ADAPTIVE = {
    "objective__augmentations": ["color", "rotation", "noise"],
    "objective__augmentation_probability": "adaptive",
    "training__schedule": "joint",
}


def test_it_moves_by_the_share_of_positive_logits_every_fourth_step():
    settings = {"objective.augmentation_target": 0.5, "objective.augmentation_speed_images": 100}
    state = torch.zeros(3, dtype=torch.float64)
    config = with_overrides(Experiment(), settings).objective
    adaptive = AdaptiveProbability(state, config, batch_size=10, workers=WorkerGroup())
    high, low = torch.ones(4), torch.tensor([3.0, 1.0, 1.0, -2.0])  # mean signs 1 and 1/2
    found = []
    for step in range(24):
        # One step of four above the target raises it by 4 steps of 10 images of 100; at the target it stays.
        logits = {0: low, 1: high, 2: high, 3: low, 4: -high, 5: high}[step // 4]
        adaptive.after_step(high if step == 3 else logits, step)
        found.append(adaptive.value().item())
    assert found == pytest.approx([0] * 3 + [0.4] * 4 + [0.8] * 4 + [1.0] * 8 + [0.6] * 4 + [1.0])


def test_each_head_of_a_discriminator_counts():
    config = with_overrides(Experiment(), {"objective.augmentation_target": 0.6}).objective
    state = torch.zeros(3, dtype=torch.float64)
    adaptive = AdaptiveProbability(state, config, batch_size=10, workers=WorkerGroup())
    for step in range(4):  # the mean sign is 1/2 and below the target; summed over the heads it would be above
        adaptive.after_step(torch.tensor([[1.0, 2.0, 3.0, -1.0]]).repeat(5, 1), step)
    assert state.tolist() == [0.0, 0.0, 0.0]
    assert start(**ADAPTIVE, model__discriminator="projected", data__resolution=32)[2](pixels(8)).isfinite().all()


def test_half_way_through_an_interval_it_is_saved_and_goes_on_bit_for_bit(tmp_path):
    settings = ADAPTIVE | {"objective__augmentation_speed_images": 64, "objective__augmentation_target": -0.9}
    experiment, state, step = start(**settings)
    _, resumed, step_resumed = start(**settings)
    store = CheckpointStore(open_folder(tmp_path), digest=experiment.digest("0"), learned={}, keep="all")
    for number in range(6):
        step(pixels(8, number))
    assert state.augmentation.tolist() == [0.5, state.augmentation[1], 16.0]
    resumed.load(state.save(store))
    for number in range(6, 10):
        step(pixels(8, number))
        step_resumed(pixels(8, number))
    assert state.more_metrics() == {"augmentation_probability": 1.0}
    assert torch.equal(state.augmentation, resumed.augmentation)
    for name, network in state.networks().items():
        for weight, found in zip(network.parameters(), resumed.networks()[name].parameters(), strict=True):
            assert torch.equal(weight, found)


def test_it_is_reported_unless_it_is_always_1():
    color = {"objective__augmentations": ["color"]}
    assert start(**color)[1].more_metrics() == {}
    assert start(objective__augmentation_probability=0.3)[1].more_metrics() == {}  # of nothing
    assert start(**color, objective__augmentation_probability=0.3)[1].more_metrics() == {
        "augmentation_probability": 0.3
    }
    _, state, _ = start(**ADAPTIVE)
    assert state.more_metrics() == {"augmentation_probability": 0.0}


@pytest.mark.parametrize(("images_seen", "probability"), [(0, 0.1), (8, 0.25), (16, 0.4), (100, 0.4)])
def test_a_schedule_is_followed(images_seen, probability):
    names = {"objective__augmentations": ["color", "scale"]}
    schedule = {"from": 0.1, "to": 0.4, "over": 16, "shape": "linear"}
    _, one, step = start(**names, objective__augmentation_probability=schedule)
    _, other, other_step = start(**names, objective__augmentation_probability=probability)
    one.images_seen = other.images_seen = images_seen
    assert torch.equal(step(pixels(4)), other_step(pixels(4)))


@pytest.mark.parametrize("schedule", ["notebook", "joint"])
def test_probability_0_is_a_training_without_augmentation_and_probability_1_one_with_all(schedule):
    every = {"objective__augmentations": ["color", "translation", "cutout"], "training__schedule": schedule}
    gamma = {"objective__r1_gamma": 4.0}
    plain = {"training__schedule": schedule}
    for probability, same, rounding in ((0.0, plain, 0.0), (0.9999999, every, 1e-12)):
        _, one, step = start(**every, **gamma, objective__augmentation_probability=probability)
        _, other, other_step = start(**same, **gamma)
        for number in range(2):
            real = pixels(4 if schedule == "notebook" else 8, number)
            torch.testing.assert_close(step(real), other_step(real), rtol=rounding, atol=0)
        weight = one.discriminator.dense.weight
        torch.testing.assert_close(weight, other.discriminator.dense.weight, rtol=1e4 * rounding, atol=rounding)
