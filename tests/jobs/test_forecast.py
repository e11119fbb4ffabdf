"""What --dry-run says of memory, beside what real steps take in a process of their own."""

import json
import subprocess
import sys

import pytest

from framework.config import Experiment, with_overrides
from framework.training.cost import TrainingCost
from jobs.cli.forecast import changing

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]

MEASURE = r"""
import json, os, re, sys, torch
from pathlib import Path
from framework.config import Experiment, with_overrides
from framework.training.precision import Precision
from framework.training.state import TrainState
from framework.training.steps.gan_step import STEPS
from framework.training.workers import WorkerGroup

torch.set_num_threads(1)
CPU = torch.device("cpu")

def highest_after_steps(overrides):
    experiment = with_overrides(Experiment(), overrides)
    resolution = experiment.data.resolution
    state = TrainState.fresh(experiment, resolution=resolution, channels=3, precision="float32", device=CPU)
    build = STEPS[experiment.training.schedule]
    step = build(state, experiment=experiment, workers=WorkerGroup(), precision=Precision("float32", CPU))
    pixels = torch.zeros(step.real_images(experiment.training.batch_size), resolution, resolution, 3, dtype=torch.uint8)
    for _ in range(2):  # the second one has Adam's moments beside it
        step(pixels)
    # Not getrusage's: that one begins at what the process that started this one held.
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()).group(1))

import torch._dynamo  # optimizers import it, slowly: once before the forks

for overrides in json.loads(sys.argv[1]):
    if os.fork():
        assert os.wait()[1] == 0
        continue
    small = {**overrides, "data.resolution": 32, "model.width": 8, "training.batch_size": 4}
    before = highest_after_steps(small)  # the libraries' own share is in this
    print(highest_after_steps(overrides) - before, flush=True)
    os._exit(0)
"""
CASES = {
    "dcgan": {"data.resolution": 64, "model.width": 64, "training.batch_size": 32},
    "skip": {
        "data.resolution": 64,
        "model.width": 32,
        "training.batch_size": 32,
        "model.architecture": "skip",
        "training.schedule": "joint",
    },
    "residual": {
        "data.resolution": 64,
        "model.width": 32,
        "training.batch_size": 32,
        "model.architecture": "residual",
        "training.schedule": "joint",
    },
    "penalties": {
        "data.resolution": 64,
        "model.width": 32,
        "training.batch_size": 32,
        "model.architecture": "skip",
        "training.schedule": "joint",
        "objective.loss": "relativistic",
        "objective.r1_gamma": 1.0,
        "objective.r2_gamma": 1.0,
        "objective.r1_every_steps": 1,
    },
    "both": {
        "data.resolution": 64,
        "model.width": 32,
        "training.batch_size": 32,
        "model.architecture": "skip",
        "model.discriminator": "both",
        "training.schedule": "joint",
    },
    "passes": {
        "data.resolution": 64,
        "model.width": 64,
        "training.batch_size": 32,
        "compute.images_per_pass": 16,
    },
}


@pytest.mark.timeout(300)  # twelve trainings, one after the other
def test_memory_is_about_what_a_worker_takes():
    command = [sys.executable, "-c", MEASURE, json.dumps(list(CASES.values()))]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    for (name, overrides), bytes_grown in zip(CASES.items(), grown, strict=True):
        cost = TrainingCost(with_overrides(Experiment(), overrides))
        # What a GPU holds is counted exactly (tests/device); the CPU's libraries copy, most of all for penalties.
        assert 0.6 < float(bytes_grown) / cost.memory_bytes("float32") < 1.75, name


def test_the_plan_names_what_auto_and_schedules_come_to():
    overrides = {
        "data.resolution": 64, "training.batch_size": 32, "training.total_images": 1_000, "training.schedule": "joint",
        "objective.r1_gamma": "auto", "objective.loss": "relativistic",
        "optimizer.generator_lr": {"from": 4e-4, "to": 2e-4, "over": 2_000, "shape": "linear"},
        "optimizer.beta2": {"from": 0.9, "to": 0.99, "over": 1_000},
    }  # fmt: skip
    assert changing(with_overrides(Experiment(), overrides)) == [
        "objective.r1_gamma: auto is 0.0256 (0.0002 · 64² / 32)",
        "optimizer.generator_lr: 0.0004 to 0.0002 over 2,000 linear, 0.0003 when the training ends",
        "optimizer.beta2: 0.9 to 0.99 over 1,000",
    ]
