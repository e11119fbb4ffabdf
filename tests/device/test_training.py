"""Whole trainings on a pretended GPU: first report, samples, checkpoint, stop, resume, end."""

import numpy as np
import pytest

from framework.checkpoint import load_generator
from framework.config import Experiment, with_overrides
from framework.config.schema import AUGMENTATIONS
from framework.training import Trainer, WorkerGroup
from tests.device.count import BATCH, images_of, store_of
from tests.device.pretended import pretended

pytestmark = pytest.mark.long

SETTINGS = {
    "model.width": 4,
    "model.latent_size": 6,
    "training.batch_size": BATCH,
    "training.total_images": 4 * BATCH,
    "training.report_every_images": 2 * BATCH,
    "training.samples_every_images": 100 * BATCH,
    "evaluation.every_images": 2 * BATCH,
    "compute.precision": "float32",
}
PENALTY = {"objective.r1_gamma": 1.0, "objective.r1_every_steps": 2}
CASES = {
    "notebook": {"training.schedule": "notebook"},
    "notebook of skip with R1, hinge, colour": {
        **PENALTY,
        "model.architecture": "skip",
        "objective.loss": "hinge",
        "objective.augmentations": ["color"],
        "training.ema_half_life_images": 0,
    },
    "joint with R1, translation and cutout, mirrored, bfloat16, in passes": {
        **PENALTY,
        "compute.images_per_pass": 3,
        "training.schedule": "joint",
        "objective.augmentations": ["translation", "cutout"],
        "data.horizontal_flip": True,
        "compute.precision": "bfloat16",
    },
    "joint of skip without dropout, hinge, what precision auto takes": {
        "training.schedule": "joint",
        "model.architecture": "skip",
        "model.dropout": 0.0,
        "objective.loss": "hinge",
        "compute.precision": "auto",
    },
    "joint of skip with R1, every augmentation, adaptive, deterministic": {
        **PENALTY,
        "training.schedule": "joint",
        "model.architecture": "skip",
        "objective.augmentations": list(AUGMENTATIONS),
        "objective.augmentation_probability": "adaptive",
        "compute.deterministic": True,
    },
    "autoencoder, bernoulli": {"model.family": "autoencoder", "objective.likelihood": "bernoulli"},
    "vae, gaussian, float64, deterministic, in passes": {
        "model.family": "vae",
        "compute.deterministic": True,
        "compute.images_per_pass": 3,
        "objective.beta_warmup_images": 100,
        "compute.precision": "float64",
    },
}


class Score:
    """One that is there at once."""

    def done(self):
        return True

    def result(self):
        return {"metric": "made_up", "value": 1.0, "protocol": {}}


def lives(folder, side, keys):
    """A training that is stopped after its third step and goes on to its end: its outcomes and reports."""
    experiment, images = with_overrides(Experiment(), SETTINGS | keys), images_of(side)
    store, outcomes, reports = store_of(experiment, images, folder), [], []
    with pretended() as gpu:
        for steps in (3, 100):
            left = iter(range(steps))
            outcomes.append(
                Trainer(
                    experiment=experiment,
                    images=images,
                    store=store,
                    workers=WorkerGroup(device="cuda"),
                    report=reports.append,
                    score=lambda _: Score(),
                    should_stop=lambda left=left: next(left, None) is None,
                    log=lambda text: None,
                ).run()
            )
        assert gpu.taken().operations.total() > 300  # it was computed there
    return outcomes, reports


def check_lives(folder, outcomes, reports, *, side):
    assert [(one.state, one.images_seen) for one in outcomes] == [("stopped", 3 * BATCH), ("finished", 4 * BATCH)]
    assert [one.metrics["images_seen"] // BATCH for one in reports] == [0, 2, 3, 4]
    assert [one.metrics["images_seen"] // BATCH for one in reports if one.samples is not None] == [0, 4]
    assert [int(one.checkpoint) // BATCH for one in reports if one.checkpoint] == [2, 3, 4]
    assert [one.images_seen // BATCH for report in reports for one in report.scores] == [2, 4]
    channels = 1 if side == 28 else 3
    assert all(one.samples.shape == (64, side, side, channels) for one in reports if one.samples is not None)
    assert all(np.isfinite(value) for one in reports for value in one.metrics.values())
    lives = [one.metrics["life_began_at_images_seen"] // BATCH for one in reports]
    assert lives == [0, 0, 0, 3]
    generator = load_generator(folder / "000000000016")  # on the CPU, where numbers are numbers
    assert generator.images(generator.sample_latents(3, 0)).shape == (3, side, side, channels)


@pytest.mark.parametrize("name", CASES)
def test_a_training_is_stopped_and_goes_on(tmp_path, name, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what `deterministic` sets, for all that comes after
    side = 28 if "bernoulli" in name else 32
    check_lives(tmp_path, *lives(tmp_path, side, CASES[name]), side=side)


def test_an_imported_pair_is_trained(imported_pair, tmp_path):
    """Layers as data, normalisation among them."""
    check_lives(tmp_path / "lives", *lives(tmp_path / "lives", 8, imported_pair), side=8)
