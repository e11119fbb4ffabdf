"""A cluster whose GPUs are pretended: PyTorch sees none of them, Ray shares them out as if they were there.

What cannot be seen so is a training on them; what can: plans beside Ray's placement, which GPUs workers and tasks get,
a cluster from 0 that is asked for GPUs, and what comes of a worker whose GPU cannot be used.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from framework.runs import RunFolder
from tests.conftest import missing, numbers
from tests.ray.conftest import ROOT, SECONDS, TINY, Jobs

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="these pretend GPUs that PyTorch does not see, and here it sees some"
)


@pytest.fixture(scope="module")
def growing(cluster):
    """The cluster, which has no GPU; nodes that tests add end with them."""
    there = len(cluster.nodes)
    yield cluster
    for node in cluster.nodes[there:]:
        cluster.kill(node)
    cluster.wait()


def test_from_0_a_search_asks_for_gpus_and_trials_that_cannot_use_them_fail_one_after_the_other(growing, storage, run):
    # As in KubeRay's pods: more nodes may come.
    here = Jobs(storage, {**growing.environment, "RAY_USAGE_STATS_KUBERAY_IN_USE": "1"})
    # Scores on CPUs, for a crew that finds no GPU to use ends the job before any trial.
    keys = ("compute.workers=1", "compute.gpus_per_worker=1", "evaluation.gpus_per_worker=0")
    process = here.start("search", str(TINY), f"storage.path={storage}", "name=from-zero", *keys)
    planned = next((line for line in process.stderr if line.startswith("Plan:")), "")
    growing.start(cores=2, gpus=1)  # room for the trials' drivers beside a worker of one core
    _, err = process.communicate(timeout=SECONDS)  # before, the second trial waited for ever
    trials = RunFolder.open(storage / "from-zero").trials()
    count, at_a_time, now, workers, cores, gpus = numbers(planned, "Plan:")[:6]
    assert (count, at_a_time, now, workers, cores, gpus) == (2, 2, 0, 1, 1, 1)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("failed: ")
    assert missing(err.splitlines()[-1], "from-zero", *(trial.id for trial in trials)) == []
    assert len(trials) == 2
    for trial in trials:
        assert trial.state["state"] == "failed"
        error = trial.state["error"]
        assert missing(error, socket.gethostname(), "GPU", "PyTorch", "compute.gpus_per_worker=0") == []
        assert error in err


@pytest.fixture(scope="module")
def measured(growing, tmp_path_factory):
    """With 1 GPU on one node and 4 on another, where the environment says CUDA_VISIBLE_DEVICES for all."""
    if len(growing.nodes) < 3:
        growing.start(cores=2, gpus=1)
    growing.environment["CUDA_VISIBLE_DEVICES"] = "0,1,2,3"
    growing.start(cores=8, gpus=4)
    del growing.environment["CUDA_VISIBLE_DEVICES"]
    script, out = Path(__file__).with_name("measure_gpus.py"), tmp_path_factory.mktemp("gpus") / "found.json"
    environment = {**growing.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(out)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    return json.loads(out.read_text())


def test_ray_holds_as_many_trials_at_a_time_as_are_planned(measured):
    assert sorted(measured["nodes"]) == [[1, 0], [1, 0], [2, 1], [8, 4]]
    planned = {tuple(one["asked"]): one["planned"] for one in measured["plans"]}
    # 5 cards: 0.3 fits three times on each, 0.6 once.
    assert planned == {(1, 1.0): 5, (2, 1.0): 2, (1, 0.3): 15, (2, 0.6): 2}
    for one in measured["plans"]:
        assert one["placed"] == one["planned"], one  # one more was asked for


def test_workers_of_a_trial_get_gpus_side_by_side_or_share_one(measured):
    whole, shared = measured["trials"]["3 whole"], measured["trials"]["2 halves"]
    assert len({node for node, _ in whole}) == 1
    gpus = sorted(gpu for _, gpu in whole)
    assert gpus == list(range(gpus[0], gpus[0] + 3))
    assert len({(node, gpu) for node, gpu in shared}) == 1


def test_a_task_has_a_gpu_where_ray_or_its_trial_gave_it_one(measured):
    tasks = measured["tasks"]
    assert {name: one["has_gpu"] for name, one in tasks.items()} == {
        "no GPU": False,
        "one GPU": True,
        "a quarter": True,
        "its trial's": True,
    }
    assert tasks["no GPU"]["visible"] == "0,1,2,3"  # which is why that is not asked
    assert tasks["its trial's"]["visible"] == "1,2"


def test_a_crew_whose_gpus_pytorch_cannot_use_computes_nothing_on_cpus_instead(measured):
    assert missing(measured["actors"], "evaluation.gpus_per_worker", "GPU", 0, "CPUs") == []
