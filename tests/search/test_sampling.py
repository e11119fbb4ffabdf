"""What is tried next: seeded draws as listed, Optuna's model learns, and a restart changes no proposal."""

import math

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.search.registry import Entry, Ledger
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
    ledger = Ledger([])
    for number in range(trials):
        parameters = sampler.propose(number, ledger)
        ledger.add(Entry(f"{number:03d}", parameters, "finished", [(10, loss(parameters))]))
    return ledger


def test_random_proposals_are_the_settings_in_their_order():
    wanted = experiment(trials=5)
    sampler = RandomSampler(wanted)
    assert [sampler.propose(number, Ledger([])) for number in range(5)] == [s.parameters for s in settings(wanted)]


@pytest.mark.long
def test_optuna_finds_what_random_draws_do_not():
    """40 trials each: the last 20 of a model-based search lie nearer to the best than random draws."""
    means = {}
    for name in ("random", "optuna"):
        ends = []
        for seed in range(3):
            ledger = searched(sampler_of(experiment(sampler=name, trials=40, seed=seed)), 40)
            ends += [entry.best for entry in ledger.settings()[20:]]
        means[name] = sum(ends) / len(ends)
    assert means["optuna"] < 0.6 * means["random"]


def test_every_proposal_is_one_that_the_space_holds():
    for entry in searched(OptunaSampler(experiment(trials=25)), 25).settings():
        with_overrides(Experiment(), entry.parameters)
        assert 1e-5 <= entry.parameters["optimizer.generator_lr"] <= 1e-1
        assert 8 <= entry.parameters["model.width"] <= 64
        assert isinstance(entry.parameters["model.width"], int)


def test_a_restart_proposes_the_same():
    ledger = searched(OptunaSampler(experiment()), 14)
    again = Ledger([Entry(e.trial, dict(e.parameters), e.state, list(e.curve)) for e in ledger.settings()])
    one, other = (OptunaSampler(experiment()).propose(14, known) for known in (ledger, again))
    assert one == other
    assert one != OptunaSampler(experiment(seed=1)).propose(14, ledger)


def test_two_at_a_time_do_not_try_the_same():
    ledger = searched(OptunaSampler(experiment()), 14)
    first = OptunaSampler(experiment()).propose(14, ledger)
    ledger.add(Entry("014", first, "running"))
    assert OptunaSampler(experiment()).propose(15, ledger) != first


def test_failed_trials_and_those_of_another_space_do_no_harm():
    ledger = searched(OptunaSampler(experiment()), 12)
    ledger.add(Entry("012", ledger["000"].parameters, "failed"))
    ledger.add(Entry("013", {"optimizer.generator_lr": 0.5}, "finished", [(10, 0.0)]))
    ledger.add(Entry("014", {**ledger["000"].parameters, "model.width": 512}, "finished", [(10, 0.0)]))
    ledger.add(Entry("000-seed1", ledger["000"].parameters, "finished", [(10, 0.0)], repeat_of="000"))
    assert OptunaSampler(experiment()).propose(15, ledger).keys() == SPACE.keys()


def test_what_optuna_cannot_sample_is_refused():
    with pytest.raises(ConfigError, match=r"search.space.model.width: optuna does not support grid; use choice"):
        check_space(experiment({"model.width": {"grid": [8, 16]}}, sampler="optuna"))
    with pytest.raises(ConfigError, match=r"search.sampler: optuna has nothing to sample"):
        check_space(experiment({}, sampler="optuna"))
    with pytest.raises(ConfigError, match=r"search.space.seed: cannot be searched while search.seeds"):
        check_space(experiment({"seed": {"choice": [1, 2]}}, seeds=2))
