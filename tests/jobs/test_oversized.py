"""Sizes that no machine has are refused by the plan and by the job itself, before anything is written."""

import dataclasses
import subprocess
import sys

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.evaluation import FeatureSpec
from framework.evaluation.cost import PassCost, memory_bytes
from framework.evaluation.cost import refuse_oversized as refuse_scores
from framework.orchestration.cluster.connect import planned_cluster
from framework.runs import machine
from jobs.cli.forecast import refuse_oversized, refuse_samples
from tests.conftest import missing

FACES = "data: {source: drawn_faces, resolution: 32, limit: 64}\n"


@pytest.mark.long
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_training_without_a_machine_for_it_writes_nothing(more, tmp_path):
    (tmp_path / "c.yaml").write_text(FACES)
    command = [sys.executable, "-m", "jobs.train", "c.yaml", "training.batch_size=67108864", *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "training.batch_size" in done.stderr.splitlines()[-1]) == (2, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"training.batch_size": 1 << 26},
        {"model.width": 2048, "data.resolution": 256, "training.batch_size": 1 << 16},
    ],
)
def test_a_worker_above_the_machine(overrides):
    with pytest.raises(ConfigError, match="but a machine has"):
        refuse_oversized(with_overrides(Experiment(), overrides), planned_cluster())
    refuse_oversized(Experiment(), planned_cluster())


@pytest.mark.parametrize(
    "key", ["arithmetic.candidates", "directions.samples", "steering.effect_samples", "maps.samples"]
)
def test_more_latents_than_memory(key):
    overrides = {f"latents.{key}": 10**8, "model.latent_size": 8192}
    with pytest.raises(ConfigError, match=f"latents.{key}: 100,000,000 latents of 8,192 numbers need 3,125,000 MiB"):
        refuse_samples(with_overrides(Experiment(), overrides))
    refuse_samples(Experiment())


def test_scores_above_the_machine():
    """Precision and recall hold a distance of each sample to each real image."""
    features = FeatureSpec("efficientnet", "weights.pth", "0" * 64, 1280, "clean")
    plan = PassCost(["efficientnet_recall"], features, done=0, todo=1, real=10**6, held_out=0, samples=10**8, seeds=1,
                    memory_bytes=memory_bytes(["recall"], real=10**6, fake=10**8, size=1280), disk_bytes=0)  # fmt: skip
    assert plan.memory_bytes > machine.memory_bytes()
    with pytest.raises(ConfigError) as fault:
        refuse_scores([plan])
    assert missing(str(fault.value), "evaluation.samples", "efficientnet_recall", "100,000,000") == []
    refuse_scores([dataclasses.replace(plan, todo=0)])  # they are there already
    refuse_scores([dataclasses.replace(plan, memory_bytes=memory_bytes(["recall"], real=500, fake=500, size=1280))])
