"""Population based training: who copies whom, what changes, and a kill in the middle of it changes nothing."""

import pytest

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.models import build_generator
from framework.runs import RunFolder
from framework.search.pbt import compared_until, decide, exploit, generation_ends
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.space import check_space

LR, OTHER = "optimizer.generator_lr", "optimizer.discriminator_lr"
SPACE = {LR: {"loguniform": [1e-4, 1e-2]}, OTHER: {"choice": [1e-4, 2e-4, 4e-4]}}


def records(*scores, images_seen=64):
    return [
        TrialRecord(
            f"{number:03d}", {LR: 1e-3, OTHER: 2e-4}, "waiting", [(images_seen, score)], images_seen=images_seen
        )
        for number, score in enumerate(scores)
    ]


def decided(population, *, end=64, quantile=0.25, seed=0):
    return decide(population, end=end, space=SPACE, quantile=quantile, seed=seed)


def test_the_worst_quarter_copies_the_best_quarter():
    population = records(5.0, 1.0, 8.0, 3.0, 2.0, 7.0, 4.0, 6.0)
    for seed in range(20):
        made = decided(population, seed=seed)
        assert [one.trial for one in made] == ["002", "005"]
        assert {one.donor for one in made} <= {"001", "004"}


def test_each_learning_rate_is_the_donors_times_a_factor_within_its_range():
    seen = set()
    for seed in range(40):
        population = records(1.0, 2.0, 3.0, 4.0)
        population[0].parameters[LR] = 9e-3
        (one,) = decided(population, seed=seed)
        assert one.donor == "000"
        assert one.changed[LR] == [1e-3, one.parameters[LR]]
        seen.add((one.parameters[LR], one.parameters[OTHER]))
    assert {lr for lr, _ in seen} == {7.2e-3, 1e-2}  # 9e-3 * 0.8, and 9e-3 * 1.25 held to the end of the range
    assert {other for _, other in seen} == {1e-4, 4e-4}  # the neighbours of 2e-4


def test_it_follows_from_scores_and_seed_and_each_generation_draws_anew():
    population = records(*range(40))
    assert decided(population) == decided(records(*range(40)))
    assert [one.donor for one in decided(population)] != [one.donor for one in decided(population, end=128)]


@pytest.mark.parametrize(("size", "replaced"), [(2, 1), (3, 1), (4, 1), (5, 2), (8, 2)])
def test_nobody_is_both_copied_and_replaced(size, replaced):
    made = decided(records(*range(size)))
    assert len(made) == replaced
    assert not {one.trial for one in made} & {one.donor for one in made}


def test_a_trial_without_a_score_is_replaced_and_never_copied():
    population = [*records(1.0, 2.0, 3.0), TrialRecord("003", {LR: 1e-3, OTHER: 2e-4}, "waiting")]
    assert [(one.trial, one.donor) for one in decided(population)] == [("003", "000")]
    assert decided([TrialRecord(name, {LR: 1e-3, OTHER: 2e-4}) for name in "ab"]) == []


def test_generations_end_with_the_training():
    wanted = with_overrides(
        Experiment(), {"training.total_images": 100, "evaluation.every_images": 40, "search.scheduler": "pbt"}
    )
    assert generation_ends(wanted) == [40, 80, 100]
    assert generation_ends(with_overrides(wanted, {"search.generation_images": 50})) == [50, 100]


def make_population(location, *scores):
    overrides = {"search.space": SPACE, "storage.path": str(location), "data.resolution": 32, "model.width": 4}
    run = RunFolder.create(with_overrides(Experiment(), overrides), [])
    for record in records(*scores):
        trial = run.trial(record.trial)
        trial.write_params(record.parameters)
        trial.write_state(state="waiting")
        store = CheckpointStore(trial.checkpoints, digest="d", learned={}, keep=2)
        network = build_generator(run.experiment.model, resolution=32, channels=3, seed=int(record.trial))
        config = {**run.experiment.model.model_dump(), "resolution": 32, "channels": 3, "images_seen": 64}
        for clock in (32, 64):
            checkpoint = store.save({}, info={}, images_seen=clock, generator=(network.state_dict(), config))
            score = {"metric": "m", "value": record.curve[0][1] + 64 - clock, "protocol": {}}
            trial.append_metrics({"images_seen": clock, "score": score})
            store.record_score(checkpoint, score, score["value"])
    return run


def state_of(run):
    return {name: run.folder.read_bytes(name) for name in run.folder.files()}


def test_an_exploit_copies_the_checkpoint_notes_the_lineage_and_sets_the_rates(tmp_path):
    run = make_population(tmp_path, 1.0, 2.0, 3.0, 4.0)
    own = run.trial("003").checkpoints.read_json("best.json")
    (one,) = exploit(run, TrialRegistry.of(run), end=64)
    assert (one.trial, one.donor) == ("003", "000")
    taker, donor = run.trial("003"), run.trial("000")
    weights = "000000000064/generator/weights.safetensors"
    assert taker.checkpoints.read_bytes(weights) == donor.checkpoints.read_bytes(weights)
    assert taker.params == one.parameters
    assert run.trial("003").lineage() == [
        {"images_seen": 64, "from_trial": "000", "from_images_seen": 64, "changed": one.changed}
    ]
    store = CheckpointStore(taker.checkpoints, digest="d", learned={}, keep=2)
    newest = store.newest(warn=pytest.fail)
    assert newest.images_seen == 64
    assert store.has_score(newest)  # its donor's; it owes none
    best = taker.checkpoints.read_json("best.json")
    assert best["scores"] == {name: record for name, record in own["scores"].items() if name != newest.name}
    assert best["adopted"] == {"000000000064": "trials/000/checkpoints/000000000064"}
    assert taker.metrics()[-1]["score"]["value"] == 4.0  # what it had itself
    assert compared_until(run) == 64


@pytest.mark.parametrize("write", range(5))
def test_killed_half_way_it_does_the_same(tmp_path, monkeypatch, write):
    whole = make_population(tmp_path / "whole", 1.0, 2.0, 3.0, 4.0)
    exploit(whole, TrialRegistry.of(whole), end=64)
    run = make_population(tmp_path / "killed", 1.0, 2.0, 3.0, 4.0)
    steps = ["write_json", "upload", "append_text", "write_text", "delete"]

    class KilledError(Exception):
        pass

    def kill(*_, **__):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(type(run.folder), steps[write], kill)
        with pytest.raises(KilledError):
            exploit(run, TrialRegistry.of(run), end=64)
    again = RunFolder.open(run.folder.location)
    exploit(again, TrialRegistry.of(again), end=64)
    differing = {"experiment.yaml", "run.json"}
    assert {k: v for k, v in state_of(again).items() if k not in differing} == {
        k: v for k, v in state_of(whole).items() if k not in differing
    }


def test_only_learning_rates_may_vary():
    wanted = with_overrides(
        Experiment(),
        {"search.scheduler": "pbt", "search.space": {LR: SPACE[LR], "model.latent_size": {"choice": [8, 16]}}},
    )
    with pytest.raises(ConfigError, match=r"search.space.model.latent_size: pbt copies weights between trials"):
        check_space(wanted)
    with pytest.raises(ConfigError, match=r"search.scheduler: pbt needs at least two trials"):
        check_space(with_overrides(Experiment(), {"search.scheduler": "pbt"}))


def test_of_a_schedule_its_ends_may_vary():
    falling = {"from": 1e-3, "to": 1e-4, "over": 128}
    space = {f"{LR}.from": {"loguniform": [1e-4, 1e-2]}, f"{LR}.to": {"loguniform": [1e-5, 1e-2]}}
    wanted = with_overrides(Experiment(), {LR: falling, "search.scheduler": "pbt", "search.space": space})
    check_space(wanted)
    population = [
        TrialRecord(f"{number:03d}", {f"{LR}.from": 1e-3, f"{LR}.to": 1e-4}, "waiting", [(64, float(number))], 64)
        for number in range(4)
    ]
    (made,) = decide(population, end=64, space=space, quantile=0.25, seed=0)
    assert made.parameters[f"{LR}.from"] in (8e-4, 1.25e-3)
    assert made.parameters[f"{LR}.to"] in (8e-5, 1.25e-4)
    assert with_overrides(wanted, made.parameters).optimizer.generator_lr["over"] == 128
    for key, part in ((f"{LR}.over", "pbt copies weights"), (LR, f"vary {LR}.from and {LR}.to instead")):
        spec = {"choice": [falling, falling | {"to": 2e-4}] if key == LR else [64, 128]}
        with pytest.raises(ConfigError, match=part):
            check_space(with_overrides(wanted, {"search.space": {key: spec}}))
