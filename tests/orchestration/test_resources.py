"""The plan shares out what there is, and what can never run is refused with the numbers."""

import queue

import pytest

from framework.config import ComputeConfig, Experiment, with_overrides
from framework.errors import ClusterError
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.context import say_wait
from framework.orchestration.pool.tasks import TaskResources, gpus_of_scores, gpus_of_tasks, task_resources
from framework.orchestration.trial.driver import trainer_of
from framework.orchestration.trial.resources import plan
from framework.orchestration.trial.spec import TrialSpec
from framework.runs import RunFolder
from tests.conftest import numbers


def cluster(cores, gpus=0.0, nodes=1):
    return Cluster(True, "here", None, ((cores / nodes, gpus / nodes),) * nodes)


def test_two_workers_on_two_cores_have_one_each():
    made = plan(ComputeConfig(workers=2), cluster(2), trials=4, concurrent="auto")
    assert (made.concurrent, made.workers, made.gpus_per_worker) == (1, 2, 0)
    assert made.cores_per_worker == 1.0
    assert made.threads_per_worker == 1


@pytest.mark.parametrize(("cores", "workers", "at_once"), [(16, 2, 8), (16, 4, 4), (3, 2, 1), (64, 1, 12)])
def test_auto_runs_as_many_trials_as_have_a_core_a_worker(cores, workers, at_once):
    made = plan(ComputeConfig(workers=workers), cluster(cores), trials=12, concurrent="auto")
    assert made.concurrent == at_once
    assert made.concurrent * made.cores_per_worker * workers <= cores


def test_gpus_bound_the_trials_at_a_time():
    made = plan(ComputeConfig(workers=2), cluster(32, gpus=4), trials=12, concurrent="auto")
    assert (made.concurrent, made.gpus_per_worker) == (2, 1)


def test_fractions_of_a_gpu():
    made = plan(
        ComputeConfig(workers=1, gpus_per_worker=0.25),
        cluster(8, gpus=1),
        trials=12,
        concurrent="auto",
    )
    assert made.concurrent == 4


@pytest.mark.parametrize(
    ("compute", "nodes", "key", "room"),
    [
        (ComputeConfig(workers=3, cpus_per_worker=1.0), [(2, 0)], "compute.cpus_per_worker", 2),
        (ComputeConfig(workers=1, gpus_per_worker=1.0), [(2, 0)], "compute.gpus_per_worker", 0),
        # Eight cores in all, of which a worker of three leaves one unused on each node.
        (ComputeConfig(workers=3, cpus_per_worker=3.0), [(4, 0), (4, 0)], "compute.cpus_per_worker", 2),
        (ComputeConfig(workers=2, gpus_per_worker=0.6), [(8, 1)], "compute.gpus_per_worker", 1),
        # 1.8 GPUs of 2, but no card has room for two of 0.6.
        (ComputeConfig(workers=3, gpus_per_worker=0.6), [(8, 2)], "compute.gpus_per_worker", 2),
        (ComputeConfig(workers=3, gpus_per_worker=0.6), [(8, 1), (8, 1)], "compute.gpus_per_worker", 2),
        (ComputeConfig(workers=4, cpus_per_worker=4.0), [(8, 4)], "compute.cpus_per_worker", 2),
    ],
)
def test_a_plan_that_can_never_run_is_refused_with_the_numbers(compute, nodes, key, room):
    has = Cluster(True, "here", None, tuple(nodes))
    with pytest.raises(ClusterError, match=rf"^{key}: one trial needs .* the cluster has room for {room} of them"):
        plan(compute, has)


def test_a_cluster_that_may_grow_is_waited_for_and_the_line_says_so():
    has = Cluster(False, "10.0.0.1:6379", None, ((2.0, 0.0),), grows=True)
    made = plan(ComputeConfig(workers=2, gpus_per_worker=1.0), has, trials=4, concurrent=2)
    assert (made.concurrent, made.concurrent_now, made.gpus_per_worker) == (2, 0, 1.0)
    # Trials, at a time, now, waiting, workers, cores and GPUs each, the cluster's.
    assert numbers(made.line(has), "Plan:") == [4, 2, 0, 2, 2, 1, 1, 2, 0]
    assert made.line(has).endswith("may grow")


@pytest.mark.parametrize(
    ("gpus", "share", "at_once"), [(8, 0.3, 24), (8, 0.6, 8), (8, 0.5, 16), (3, 1.0, 3), (4, 0.33, 12)]
)
def test_shares_of_a_gpu_are_counted_card_by_card(gpus, share, at_once):
    made = plan(ComputeConfig(gpus_per_worker=share), cluster(64, gpus=gpus), trials=99, concurrent="auto")
    assert made.concurrent == at_once
    assert task_resources("auto", cluster(64, gpus=gpus), gpus=share).workers == at_once


@pytest.mark.parametrize(
    ("workers", "gpus", "embedded", "range_"),
    [
        (4, 2, True, (2, 2)),
        (4, 8, True, (4, 4)),
        ("1..4", 2, True, (1, 2)),
        ("2..4", 1, True, (1, 1)),
        ("2..4", 1, False, (1, 4)),  # nodes may join, and it follows them
        ("1..4", 0, True, (1, 4)),
    ],
)
def test_by_auto_no_more_workers_train_than_there_are_gpus(workers, gpus, embedded, range_):
    has = Cluster(embedded, "here", None, ((8.0, float(gpus)),))
    compute = ComputeConfig(workers=workers)
    made = plan(compute, has)
    assert (made.fewest_workers, made.workers) == range_
    assert made.gpus_per_worker == (1.0 if gpus else 0.0)
    cut = range_ != (compute.fewest_workers, compute.most_workers)
    assert (f"compute.workers={workers}" in made.line(has)) == cut


def test_a_named_number_of_gpus_is_not_cut():
    with pytest.raises(ClusterError, match="one trial needs 4 workers with 1 cores and 1 GPUs each"):
        plan(ComputeConfig(workers=4, gpus_per_worker=1), cluster(8, gpus=2))


def test_a_cluster_that_grows_waits_with_whole_workers():
    has = Cluster(False, "10.0.0.1:6379", None, ((8.0, 1.0),), grows=True)
    made = plan(ComputeConfig(workers=2), has, trials=3, concurrent="auto")
    assert (made.workers, made.gpus_per_worker, made.cores_per_worker) == (2, 1.0, 1.0)
    assert (made.concurrent, made.concurrent_now) == (3, 0)


def gpus_each(evaluation, compute, has):
    overrides = {"evaluation.gpus_per_worker": evaluation, "compute.gpus_per_worker": compute}
    experiment = with_overrides(Experiment(), overrides)
    return task_resources("auto", has, gpus=gpus_of_tasks(experiment, has)).gpus


def test_scores_take_what_trials_were_said_to_take():
    grows = Cluster(False, "10.0.0.1:6379", None, ((8.0, 0.0),), grows=True)
    assert gpus_each("auto", 1, grows) == 1
    assert gpus_each("auto", "auto", grows) == 0
    assert gpus_each(0, 1, grows) == 0
    assert gpus_each("auto", "auto", cluster(8, gpus=2)) == 1
    assert gpus_each("auto", 0.25, cluster(8, gpus=2)) == 0.25
    assert gpus_each("auto", 0, cluster(8, gpus=2)) == 0
    assert gpus_each("auto", 1, cluster(8)) == 0  # a run that was trained on GPUs is scored where there are none
    assert gpus_each(1, 0, cluster(8, gpus=2)) == 1


def test_torchmetrics_computes_on_cpus():
    experiment = with_overrides(Experiment(), {"evaluation.engine": "torchmetrics", "evaluation.gpus_per_worker": 1})
    has = cluster(8, gpus=2)
    assert task_resources("auto", has, gpus=gpus_of_scores(experiment, has)) == TaskResources(workers=8)
    ours = with_overrides(experiment, {"evaluation.engine": "latentscape"})
    assert task_resources("auto", has, gpus=gpus_of_scores(ours, has)) == TaskResources(workers=2, gpus=1.0)


class Heard:
    """Who keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.mark.parametrize(("share", "gpus", "waits"), [(1.0, 0.0, True), (1.0, 1.0, False), (0.0, 0.0, False)])
def test_who_waits_for_the_first_gpu_says_so(share, gpus, waits):
    has, heard = Cluster(False, "10.0.0.1:6379", None, ((8.0, gpus),), grows=True), Heard()
    say_wait(task_resources("auto", has, gpus=share), has, heard)
    assert ["evaluation.gpus_per_worker=0" in line for line in heard.lines] == [True] * waits


def test_tasks_that_no_node_will_ever_hold_are_refused():
    with pytest.raises(ClusterError, match=r"^evaluation.gpus_per_worker: 1, but the cluster has no GPU"):
        task_resources("auto", cluster(8), gpus=1.0)


@pytest.mark.parametrize(
    ("share", "workers", "backend"), [(0.5, 2, "gloo"), (1.0, 2, "nccl"), (0.5, 1, "nccl"), (0, 2, "gloo")]
)
def test_two_ranks_that_may_share_a_card_talk_by_gloo(tmp_path, share, workers, backend):
    experiment = with_overrides(
        Experiment(), {"storage.path": str(tmp_path), "compute.gpus_per_worker": share, "compute.workers": workers}
    )
    run = RunFolder.create(experiment, ["python"], data={})
    made = plan(experiment.compute, cluster(8, gpus=1.0 if share < 1 else 2.0))
    work = TrialSpec(run.folder.location, "single", {}, experiment, "", made, None)
    assert trainer_of(work, queue.SimpleQueue()).backend_config.backend == backend


def test_only_as_many_trials_run_at_a_time_as_fit_and_the_line_says_who_waits():
    made = plan(ComputeConfig(workers=2, cpus_per_worker=2.0), cluster(9, nodes=1), trials=5, concurrent=4)
    assert made.concurrent == 2
    assert numbers(made.line(cluster(9)), "Plan:") == [5, 2, 3, 2, 2, 9, 0]
