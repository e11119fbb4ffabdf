"""The plan shares out what there is, and what can never run is refused with the numbers."""

import pytest

from framework.config import ComputeConfig
from framework.errors import ClusterError
from framework.orchestration.cluster import Cluster
from framework.orchestration.resources import DRIVER_CORES, plan


def cluster(cores, gpus=0.0, nodes=1):
    return Cluster(True, "here", None, ((cores / nodes, gpus / nodes),) * nodes)


def test_two_workers_on_two_cores_leave_room_for_the_driver():
    made = plan(ComputeConfig(workers=2), cluster(2), trials=4, concurrent="auto", driver_cores=DRIVER_CORES)
    assert (made.concurrent, made.workers, made.gpus_per_worker) == (1, 2, 0)
    assert made.cores_per_worker * 2 + DRIVER_CORES <= 2
    assert made.threads_per_worker == 1


@pytest.mark.parametrize(("cores", "workers", "at_once"), [(16, 2, 8), (16, 4, 4), (3, 2, 1), (64, 1, 12)])
def test_auto_runs_as_many_trials_as_have_a_core_a_worker(cores, workers, at_once):
    made = plan(ComputeConfig(workers=workers), cluster(cores), trials=12, concurrent="auto", driver_cores=DRIVER_CORES)
    assert made.concurrent == at_once
    assert made.concurrent * (made.cores_per_worker * workers + DRIVER_CORES) <= cores


def test_gpus_bound_the_trials_at_a_time():
    made = plan(ComputeConfig(workers=2), cluster(32, gpus=4), trials=12, concurrent="auto", driver_cores=DRIVER_CORES)
    assert (made.concurrent, made.gpus_per_worker) == (2, 1)


def test_fractions_of_a_gpu():
    made = plan(
        ComputeConfig(workers=1, gpus_per_worker=0.25),
        cluster(8, gpus=1),
        trials=12,
        concurrent="auto",
        driver_cores=DRIVER_CORES,
    )
    assert made.concurrent == 4


def test_a_training_alone_has_no_driver_to_leave_room_for():
    assert plan(ComputeConfig(workers=2), cluster(2)).cores_per_worker == 1.0


@pytest.mark.parametrize(
    ("compute", "nodes", "key", "room"),
    [
        (ComputeConfig(workers=3, cpus_per_worker=1.0), [(2, 0)], "compute.cpus_per_worker", 2),
        (ComputeConfig(workers=1, gpus_per_worker=1.0), [(2, 0)], "compute.gpus_per_worker", 0),
        # Eight cores in all, of which a worker of three leaves one unused on each node.
        (ComputeConfig(workers=3, cpus_per_worker=3.0), [(4, 0), (4, 0)], "compute.cpus_per_worker", 2),
        (ComputeConfig(workers=2, gpus_per_worker=0.6), [(8, 1)], "compute.gpus_per_worker", 1),
    ],
)
def test_a_plan_that_can_never_run_is_refused_with_the_numbers(compute, nodes, key, room):
    has = Cluster(True, "here", None, tuple(nodes))
    with pytest.raises(ClusterError, match=rf"^{key}: one trial needs .* the cluster has room for {room} of them"):
        plan(compute, has)


def test_a_cluster_that_may_grow_is_waited_for_and_the_line_says_so():
    has = Cluster(False, "10.0.0.1:6379", None, ((2.0, 0.0),), grows=True)
    made = plan(ComputeConfig(workers=2, gpus_per_worker=1.0), has, trials=4, concurrent=2)
    assert (made.concurrent, made.gpus_per_worker) == (1, 1.0)
    assert made.line(has).endswith("the cluster has 2 cores and 0 GPUs and may grow")


def test_only_as_many_trials_run_at_a_time_as_fit_and_the_line_says_who_waits():
    made = plan(ComputeConfig(workers=2, cpus_per_worker=2.0), cluster(9, nodes=1), trials=5, concurrent=4)
    assert made.concurrent == 2
    assert "5 trials, 2 at a time, 3 wait, 2 workers each with 2 cores" in made.line(cluster(9))
