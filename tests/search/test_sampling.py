"""What is tried next: seeded draws as listed, Optuna's model learns, and a restart changes no proposal."""

import math

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.sampling import OptunaSampler, RandomSampler, sampler_of
from framework.search.space import check_space, settings

SPACE = {
    "optimizer.generator_lr": {"loguniform": [1e-5, 1e-1]},
    "optimizer.beta1": {"uniform": [0.0, 0.9]},
    "model.width": {"randint": [8, 65]},
    "objective.augmentations": {"choice": [[], ["color"], ["color", "cutout"]]},
}


def experiment(space=SPACE, **search):
    return with_overrides(Experiment(), {"search.space": space, **{f"search.{k}": v for k, v in search.items()}})


def loss(parameters):
    """Least at a learning rate of 1e-3 with ["color"]."""
    off = abs(math.log10(parameters["optimizer.generator_lr"]) + 3)
    return off + (0.0 if parameters["objective.augmentations"] == ["color"] else 2.0)


def searched(sampler, trials):
    """A ledger of trials, each proposed from those before it and ended with its loss."""
    registry = TrialRegistry([])
    for number in range(trials):
        parameters = sampler.propose(number, registry)
        registry.add(TrialRecord(f"{number:03d}", parameters, "finished", [(10, loss(parameters))]))
    return registry


def test_random_proposals_are_the_settings_in_their_order():
    wanted = experiment(trials=5)
    sampler = RandomSampler(wanted)
    assert [sampler.propose(number, TrialRegistry([])) for number in range(5)] == [
        s.parameters for s in settings(wanted)
    ]


@pytest.mark.long
def test_optuna_finds_what_random_draws_do_not():
    """40 trials each: the last 20 of a model-based search lie nearer to the best than random draws."""
    means = {}
    for name in ("random", "optuna"):
        ends = []
        for seed in range(3):
            registry = searched(sampler_of(experiment(sampler=name, trials=40, seed=seed)), 40)
            ends += [record.best for record in registry.settings()[20:]]
        means[name] = sum(ends) / len(ends)
    assert means["optuna"] < 0.6 * means["random"]


def test_every_proposal_is_one_that_the_space_holds():
    for record in searched(OptunaSampler(experiment(trials=25)), 25).settings():
        with_overrides(Experiment(), record.parameters)
        assert 1e-5 <= record.parameters["optimizer.generator_lr"] <= 1e-1
        assert 8 <= record.parameters["model.width"] <= 64
        assert isinstance(record.parameters["model.width"], int)


def test_a_restart_proposes_the_same():
    registry = searched(OptunaSampler(experiment()), 14)
    again = TrialRegistry(
        [TrialRecord(e.trial, dict(e.parameters), e.state, list(e.curve)) for e in registry.settings()]
    )
    one, other = (OptunaSampler(experiment()).propose(14, known) for known in (registry, again))
    assert one == other
    assert one != OptunaSampler(experiment(seed=1)).propose(14, registry)


def test_two_at_a_time_do_not_try_the_same():
    registry = searched(OptunaSampler(experiment()), 14)
    first = OptunaSampler(experiment()).propose(14, registry)
    registry.add(TrialRecord("014", first, "running"))
    assert OptunaSampler(experiment()).propose(15, registry) != first


def test_failed_trials_and_those_of_another_space_do_no_harm():
    registry = searched(OptunaSampler(experiment()), 12)
    registry.add(TrialRecord("012", registry["000"].parameters, "failed"))
    registry.add(TrialRecord("013", {"optimizer.generator_lr": 0.5}, "finished", [(10, 0.0)]))
    registry.add(TrialRecord("014", {**registry["000"].parameters, "model.width": 512}, "finished", [(10, 0.0)]))
    registry.add(TrialRecord("000-seed1", registry["000"].parameters, "finished", [(10, 0.0)], repeat_of="000"))
    assert OptunaSampler(experiment()).propose(15, registry).keys() == SPACE.keys()


def test_what_optuna_cannot_sample_is_refused():
    with pytest.raises(ConfigError, match=r"search.space.model.width: optuna does not support grid; use choice"):
        check_space(experiment({"model.width": {"grid": [8, 16]}}, sampler="optuna"))
    with pytest.raises(ConfigError, match=r"search.sampler: optuna has nothing to sample"):
        check_space(experiment({}, sampler="optuna"))
    with pytest.raises(ConfigError, match=r"search.space.seed: cannot be searched while search.seeds"):
        check_space(experiment({"seed": {"choice": [1, 2]}}, seeds=2))
