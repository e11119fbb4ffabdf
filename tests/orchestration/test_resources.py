"""The plan shares out what there is, and what can never run is refused with the numbers."""

import pytest

from framework.config import ComputeConfig
from framework.errors import ClusterError
from framework.orchestration.cluster import Cluster
from framework.orchestration.resources import DRIVER_CORES, plan


def cluster(cores, gpus=0.0, nodes=1):
    return Cluster(True, "here", None, cores, gpus, nodes, cores / nodes)


def test_two_workers_on_two_cores_leave_room_for_the_driver():
    made = plan(ComputeConfig(workers=2), cluster(2), trials=4, concurrent="auto")
    assert (made.concurrent, made.workers, made.gpus_per_worker) == (1, 2, 0)
    assert made.cores_per_worker * 2 + DRIVER_CORES <= 2
    assert made.threads_per_worker == 1


@pytest.mark.parametrize(("cores", "workers", "at_once"), [(16, 2, 8), (16, 4, 4), (3, 2, 1), (64, 1, 12)])
def test_auto_runs_as_many_trials_as_have_a_core_a_worker(cores, workers, at_once):
    made = plan(ComputeConfig(workers=workers), cluster(cores), trials=12, concurrent="auto")
    assert made.concurrent == at_once
    assert made.concurrent * (made.cores_per_worker * workers + DRIVER_CORES) <= cores


def test_gpus_bound_the_trials_at_a_time():
    made = plan(ComputeConfig(workers=2), cluster(32, gpus=4), trials=12, concurrent="auto")
    assert (made.concurrent, made.gpus_per_worker) == (2, 1)


def test_fractions_of_a_gpu():
    made = plan(ComputeConfig(workers=1, gpus_per_worker=0.25), cluster(8, gpus=1), trials=12, concurrent="auto")
    assert made.concurrent == 4


@pytest.mark.parametrize(
    ("compute", "key"),
    [
        (ComputeConfig(workers=3, cpus_per_worker=1.0), "compute.cpus_per_worker"),
        (ComputeConfig(workers=1, gpus_per_worker=1.0), "compute.gpus_per_worker"),
    ],
)
def test_a_plan_that_can_never_run_is_refused(compute, key):
    with pytest.raises(ClusterError, match=rf"{key}.*needs .* the cluster has"):
        plan(compute, cluster(2))
