"""The same global batch on 1, 2, 3 and 4 workers is the same training; a stop or a kill changes nothing."""

import functools
import json
from pathlib import Path

import pytest
import torch

from framework.checkpoint.saved import Checkpoint
from framework.config.schema import AUGMENTATIONS
from framework.storage import open_folder

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]

PARTS = ("generator", "discriminator", "ema", "generator_optimizer", "discriminator_optimizer")
SMALL = {"data.resolution": 32, "model.width": 4, "model.latent_size": 16, "evaluation.every_images": 1_000_000}
HARD = {  # everything that draws random numbers or differentiates twice
    **SMALL,
    "compute.precision": "float64",
    "training.batch_size": 22,
    "training.total_images": 22 * 6,
    "training.report_every_images": 22 * 6,
    "objective.r1_gamma": 5.0,
    "objective.r1_every_steps": 2,
    "objective.augmentations": ["color", "translation", "cutout"],
}
END = 22 * 6
NOTEBOOK = {**HARD, "training.schedule": "notebook"}
JOINT = {
    **HARD,
    "training.schedule": "joint",
    "objective.loss": "hinge",
    "objective.augmentations": list(AUGMENTATIONS),
    # From the fourth step on 0.44.
    "objective.augmentation_probability": "adaptive",
    "objective.augmentation_target": -0.9,
    "objective.augmentation_speed_images": 200,
}
PAIRED = {  # pairs of images, both penalties, and all that follows a schedule
    **HARD,
    "training.schedule": "joint",
    "objective.loss": "relativistic",
    "objective.r1_gamma": {"from": 5.0, "to": 1.0, "over": 44},
    "objective.r2_gamma": 2.0,
    "optimizer.generator_lr": {"from": 1e-3, "to": 1e-4, "over": 44},
    "optimizer.beta2": {"from": 0.9, "to": 0.99, "over": 66, "shape": "linear"},
    "training.ema_half_life_images": {"from": 0, "to": 20, "over": 44},
}
LONG = {
    **SMALL,
    "compute.precision": "float32",
    "training.batch_size": 16,
    "training.total_images": 16 * 20,
    "training.report_every_images": 16 * 2,
    "checkpoint.every_images": 16 * 10,
    "objective.augmentations": ["translation", "rotation", "noise"],
    # It rises by a fifth every fourth step; the checkpoint is half way through an interval.
    "objective.augmentation_probability": "adaptive",
    "objective.augmentation_target": -0.9,
    "objective.augmentation_speed_images": 16 * 4 * 5,
}


def weights(job, images_seen, parts=PARTS):
    """part.name -> tensor of the checkpoint at a clock."""
    checkpoint = Checkpoint(open_folder(f"{job['store']}/{images_seen:012d}"))
    adaptive = ["augmentation"] if any("state/augmentation" in name for name in checkpoint.manifest["files"]) else []
    names = [*parts, *adaptive]
    return {f"{part}.{name}": value for part in names for name, value in checkpoint.tensors(part).items()}


def rows(job):
    return json.loads(Path(job["reports"]).read_text())["rows"]


def assert_same(one, other):
    assert one.keys() == other.keys()
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    assert not differing, differing


@pytest.fixture(scope="module")
def alone(ranks):
    """Both schedules, and pairs, on one worker."""
    kinds = {"notebook": NOTEBOOK, "joint": JOINT, "paired": PAIRED}
    jobs = [ranks.job(f"alone-{kind}", overrides=overrides) for kind, overrides in kinds.items()]
    ranks.run(*jobs)
    return jobs


@pytest.mark.parametrize("world", [2, 3, 4])
def test_any_number_of_workers_is_the_same_training(ranks, alone, world):
    # 22 and 11 images: 3 workers get 7 + 7 + 8 and 3 + 4 + 4
    shared = [
        ranks.job(f"notebook-{world}", overrides={**NOTEBOOK, "compute.workers": world}),
        ranks.job(f"joint-{world}", overrides={**JOINT, "compute.workers": world}),
        ranks.job(f"paired-{world}", overrides={**PAIRED, "compute.workers": world}),
    ]
    ranks.run(*shared, world=world)
    for one, other in zip(alone, shared, strict=True):
        expected, found = weights(one, END), weights(other, END)
        assert expected.keys() == found.keys()
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-7, atol=1e-10, msg=name)
        for key in ("discriminator_loss", "accuracy_fake", "logit_mean_real", "generator_gradient_norm", "r1_penalty"):
            assert rows(one)[-1][key] == pytest.approx(rows(other)[-1][key], rel=1e-9)
    last = rows(shared[-1])[-1]
    reached = {"generator_lr": 1e-4, "beta2": 0.99, "r1_gamma": 1.0, "ema_half_life_images": 20.0}
    assert {key: last[key] for key in reached} == reached
    assert rows(shared[0])[-1].keys() & reached.keys() == {"generator_lr"}
    joint = [rows(job[1])[-1]["augmentation_probability"] for job in (alone, shared)]
    assert joint == [0.44, 0.44]


@pytest.mark.parametrize("world", [1, 2])
def test_a_batch_in_several_passes_is_the_same_training(ranks, alone, world):
    """Passes of 3 and 4 images, R1 and all random numbers included; with the last one DDP averages."""
    shares = {"compute.images_per_pass": 4, "compute.workers": world}
    passes = [
        ranks.job(f"notebook-passes-{world}", overrides=NOTEBOOK | shares),
        ranks.job(f"joint-passes-{world}", overrides=JOINT | shares),
        ranks.job(f"paired-passes-{world}", overrides=PAIRED | shares),
    ]
    ranks.run(*passes, world=world)
    for one, other in zip(alone, passes, strict=True):
        expected, found = weights(one, END), weights(other, END)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-7, atol=1e-10, msg=name)
        assert rows(one)[-1].keys() == rows(other)[-1].keys()
        for key in ("discriminator_loss", "generator_loss", "accuracy_real", "logit_mean_fake"):
            assert rows(one)[-1][key] == pytest.approx(rows(other)[-1][key], rel=1e-9)


def test_networks_with_buffers_are_the_same_where_some_workers_take_one_pass_and_others_two(
    ranks, imported_pair, tmp_path
):
    """Batch 8 on 3 workers is 2 + 3 + 3; DDP broadcasts the buffers, so all have to call it in one order."""
    overrides = imported_pair | {
        "training.batch_size": 8,
        "training.schedule": "joint",
        "compute.images_per_pass": 2,
    }
    jobs = [
        {"overrides": overrides, "side": 8, "steps": 2, "weights": str(tmp_path / f"{world}.pt")} for world in (1, 3)
    ]
    ranks.run(jobs[0])
    ranks.run(jobs[1], world=3)
    expected, found = (torch.load(job["weights"], weights_only=True) for job in jobs)
    assert any("mean" in name for name in expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-10, msg=name)


def test_what_one_worker_asks_for_all_agree_on_at_once_or_a_step_ahead(ranks, tmp_path):
    """Rank 1 says yes to its third question; asked ahead, that one belongs to the third step all the same."""
    no, third = [False] * 6, [False, False, True, True, True, True]
    jobs = [
        {"answers": [no, answers], "ahead": ahead, "steps": 4, "agreed": str(tmp_path / f"{ahead}-{kind}-{{rank}}")}
        for ahead in (False, True)
        for kind, answers in (("never", no), ("third", third))
    ]
    ranks.run(*jobs, world=2)
    for job in jobs:
        never = job["agreed"].endswith("never-{rank}")
        left = 6 - (4 + job["ahead"] if never else 3)
        expected = [[False] * 4 if never else [False, False, True], left]
        for rank in range(2):
            assert json.loads(Path(job["agreed"].format(rank=rank)).read_text()) == expected


@pytest.fixture(scope="module")
def undisturbed(ranks):
    """The long training on so many workers."""

    @functools.cache
    def trained(world):
        job = ranks.job(f"undisturbed-{world}", overrides={**LONG, "compute.workers": world})
        ranks.run(job, world=world)
        return job

    return trained


@pytest.mark.parametrize("world", [1, 3])
def test_killed_and_continued_is_bit_for_bit_the_undisturbed_run(ranks, undisturbed, world):
    settings = {**LONG, "compute.workers": world}
    killed = ranks.job(f"killed-{world}", overrides=settings, hang_at=16 * 12)
    ranks.kill_hanging(killed, world=world)
    assert rows(killed)[-1]["images_seen"] == 16 * 12
    continued = ranks.job(f"continued-{world}", store=f"killed-{world}", overrides=settings)
    ranks.run(continued, world=world)
    assert rows(continued)[0]["images_seen"] == 16 * 12  # from 10 steps on
    assert_same(weights(undisturbed(world), 16 * 20), weights(continued, 16 * 20))
    assert [row["augmentation_probability"] for row in rows(continued)][:3] == pytest.approx([0.6, 0.6, 0.8])


def test_stopped_early_or_made_longer_and_continued_is_the_undisturbed_run(ranks, undisturbed):
    stopped = ranks.job("stopped", overrides=LONG, stop_at=7)
    longer = ranks.job("longer", store="stopped", overrides={**LONG, "training.total_images": 16 * 15})
    raised = ranks.job("raised", store="stopped", overrides=LONG)
    ranks.run(stopped, longer, raised)
    assert rows(stopped)[-1]["images_seen"] == 16 * 7
    assert rows(stopped)[-1]["checkpoint"] == f"{16 * 7:012d}"
    assert rows(longer)[-1]["images_seen"] == 16 * 15
    assert_same(weights(undisturbed(1), 16 * 20), weights(raised, 16 * 20))


def test_a_stop_is_agreed_by_all_workers_and_another_number_of_them_goes_on(ranks, alone):
    stopped = ranks.job("three", overrides=NOTEBOOK, stop_at=2)
    continued = ranks.job("two", store="three", overrides=NOTEBOOK)
    ranks.run(stopped, world=3)
    ranks.run(continued, world=2)
    assert rows(stopped)[-1]["images_seen"] == 22 * 2
    expected, found = weights(alone[0], END), weights(continued, END)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-7, atol=1e-10, msg=name)


def test_scores_come_by_the_clock_and_the_best_is_noted(ranks):
    overrides = {**LONG, "evaluation.every_images": 80, "compute.workers": 2}
    job = ranks.job("scored", score=True, overrides=overrides)
    ranks.run(job, world=2)
    scores = [score for row in rows(job) for score in row["scores"]]
    assert [images_seen for images_seen, _ in scores] == [80, 160, 240, 320]
    best = json.loads((Path(job["store"]) / "best.json").read_text())
    assert best["value"] == min(value for _, value in scores)


# Batch 21 over 2 workers is uneven; noise, two networks in one backward, and the warm-up of beta.
VAE = {
    **SMALL,
    "model.family": "vae",
    "compute.precision": "float64",
    "training.batch_size": 21,
    "training.total_images": 21 * 4,
    "training.report_every_images": 21 * 4,
    "objective.beta_warmup_images": 66,
}
AUTOENCODER = {key: value for key, value in VAE.items() if not key.startswith("objective")} | {
    "model.family": "autoencoder"
}
LONG_VAE = {
    **VAE,
    "compute.precision": "float32",
    "compute.workers": 2,
    "training.total_images": 21 * 20,
    "checkpoint.every_images": 21 * 10,
}
RECONSTRUCTION_PARTS = ("generator", "encoder", "ema", "encoder_ema", "generator_optimizer", "encoder_optimizer")


def test_encoders_and_decoders_are_the_same_on_two_workers_in_passes_and_after_a_stop(ranks):
    def jobs(world):
        return [
            ranks.job(f"{name}-{world}", overrides={**overrides, "compute.workers": world})
            for name, overrides in (("vae", VAE), ("autoencoder", AUTOENCODER))
        ]

    alone, shared = jobs(1), jobs(2)
    for job in shared:  # and 10 and 11 images in passes of 3 and 4
        job["overrides"]["compute.images_per_pass"] = 4
    undisturbed = ranks.job("vae-undisturbed", overrides=LONG_VAE)
    stopped = ranks.job("vae-stopped", overrides=LONG_VAE, stop_at=13)
    continued = ranks.job("vae-continued", store="vae-stopped", overrides=LONG_VAE)
    ranks.run(*alone)
    ranks.run(*shared, undisturbed, stopped, continued, world=2)
    for one, other in zip(alone, shared, strict=True):
        expected, found = (weights(job, 21 * 4, RECONSTRUCTION_PARTS) for job in (one, other))
        assert expected.keys() == found.keys()
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-7, atol=1e-10, msg=name)
        for key in ("reconstruction_nats", "encoder_gradient_norm"):
            assert rows(one)[-1][key] == pytest.approx(rows(other)[-1][key], rel=1e-9)
    assert rows(stopped)[-1]["images_seen"] == 21 * 13
    assert_same(*(weights(job, 21 * 20, RECONSTRUCTION_PARTS) for job in (undisturbed, continued)))


PAIRS = {
    "residual": {"model.architecture": "residual"},
    "both": {
        "model.architecture": "skip",
        "model.discriminator": "both",
        "model.projection_channels": 8,
        "training.batch_size": 5,  # float64 is slow in the frozen network
        "training.total_images": 10,
        "training.report_every_images": 10,
        "compute.images_per_pass": 2,
    },
}


# The frozen network takes most of the time; tests/models/test_projected.py has the fast checks.
CASES = [pytest.param(name, marks=pytest.mark.slow if name == "both" else ()) for name in PAIRS]


@pytest.mark.parametrize("name", CASES)
def test_every_pair_is_the_same_on_three_workers_and_in_passes_on_two(ranks, name):
    keys = {**JOINT, "compute.images_per_pass": 4, **PAIRS[name]}
    end = keys["training.total_images"]
    alone, three, passes = (
        ranks.job(f"{name}-{kind}", overrides=keys | more)
        for kind, more in {
            "alone": {"compute.images_per_pass": None},
            "three": {"compute.workers": 3},
            "passes": {"compute.workers": 2},
        }.items()
    )
    ranks.run(alone)
    ranks.run(three, world=3)
    ranks.run(passes, world=2)
    for other in (three, passes):
        expected, found = weights(alone, end), weights(other, end)
        assert expected.keys() == found.keys()
        for key in expected:
            torch.testing.assert_close(found[key], expected[key], rtol=1e-7, atol=1e-10, msg=key)
        for key in ("discriminator_loss", "accuracy_real", "logit_mean_fake", "generator_gradient_norm"):
            assert rows(alone)[-1][key] == pytest.approx(rows(other)[-1][key], rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_every_pair_goes_on_bit_for_bit_after_a_stop(ranks, name):
    keys = LONG | PAIRS[name] | {"training.schedule": "joint", "compute.workers": 2, "training.batch_size": 8}
    keys |= {"training.total_images": 8 * 6, "checkpoint.every_images": 8 * 6, "training.report_every_images": 8}
    keys |= {"objective.r1_gamma": 5.0, "objective.r1_every_steps": 3}
    whole = ranks.job(f"{name}-whole", overrides=keys)
    stopped = ranks.job(f"{name}-stopped", overrides=keys, stop_at=4)
    continued = ranks.job(f"{name}-continued", store=f"{name}-stopped", overrides=keys)
    ranks.run(whole, stopped, continued, world=2)
    assert rows(stopped)[-1]["images_seen"] == 8 * 4
    assert_same(weights(whole, 8 * 6), weights(continued, 8 * 6))
