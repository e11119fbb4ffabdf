"""Schedules: their values, how they are written, and what is refused."""

import math

import pytest

from framework.config import Experiment, experiment_from_text, parse_overrides, to_yaml, with_overrides
from framework.config.schedule import highest, in_short, scheduled, value_at
from framework.errors import ConfigError

LR = "optimizer.generator_lr"
FALLING = {"from": 2e-4, "to": 5e-5, "over": 200_000}


def fault(overrides):
    with pytest.raises(ConfigError) as raised:
        with_overrides(Experiment(), overrides)
    return list(raised.value.faults)


@pytest.mark.parametrize(
    ("shape", "quarter"), [("linear", 0.25), ("cosine", (1 - math.sqrt(0.5)) / 2)]
)  # cos(pi / 4) is the root of a half
def test_values_along_a_schedule(shape, quarter):
    schedule = {"from": 8.0, "to": 4.0, "over": 1_000, "shape": shape}
    assert value_at(schedule, 0) == 8.0
    assert value_at(schedule, 250) == pytest.approx(8.0 - 4.0 * quarter, rel=1e-15)
    assert value_at(schedule, 500) == pytest.approx(6.0, rel=1e-15)
    assert value_at(schedule, 1_000) == value_at(schedule, 10**12) == 4.0
    assert highest(schedule) == 8.0
    assert value_at(8.0, 500) == highest(8.0) == 8.0


def test_a_schedule_never_leaves_its_ends():
    schedule = {"from": 0.1, "to": 0.3, "over": 997, "shape": "cosine"}
    values = [value_at(schedule, images) for images in range(1_100)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.1, 0.3)


def test_it_is_one_setting_however_it_is_written():
    whole = with_overrides(Experiment(), parse_overrides([f"{LR}={{over: 200000, from: 1, to: 5e-5}}"]))
    broken = with_overrides(Experiment(), {LR: {"from": 1.0, "to": 5e-5, "over": 200_000, "shape": "cosine"}})
    assert whole == broken
    assert whole.digest("abc") == broken.digest("abc") != Experiment().digest("abc")
    assert experiment_from_text(to_yaml(whole), source="c.yaml") == whole
    assert scheduled(whole) == {LR: {"from": 1.0, "to": 5e-5, "over": 200_000, "shape": "cosine"}}
    assert with_overrides(whole, {LR: 2e-4}).learned() == {}


def test_an_override_changes_one_part():
    experiment = with_overrides(Experiment(), {LR: FALLING})
    changed = with_overrides(experiment, parse_overrides([f"{LR}.from=1e-4", f"{LR}.shape=linear"]))
    assert changed.optimizer.generator_lr == {"from": 1e-4, "to": 5e-5, "over": 200_000, "shape": "linear"}
    assert fault({f"{LR}.from": 1e-4}) == [f"{LR}: a schedule needs from, to and over; this one lacks to and over"]


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        (FALLING | {"over": 0}, ".over: must be a whole number of images from 1 to 999,999,999,999, not 0"),
        (FALLING | {"over": -5}, ".over: must be a whole number of images from 1 to 999,999,999,999, not -5"),
        (FALLING | {"over": 2.5}, ".over: must be a whole number of images from 1 to 999,999,999,999, not 2.5"),
        (FALLING | {"over": True}, ".over: must be a whole number of images from 1 to 999,999,999,999, not true"),
        (FALLING | {"shape": "sine"}, ".shape: must be cosine or linear, not 'sine'"),
        (FALLING | {"shape": ["sine"]}, ".shape: must be cosine or linear, not ['sine']"),
        (FALLING | {"from": 0}, ".from: must be a number greater than 0 and at most 1, not 0.0"),
        (FALLING | {"to": 1.5}, ".to: must be a number greater than 0 and at most 1, not 1.5"),
        (FALLING | {"to": "low"}, ".to: must be a number greater than 0 and at most 1, not 'low'"),
        (FALLING | {"to": float("nan")}, ".to: must be a number greater than 0 and at most 1, not nan"),
        (FALLING | {"until": 7}, ": a schedule has from, to, over and shape, not 'until'"),
        ({"to": 1e-4, "over": 7}, ": a schedule needs from, to and over; this one lacks from"),
        (FALLING | {1: 2}, ": a schedule has from, to, over and shape, not 1"),
        ({}, ": a schedule needs from, to and over; this one lacks from and to and over"),
        (
            -1.0,
            ": must be a number greater than 0 and at most 1 or a schedule {from, to, over}, not -1.0",
        ),
    ],
)
def test_bad_schedules_are_one_line_each(schedule, line):
    assert fault({LR: schedule}) == [LR + line]


def test_the_ends_have_the_bounds_of_their_key():
    assert fault({"optimizer.beta2": {"from": 0.9, "to": 1.0, "over": 7}}) == [
        "optimizer.beta2.to: must be a number of at least 0 and less than 1, not 1.0"
    ]
    assert fault({"training.ema_half_life_images": {"from": 0, "to": 0.5, "over": 7}}) == [
        "training.ema_half_life_images.to: must be a whole number from 0 to 999,999,999,999, not 0.5"
    ]
    assert fault({"objective.r1_gamma": {"from": 1, "to": -1, "over": 7}}) == [
        "objective.r1_gamma.to: must be a number of at least 0, not -1.0"
    ]


def test_a_damaged_setting_is_no_schedule_to_show():
    assert in_short(FALLING) == "0.0002 to 5e-05 over 200,000"
    assert in_short({"from": 1}) is None
    assert in_short({"from": 1, "to": [], "over": "x"}) is None
