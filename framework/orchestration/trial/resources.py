"""Plans how many trials and workers run at a time, with how many cores and GPUs, and whether the cluster has room."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from framework.config import ComputeConfig, Experiment
from framework.errors import ClusterError, ConfigError
from framework.orchestration.cluster.connect import Cluster, gpu_shares

_SLACK = 1e-9  # against rounding of fractions of cores


@dataclass(frozen=True)
class ResourcePlan:
    """Resources of a search, or of one training, for which `concurrent` is 1.

    Attributes:
        trials: How many trials there are.
        concurrent: How many trials run at a time.
        workers: The most workers of a trial.
        fewest_workers: The fewest workers of a trial; less than `workers` only for elastic training.
        cores_per_worker: Cores of each worker.
        gpus_per_worker: GPUs of each worker, or its share of one.
        concurrent_now: How many trials fit on the present nodes; fewer than `concurrent` only if the cluster can grow.
        note: A remark about the workers for the plan's line; may be empty.
    """

    trials: int
    concurrent: int
    workers: int
    fewest_workers: int
    cores_per_worker: float
    gpus_per_worker: float
    concurrent_now: int
    note: str = ""

    @property
    def threads_per_worker(self) -> int:
        """Torch threads of a worker: its whole cores, at least 1."""
        return max(1, round(self.cores_per_worker))

    @property
    def shares_cards(self) -> bool:
        """Whether two workers of a trial may share one GPU, which NCCL does not support."""
        return 0 < self.gpus_per_worker < 1 and self.workers > 1

    def line(self, cluster: Cluster) -> str:
        """The plan in one line, which is shown before anything starts."""
        at_a_time = f"{self.concurrent} at a time"
        if self.concurrent_now < self.concurrent:
            at_a_time += f" as nodes come (now {self.concurrent_now})"
        if self.trials > self.concurrent:
            at_a_time += f", {self.trials - self.concurrent} wait"
        has = f"{cluster.cores:g} cores and {cluster.gpus:g} GPUs" + (" and may grow" if cluster.grows else "")
        trials = f"{self.trials} trial{'s' if self.trials > 1 else ''}"
        return f"Plan: {trials}, {at_a_time}, {self._workers()}; the cluster has {has}"

    def _workers(self) -> str:
        """The number of workers with their resources, in words."""
        each = f"{self.cores_per_worker:g} cores" + (
            f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        )
        number = (
            f"{self.workers}" if self.fewest_workers == self.workers else f"{self.fewest_workers} to {self.workers}"
        )
        note = f" ({self.note})" if self.note else ""
        return f"{number} worker{'s' if self.workers > 1 else ''} each with {each}{note}"


def search_plan(experiment: Experiment, cluster: Cluster, *, trials: int) -> ResourcePlan:
    """The plan of a search.

    Raises:
        ConfigError: `compute.workers` is a range, which a search does not support.
        ClusterError: A single trial needs more than the whole cluster has.
    """
    compute = experiment.compute
    if compute.is_elastic:
        raise ConfigError(
            f"compute.workers: {compute.workers} is for jobs.train; the trials of a search share the cluster, each "
            f"with one number of workers (from {compute.fewest_workers} to {compute.most_workers})"
        )
    concurrent = experiment.search.concurrent
    return plan(compute, cluster, trials=trials, concurrent=concurrent)


def plan(
    compute: ComputeConfig,
    cluster: Cluster,
    *,
    trials: int = 1,
    concurrent: int | Literal["auto"] = 1,
) -> ResourcePlan:
    """Divides the cluster among the trials that run at a time.

    Args:
        compute: The workers of a trial and their resources.
        cluster: The cluster. If it can grow, all trials, or `concurrent` of them, are submitted at once: an autoscaler
            adds nodes only for work that waits.
        trials: How many trials there will be.
        concurrent: How many run at a time; auto: as many as have a GPU or a core for each worker.

    Raises:
        ClusterError: Not even one trial fits on these nodes.
    """
    fewest, most, gpus = _workers_and_gpus(compute, cluster)
    if concurrent == "auto":
        concurrent = trials if cluster.grows else _auto_concurrent(compute, cluster, workers=most, gpus=gpus)
    at_a_time = min(trials, concurrent)
    cores = compute.cpus_per_worker
    if cores == "auto":
        cores = _auto_cores(cluster, at_a_time, most, gpus)
        if compute.is_elastic:  # Ray only counts whole cores for elastic training
            cores = 1.0
    room = _room(cluster, cores=cores, gpus=gpus)
    if room < fewest and not cluster.grows:
        raise ClusterError(_never(cluster, workers=fewest, cores=cores, gpus=gpus, room=room))
    now = min(at_a_time, room // most)
    planned = at_a_time if cluster.grows else max(now, 1)
    resources = ResourcePlan(trials, planned, most, fewest, cores, gpus, now if cluster.grows else planned)
    return dataclasses.replace(resources, note=_note(resources, compute, cluster))


def _note(resources: ResourcePlan, compute: ComputeConfig, cluster: Cluster) -> str:
    if (resources.fewest_workers, resources.workers) != (compute.fewest_workers, compute.most_workers):
        return f"fewer than compute.workers={compute.workers}: one per GPU"
    if resources.shares_cards:
        return "connected by gloo because they share GPUs"
    if compute.gpus_per_worker == "auto" and cluster.grows and not resources.gpus_per_worker:
        return "compute.gpus_per_worker=1 requests GPUs that an autoscaler can add"
    return ""


def _workers_and_gpus(compute: ComputeConfig, cluster: Cluster) -> tuple[int, int, float]:
    """The fewest and the most workers of a trial, and how much of a GPU each has.

    With auto each worker has a GPU, if the cluster has any. If there are too few GPUs, fewer workers train: the number
    of workers does not change what is learned. The upper end of a range stays if nodes may still join.
    """
    fewest, most, gpus = compute.fewest_workers, compute.most_workers, compute.gpus_per_worker
    if gpus != "auto":
        return fewest, most, gpus
    cards = cluster.gpu_shares(1.0)
    if not cards:
        return fewest, most, 0.0
    if not cluster.grows:
        fewest = min(fewest, cards)
        most = most if compute.is_elastic and not cluster.embedded else min(most, cards)
    return fewest, most, 1.0


def _auto_cores(cluster: Cluster, trials: int, workers: int, gpus: float) -> float:
    """Cores of each worker: one with a GPU, else an equal share; a whole number, or below 1 a multiple of 0.05."""
    share = cluster.cores / (trials * workers)
    largest = max((cores for cores, _ in cluster.nodes), default=0.0)
    # Workers with small shares would fit on the present nodes, and an autoscaler would add none.
    if cluster.grows and (gpus or cluster.cores < trials * workers):
        return 1.0
    cores = 1.0 if gpus and share >= 1.0 else max(0.05, min(share, largest))
    return float(int(cores + _SLACK)) if cores >= 1 else int(cores * 20 + _SLACK) / 20


def _auto_concurrent(compute: ComputeConfig, cluster: Cluster, *, workers: int, gpus: float) -> int:
    if gpus:
        return max(1, cluster.gpu_shares(gpus) // workers)
    cores = compute.cpus_per_worker if compute.cpus_per_worker != "auto" else 1.0
    return max(1, int(cluster.cores / (cores * workers) + _SLACK))


def _room(cluster: Cluster, *, cores: float, gpus: float) -> int:
    """How many workers fit on the nodes at a time."""
    return sum(
        int(min(has_cores / cores + _SLACK, gpu_shares(has_gpus, gpus) if gpus else math.inf))
        for has_cores, has_gpus in cluster.nodes
    )


def _never(cluster: Cluster, *, workers: int, cores: float, gpus: float, room: int) -> str:
    key = "compute.gpus_per_worker" if gpus and cluster.gpu_shares(gpus) < workers else "compute.cpus_per_worker"
    each = f"{cores:g} cores" + (f" and {gpus:g} GPUs" if gpus else "")
    nodes = ", ".join(f"{has_cores:g} cores and {has_gpus:g} GPUs" for has_cores, has_gpus in cluster.nodes)
    return (
        f"{key}: one trial needs {workers} workers with {each} each, and the cluster has room for "
        f"{room} of them (its nodes have: {nodes}); lower it or compute.workers"
    )
