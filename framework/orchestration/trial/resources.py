"""How many processes a plan needs, with how much of what each, and whether the cluster can ever hold it."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from framework.config import ComputeConfig, Experiment
from framework.errors import ClusterError, ConfigError
from framework.orchestration.cluster.connect import Cluster, gpu_shares

DRIVER_CORES = 0.05  # a trial's driver waits for reports, it computes nothing
_SLACK = 1e-9  # shares of cores are no whole numbers of anything


@dataclass(frozen=True)
class Plan:
    """Resources of a search or of one training (then `concurrent` is 1).

    Attributes:
        trials: How many there are.
        concurrent: How many at a time.
        workers: Of each, at most.
        fewest_workers: Of each, at least.
        cores_per_worker: Cores of each worker.
        gpus_per_worker: GPUs of each, or the share of one.
        concurrent_now: How many of `concurrent` the nodes hold that are there; fewer only where the cluster grows.
        note: What people are told of the workers; may be empty.
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
        """Whether two workers of one trial may compute on one GPU, over which NCCL does not talk."""
        return 0 < self.gpus_per_worker < 1 and self.workers > 1

    def line(self, cluster: Cluster) -> str:
        """One line for people, said before anything starts."""
        at_a_time = f"{self.concurrent} at a time"
        if self.concurrent_now < self.concurrent:
            at_a_time += f" as nodes come (now {self.concurrent_now})"
        if self.trials > self.concurrent:
            at_a_time += f", {self.trials - self.concurrent} wait"
        has = f"{cluster.cores:g} cores and {cluster.gpus:g} GPUs" + (" and may grow" if cluster.grows else "")
        trials = f"{self.trials} trial{'s' if self.trials > 1 else ''}"
        return f"Plan: {trials}, {at_a_time}, {self._workers()}; the cluster has {has}"

    def _workers(self) -> str:
        """How many, with what."""
        each = f"{self.cores_per_worker:g} cores" + (
            f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        )
        number = (
            f"{self.workers}" if self.fewest_workers == self.workers else f"{self.fewest_workers} to {self.workers}"
        )
        note = f" ({self.note})" if self.note else ""
        return f"{number} worker{'s' if self.workers > 1 else ''} each with {each}{note}"


def search_plan(experiment: Experiment, cluster: Cluster, *, trials: int) -> Plan:
    """The plan of a search.

    Raises:
        ConfigError: A range of workers: trials that grow and shrink beside each other are not supported.
        ClusterError: One trial alone needs more than the whole cluster has.
    """
    compute = experiment.compute
    if compute.is_elastic:
        raise ConfigError(
            f"compute.workers: {compute.workers} is for jobs.train; the trials of a search share the cluster, each "
            f"with one number of workers (from {compute.fewest_workers} to {compute.most_workers})"
        )
    concurrent = experiment.search.concurrent
    return plan(compute, cluster, trials=trials, concurrent=concurrent, driver_cores=DRIVER_CORES)


def plan(
    compute: ComputeConfig,
    cluster: Cluster,
    *,
    trials: int = 1,
    concurrent: int | Literal["auto"] = 1,
    driver_cores: float = 0.0,
) -> Plan:
    """Shares the cluster out over the trials that run at a time.

    Args:
        compute: Workers, and what each asks for.
        cluster: What there is. One that grows is asked for all trials, or for `concurrent`: what waits for room is what
            makes it grow.
        trials: How many there will be.
        concurrent: How many at a time; auto: as many as have a GPU or a core for each worker.
        driver_cores: What each trial's driver asks for.

    Raises:
        ClusterError: One trial alone can never be placed on these nodes.
    """
    fewest, most, gpus = _workers_and_gpus(compute, cluster)
    if concurrent == "auto":
        concurrent = trials if cluster.grows else _auto_concurrent(compute, cluster, workers=most, gpus=gpus)
    wanted = min(trials, concurrent)
    cores = compute.cpus_per_worker
    if cores == "auto":
        cores = _auto_cores(cluster, wanted, most, gpus, driver_cores)
        if compute.is_elastic:  # Ray counts whole cores there
            cores = 1.0

    def room(drivers: int) -> int:
        return _room(cluster, cores=cores, gpus=gpus, driver_cores=drivers * driver_cores)

    if room(1) < fewest and not cluster.grows:
        raise ClusterError(_never(cluster, workers=fewest, cores=cores, gpus=gpus, room=room(1)))
    now = next((count for count in range(wanted, 0, -1) if room(count) >= count * most), 0)
    at_once = wanted if cluster.grows else max(now, 1)
    made = Plan(trials, at_once, most, fewest, cores, gpus, now if cluster.grows else at_once)
    return dataclasses.replace(made, note=_note(made, compute, cluster))


def _note(made: Plan, compute: ComputeConfig, cluster: Cluster) -> str:
    if (made.fewest_workers, made.workers) != (compute.fewest_workers, compute.most_workers):
        return f"of compute.workers={compute.workers} as many as there are GPUs"
    if made.shares_cards:
        return "gloo between them, since they share cards"
    if compute.gpus_per_worker == "auto" and cluster.grows and not made.gpus_per_worker:
        return "compute.gpus_per_worker=1 asks for GPUs that are yet to come"
    return ""


def _workers_and_gpus(compute: ComputeConfig, cluster: Cluster) -> tuple[int, int, float]:
    """The fewest and the most workers of a trial, and how much of a GPU each has.

    By auto a worker has a GPU where there are any, and of these there may be too few for the workers. Then fewer train:
    how a batch is shared out changes nothing that is learned. A range's end stays where nodes may join.
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


def _auto_cores(cluster: Cluster, wanted: int, workers: int, gpus: float, driver_cores: float) -> float:
    """Cores of each worker: one beside a GPU, else the cores shared out; whole ones, or steps of a twentieth."""
    share = (cluster.cores - wanted * driver_cores) / (wanted * workers)
    largest = max((cores for cores, _ in cluster.nodes), default=0.0)
    if cluster.grows and (gpus or cluster.cores < wanted * workers):  # for shares of what is there nothing would come
        return 1.0
    cores = 1.0 if gpus and share >= 1.0 else max(0.05, min(share, largest - driver_cores))
    return float(int(cores)) if cores >= 1 else int(cores * 20) / 20


def _auto_concurrent(compute: ComputeConfig, cluster: Cluster, *, workers: int, gpus: float) -> int:
    if gpus:
        return max(1, cluster.gpu_shares(gpus) // workers)
    cores = compute.cpus_per_worker if compute.cpus_per_worker != "auto" else 1.0
    return max(1, int(cluster.cores / (cores * workers) + _SLACK))


def _room(cluster: Cluster, *, cores: float, gpus: float, driver_cores: float) -> int:
    """How many workers the nodes can hold at a time, the drivers being on the largest one."""
    nodes = sorted(cluster.nodes, reverse=True)
    nodes = [(nodes[0][0] - driver_cores, nodes[0][1]), *nodes[1:]] if nodes else []
    return sum(
        int(min(has_cores / cores + _SLACK, gpu_shares(has_gpus, gpus) if gpus else math.inf))
        for has_cores, has_gpus in nodes
        if has_cores > 0
    )


def _never(cluster: Cluster, *, workers: int, cores: float, gpus: float, room: int) -> str:
    key = "compute.gpus_per_worker" if gpus and cluster.gpu_shares(gpus) < workers else "compute.cpus_per_worker"
    each = f"{cores:g} cores" + (f" and {gpus:g} GPUs" if gpus else "")
    nodes = ", ".join(f"{has_cores:g} cores and {has_gpus:g} GPUs" for has_cores, has_gpus in cluster.nodes)
    return (
        f"{key}: one trial needs {workers} workers with {each} each, and the cluster has room for "
        f"{room} of them (its nodes have: {nodes}); lower it or compute.workers"
    )
