"""Settings follow from the seed alone, and a space that could fail is refused before anything starts."""

import math

import pytest

from framework.config import Experiment, with_overrides
from framework.config.schedule import value_at
from framework.errors import ConfigError
from framework.search.space import settings
from tests.conftest import missing

SPACE = {"optimizer.generator_lr": {"loguniform": [5e-5, 1e-3]}, "model.latent_size": {"choice": [32, 64, 100]}}


def experiment(space, **search):
    return with_overrides(Experiment(), {"search.space": space, **{f"search.{k}": v for k, v in search.items()}})


def test_raising_trials_only_adds_to_the_end():
    four, nine = settings(experiment(SPACE, trials=4)), settings(experiment(SPACE, trials=9))
    assert nine[:4] == four
    assert len({setting.trial for setting in nine}) == 9


def test_another_key_in_the_space_moves_no_draw_of_the_others():
    alone = settings(experiment({"optimizer.generator_lr": SPACE["optimizer.generator_lr"]}, trials=5))
    together = settings(experiment(SPACE, trials=5))
    key = "optimizer.generator_lr"
    assert [s.parameters[key] for s in alone] == [s.parameters[key] for s in together]


def test_draws_stay_in_their_range_and_fill_it():
    draws = [s.parameters["optimizer.generator_lr"] for s in settings(experiment(SPACE, trials=300))]
    assert all(5e-5 <= draw <= 1e-3 for draw in draws)
    # the median of a loguniform is the geometric mean of its ends; 300 draws put it within a quarter of a decade
    median = sorted(draws)[150]
    assert abs(math.log10(median) - math.log10(math.sqrt(5e-5 * 1e-3))) < 0.25


def test_every_choice_comes():
    sizes = {s.parameters["model.latent_size"] for s in settings(experiment(SPACE, trials=60))}
    assert sizes == {32, 64, 100}


def test_grid_is_crossed_with_the_draws():
    space = {"model.width": {"grid": [16, 32]}, "training.schedule": {"grid": ["notebook", "joint"]}}
    found = [s.parameters for s in settings(experiment(space, trials=1))]
    assert [tuple(p.values()) for p in found] == [(16, "notebook"), (16, "joint"), (32, "notebook"), (32, "joint")]


@pytest.mark.parametrize(
    ("space", "place", "facts"),
    [
        ({"optimizer.generater_lr": {"uniform": [1, 2]}}, "optimizer.generater_lr", ["optimizer.generator_lr"]),
        ({"compute.workers": {"choice": [1, 2]}}, "compute.workers", []),
        ({"latents.side": {"choice": [10, 20]}}, "latents.side", []),
        ({"model.latent_size": {"choice": [0, 32]}}, "model.latent_size.choice", ["model.latent_size"]),
        ({"optimizer.beta1": {"uniform": [0.9, 0.1]}}, "optimizer.beta1.uniform", ["low", "high"]),
        ({"optimizer.generator_lr": {"loguniform": [0, 1]}}, "optimizer.generator_lr.loguniform", ["low", 0]),
        ({"model.width": {"between": [1, 2]}}, "model.width", ["loguniform, uniform, randint, choice, grid"]),
        ({"optimizer.generator_lr.from": {"uniform": [0.1, 0.2]}}, "optimizer.generator_lr.from.uniform", ["lacks to"]),
        ({"optimizer.beta1.from": {"choice": [0.1]}}, "optimizer.beta1.from.choice", ["must be a number"]),
        (
            {"optimizer.generator_lr": {"choice": [{"from": 1, "to": 2, "over": 3}]}},
            "optimizer.generator_lr.choice",
            ["optimizer.generator_lr.to"],
        ),
        ({"model.width": {"randint": [8.5, 16]}}, "model.width.randint", ["[low, high]", "whole numbers"]),
    ],
)
def test_faults_name_the_key(space, place, facts):
    with pytest.raises(ConfigError) as fault:
        settings(experiment(space))
    (line,) = fault.value.faults
    assert line.startswith(f"search.space.{place}: ")
    assert missing(line.partition(": ")[2], *facts) == []


def test_schedules_and_their_parts_are_searched():
    falling, rising = ({"from": one, "to": other, "over": 1_000} for one, other in ((2e-4, 5e-5), (5e-5, 2e-4)))
    scheduled = with_overrides(Experiment(), {"optimizer.beta2": {"from": 0.9, "to": 0.99, "over": 1_000}})
    space = {
        "optimizer.generator_lr": {"choice": [falling, rising, 1e-4]},
        "optimizer.beta2.from": {"uniform": [0.5, 0.9]},
        "objective.r1_gamma": {"choice": ["auto", 0.5]},
    }
    base = with_overrides(scheduled, {"search.space": space, "search.trials": 8})
    for setting in settings(base):
        trial = with_overrides(base, setting.parameters)
        assert value_at(trial.optimizer.beta2, 0) == setting.parameters["optimizer.beta2.from"]
        assert trial.optimizer.beta2["to"] == 0.99
        assert value_at(trial.optimizer.generator_lr, 0) in (2e-4, 5e-5, 1e-4)
    both = {"optimizer.beta2": {"uniform": [0.5, 0.9]}, "optimizer.beta2.from": {"uniform": [0.5, 0.9]}}
    with pytest.raises(
        ConfigError, match=r"search.space.optimizer.beta2.from: optimizer.beta2 is searched too; remove"
    ):
        settings(with_overrides(scheduled, {"search.space": both}))


def test_all_faults_come_together():
    space = {"model.width": {"choice": [1]}, "optimizer.beta1": {"uniform": [1, 0]}}
    with pytest.raises(ConfigError) as fault:
        settings(experiment(space))
    assert len(fault.value.faults) == 2
