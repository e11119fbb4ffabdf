"""The loop on real images: what is reported and when, what is kept, and what stops it."""

import math

import numpy as np
import pytest
import torch

from framework.checkpoint import CheckpointStore, load_generator
from framework.config import Experiment, with_overrides
from framework.errors import CheckpointError, EvaluationError, TrainingError
from framework.models import derive_seed, sample_latents
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from framework.training.state import TrainState
from tests.conftest import missing

SETTINGS = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "training.batch_size": 8,
    "training.total_images": 8 * 10,
    "training.report_every_images": 8 * 2,
    "training.samples_every_images": 8 * 4,
    "evaluation.every_images": 8 * 5,
    "compute.precision": "float32",
}
METRIC_NAMES = {
    "images_seen",
    "real_images_seen",
    "step",
    "discriminator_loss",
    "generator_loss",
    "accuracy_real",
    "accuracy_fake",
    "logit_mean_real",
    "logit_mean_fake",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
    "images_per_second",
    "data_wait_share",
    "memory_bytes",
    "wall_seconds",
}


class Value:
    """A score that is there once it was asked for `after` times, or waited for."""

    def __init__(self, value, *, after=0):
        self._value, self._left, self.waited_for = value, after, False

    def done(self):
        self._left -= 1
        return self._left < 0

    def result(self):
        self.waited_for = self._left >= 0
        return {"metric": "made_up", "value": self._value, "protocol": {}}


@pytest.fixture
def run(images, tmp_path):
    """Trains in one process and gives the outcome, the reports and what was logged."""

    def run(*, score=None, should_stop=None, **overrides):
        experiment = with_overrides(Experiment(), SETTINGS | {k.replace("__", "."): v for k, v in overrides.items()})
        learned = {"data": images.digest, **experiment.learned()}
        store = CheckpointStore(
            open_folder(tmp_path / "checkpoints"), digest=experiment.digest(images.digest), learned=learned, keep="all"
        )
        reports, said = [], []
        outcome = Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(),
            report=reports.append,
            score=score,
            should_stop=should_stop,
            log=said.append,
        ).run()
        return outcome, reports, said, store

    return run


def scored(reports):
    """[(clock of the checkpoint, clock of the report that brings its score)]"""
    return [(one.images_seen, report.metrics["images_seen"]) for report in reports for one in report.scores]


def clocks(reports, what):
    return [report.metrics["images_seen"] for report in reports if what(report)]


def test_everything_comes_by_the_clock(run):
    scores = iter([3.0, 1.0])
    outcome, reports, _, store = run(score=lambda _: Value(next(scores)), training__total_images=8 * 10)
    assert (outcome.state, outcome.images_seen, outcome.checkpoint) == ("finished", 80, "000000000080")
    assert clocks(reports, lambda _: True) == [0, 16, 32, 40, 48, 64, 80]
    assert clocks(reports, lambda report: report.samples is not None) == [0, 32, 64, 80]
    assert clocks(reports, lambda report: report.checkpoint is not None) == [40, 80]
    assert scored(reports) == [(40, 40), (80, 80)]
    assert store.best()[0].name == "000000000080"
    for report in reports[1:]:
        assert report.metrics.keys() >= METRIC_NAMES
        assert all(math.isfinite(value) for value in report.metrics.values())
        assert 0 <= report.metrics["data_wait_share"] <= 1
        assert report.metrics["real_images_seen"] == report.metrics["images_seen"] // 2
    samples = [report.samples for report in reports if report.samples is not None]
    assert all(pictures.shape == (64, 32, 32, 3) and pictures.dtype == np.uint8 for pictures in samples)


def test_samples_are_the_checkpoints_generators(run, tmp_path):
    _, reports, _, _ = run()
    generator = load_generator(tmp_path / "checkpoints" / "000000000080")
    assert (generator.latent_size, generator.resolution, generator.images_seen) == (6, 32, 80)
    latents = sample_latents(64, 6, seed=derive_seed(0, "samples"))
    apart = np.abs(generator.images(latents).astype(int) - reports[-1].samples)
    assert apart.max() <= 1  # the batches are not of one size
    assert (reports[-1].samples != reports[0].samples).any()


@pytest.mark.long
def test_a_finished_training_does_nothing_again(run):
    run()
    outcome, reports, said, _ = run()
    assert (outcome.state, outcome.images_seen) == ("finished", 80)
    assert reports == []
    assert any("000000000080" in line for line in said)  # it was resumed


@pytest.mark.long
def test_a_score_that_was_never_made_is_made_on_restart(run):
    def broken(_):
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run(score=broken)
    _, reports, _, store = run(score=lambda _: Value(2.0))
    assert scored(reports) == [(40, 48), (80, 80)]
    assert store.best()[1]["value"] == 2.0


def test_training_goes_on_while_a_score_is_made_and_waits_for_none_longer_than_an_interval(run):
    made = []

    def score(checkpoint):
        # of 24: asked at 24, 32 and 48; those after it never come by themselves
        made.append((checkpoint.images_seen, Value(1.0, after={24: 2}.get(checkpoint.images_seen, 1000))))
        return made[-1][1]

    _, reports, _, store = run(score=score, evaluation__every_images=24)
    assert [images_seen for images_seen, _ in made] == [24, 48, 72, 80]
    assert scored(reports) == [(24, 48), (48, 72), (72, 80), (80, 80)]
    assert [handle.waited_for for _, handle in made] == [False, True, True, True]
    assert [one.arrived_at_images_seen for report in reports for one in report.scores] == [48, 72, 80, 80]
    assert all(store.has_score(checkpoint) for checkpoint in store.all())


@pytest.mark.long
def test_a_score_on_its_way_when_it_was_stopped_is_made_by_the_next_life(run):
    asked = iter([*[False] * 8, True])
    never = Value(1.0, after=1000)
    outcome, reports, _, store = run(score=lambda _: never, should_stop=lambda: next(asked))
    assert (outcome.images_seen, scored(reports), store.best()) == (64, [], None)
    assert not never.waited_for
    begun = []
    _, reports, _, store = run(score=lambda checkpoint: begun.append(checkpoint.images_seen) or Value(2.0))
    assert begun == [40, 80]
    assert scored(reports) == [(40, 80), (80, 80)]
    assert store.best()[0].images_seen == 40  # of two that are equal the earlier


def test_what_a_score_fails_of_ends_the_training(run):
    class Broken(Value):
        def result(self):
            raise EvaluationError("features: not finite")

    with pytest.raises(EvaluationError, match="not finite"):
        run(score=lambda _: Broken(1.0))


def test_stopping_before_the_first_step_leaves_nothing(run):
    outcome, reports, _, store = run(should_stop=lambda: True)
    assert (outcome.state, outcome.images_seen, outcome.checkpoint) == ("stopped", 0, None)
    assert clocks(reports, lambda _: True) == [0]
    assert store.all() == []


@pytest.mark.long
@pytest.mark.parametrize("steps", range(1, 10))
def test_stopped_after_any_step_it_is_saved_and_every_clock_is_reported_once(run, steps):
    asked = iter([*[False] * steps, True])
    outcome, reports, _, store = run(score=lambda _: Value(3.0), should_stop=lambda: next(asked))
    assert (outcome.state, outcome.images_seen) == ("stopped", 8 * steps)
    assert store.newest(warn=print).images_seen == 8 * steps
    seen = clocks(reports, lambda _: True)
    assert seen == sorted({*[clock for clock in (0, 16, 32, 40, 48, 64) if clock < 8 * steps], 8 * steps})
    assert scored(reports) == [(40, 40)] * (steps >= 5)
    # Stopped again before it has moved: nothing is said twice, nor in the score's place.
    outcome, reports, _, _ = run(score=lambda _: Value(3.0), should_stop=lambda: True)
    assert (outcome.images_seen, reports) == (8 * steps, [])


@pytest.mark.long
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(run, tmp_path):
    expected = run()[3].newest(warn=print).tensors("generator")
    weights = tmp_path / "checkpoints" / "000000000080" / "state" / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    _, reports, said, store = run()
    assert any("000000000080" in line and "generator.safetensors" in line for line in said)
    assert reports[0].metrics["images_seen"] == 48  # from 40 on
    found = store.newest(warn=print).tensors("generator")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.long
def test_other_settings_are_refused_by_name(run):
    run()
    with pytest.raises(CheckpointError, match=r"optimizer.beta1: was 0.5, is now 0.0"):
        run(optimizer__beta1=0.0)


@pytest.mark.long
def test_what_is_not_finite_stops_it_and_leaves_the_last_checkpoint(run, tmp_path):
    # A penalty whose gradient float64 can hold and float32 cannot, due in steps 0 and 7; checkpoint after step 5.
    settings = {"objective__r1_gamma": 1e36, "objective__r1_every_steps": 7, "training__total_images": 40}
    run(**settings, compute__precision="float64")
    good = {path: path.read_bytes() for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()}
    with pytest.raises(TrainingError) as raised:
        run(**settings | {"training__total_images": 80}, compute__precision="float32")
    text = str(raised.value)
    facts = (
        "step 8",
        "64 images",
        "discriminator gradient norm",
        "largest gradient norm",
        "optimizer.discriminator_lr",
    )
    assert missing(text, *facts) == []
    assert good == {path: path.read_bytes() for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()}


def test_a_weight_that_is_not_finite_is_never_saved(images, tmp_path):
    experiment = with_overrides(Experiment(), SETTINGS)
    state = TrainState.fresh(experiment, resolution=32, channels=3, precision="float32", device="cpu")
    store = CheckpointStore(open_folder(tmp_path), digest="any", learned={}, keep="all")
    state.ema.network.dense.bias[3] = float("nan")
    with pytest.raises(TrainingError, match=r"ema\.dense\.bias is not finite"):
        state.save(store)
    assert store.all() == []
