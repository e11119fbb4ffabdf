"""A budget of compute ends a training at the same step on all workers, however often it was interrupted."""

import json
from pathlib import Path

import pytest
import torch

from framework.checkpoint.saved import Checkpoint
from framework.config import Experiment, with_overrides
from framework.storage import open_folder
from framework.training import WorkerGroup
from framework.training.budget import ComputeMeter, budget_line

SMALL = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 8,
    "training.batch_size": 8,
    "training.total_images": 8 * 50,
    "evaluation.every_images": 8 * 3,
    "training.budget_minutes": 2.0,
    "compute.workers": 2,
    "compute.precision": "float64",
}
NEVER = 10**6


def meter(*, kind, notes, now, rank=0, **overrides):
    experiment = with_overrides(Experiment(), {key.replace("__", "."): value for key, value in overrides.items()})
    workers = WorkerGroup(rank=rank, device={"cpu": "cpu", "gpu": "meta"}[kind])
    return ComputeMeter(experiment, notes=notes, workers=workers, clock=lambda: now[0])


def test_seconds_go_on_from_those_of_earlier_lives_which_rank_0_adds():
    now, notes = [100.0], {"used_seconds": {"cpu": 30.0}}
    first, second = (meter(kind="cpu", notes=notes, now=now, rank=rank) for rank in (0, 1))
    now[0] = 112.0
    assert (first.seconds(), second.seconds()) == (42.0, 12.0)
    assert first.note(54.0) == {"cpu_minutes": 0.9}
    assert notes["used_seconds"] == {"cpu": 54.0}


def test_minutes_of_cpus_and_gpus_are_kept_apart_and_a_share_of_a_gpu_is_a_share_of_its_time():
    now, notes = [0.0], {"used_seconds": {"cpu": 600.0}}
    half = meter(kind="gpu", notes=notes, now=now, compute__gpus_per_worker=0.5, training__budget_minutes=10.0)
    assert not half.was_spent()
    now[0] = 90.0
    assert half.note(half.seconds()) == {"cpu_minutes": 10.0, "gpu_minutes": 0.75}
    assert meter(kind="cpu", notes=notes, now=now, training__budget_minutes=10.0).was_spent()


def test_the_budget_is_spent_when_it_is_reached():
    now = [0.0]
    counted = meter(kind="cpu", notes={}, now=now, training__budget_minutes=0.5)
    spent = []
    for now[0] in (29.0, 30.0):
        spent.append(counted.is_spent())
    assert spent == [False, True]
    endless = meter(kind="cpu", notes={}, now=[0.0])
    assert not endless.is_spent()


def test_the_plans_line_says_what_is_counted():
    experiment = with_overrides(Experiment(), {"training.budget_minutes": 2.5, "training.total_images": 9000})
    assert "2.5 CPU-minutes" in budget_line(experiment, on_gpus=False)
    assert "2.5 GPU-minutes" in budget_line(experiment, on_gpus=True)
    assert "9,000" in budget_line(experiment, on_gpus=True)
    assert budget_line(Experiment(), on_gpus=False) is None


def test_a_budget_is_in_no_digest():
    experiment = with_overrides(Experiment(), {"training.budget_minutes": 2.5})
    assert experiment.digest("images") == Experiment().digest("images")


@pytest.mark.long
@pytest.mark.timeout(200)
def test_two_workers_end_at_the_same_step_and_a_resumed_training_counts_on(ranks):
    # 30 s a step of both workers together, so 2 minutes are 4 steps
    steps = {"overrides": SMALL, "seconds_per_step": [10.0, 20.0], "score": True}
    whole = ranks.job("whole", **steps, stop_at=NEVER)
    stopped = ranks.job("stopped", **steps, stop_at=2)
    resumed = ranks.job("resumed", store="stopped", **steps, stop_at=NEVER)
    again = ranks.job("again", store="stopped", **steps, stop_at=NEVER)
    ranks.run(whole, stopped, resumed, again, world=2)
    rows = {
        name: json.loads(Path(job["reports"]).read_text())["rows"]
        for name, job in {"whole": whole, "stopped": stopped, "resumed": resumed, "again": again}.items()
    }
    assert [(row["images_seen"], row["cpu_minutes"]) for row in rows["whole"]] == [(0, 0.0), (24, 1.5), (32, 2.0)]
    assert [seen for row in rows["whole"] for seen, _ in row["scores"]] == [24, 32]  # the last checkpoint too
    assert [(row["images_seen"], row["cpu_minutes"]) for row in rows["stopped"]] == [(0, 0.0), (16, 1.0)]
    assert [(row["images_seen"], row["cpu_minutes"]) for row in rows["resumed"]] == [(24, 1.5), (32, 2.0)]
    assert rows["again"] == []
    ends = [Checkpoint(open_folder(f"{job['store']}/{32:012d}")).tensors("ema") for job in (whole, stopped)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
