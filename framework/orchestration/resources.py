"""How many processes a plan needs, with how much of what each, and whether the cluster can ever hold it."""

import math
from dataclasses import dataclass
from typing import Literal

from framework.config import ComputeConfig, Experiment
from framework.errors import ClusterError, ConfigError
from framework.orchestration.cluster import Cluster

DRIVER_CORES = 0.05  # a trial's driver waits for reports, it computes nothing
_SLACK = 1e-9  # shares of cores are no whole numbers of anything


@dataclass(frozen=True)
class Plan:
    """Resources of a search or of one training (then `concurrent` is 1)."""

    trials: int
    concurrent: int
    workers: int
    fewest_workers: int
    cores_per_worker: float
    gpus_per_worker: float

    @property
    def threads_per_worker(self) -> int:
        """Torch threads of a worker: its whole cores, at least 1."""
        return max(1, round(self.cores_per_worker))

    def line(self, cluster: Cluster) -> str:
        """One line for people, said before anything starts."""
        each = f"{self.cores_per_worker:g} cores" + (
            f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        )
        number = (
            f"{self.workers}" if self.fewest_workers == self.workers else f"{self.fewest_workers} to {self.workers}"
        )
        workers = f"{number} worker{'s' if self.workers > 1 else ''}"
        more = " and may grow" if cluster.grows else ""
        waiting = f", {self.trials - self.concurrent} wait" if self.trials > self.concurrent else ""
        return (
            f"Plan: {self.trials} trial{'s' if self.trials > 1 else ''}, {self.concurrent} at a time{waiting}, "
            f"{workers} each with {each}; the cluster has {cluster.cores:g} cores and {cluster.gpus:g} GPUs{more}"
        )


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
        cluster: What there is.
        trials: How many there will be.
        concurrent: How many at a time; auto: as many as have a GPU or a core for each worker.
        driver_cores: What each trial's driver asks for.

    Raises:
        ClusterError: One trial alone can never be placed on these nodes.
    """
    gpus = compute.gpus_per_worker
    if gpus == "auto":
        gpus = 1.0 if cluster.gpus >= 1 else 0.0
    wanted = min(trials, concurrent if isinstance(concurrent, int) else _auto_concurrent(compute, cluster, gpus=gpus))
    cores = compute.cpus_per_worker
    if cores == "auto":
        share = (cluster.cores - wanted * driver_cores) / (wanted * compute.most_workers)
        largest = max((cores for cores, _ in cluster.nodes), default=0.0)
        cores = 1.0 if gpus and share >= 1.0 else max(0.05, min(share, largest - driver_cores))
        cores = float(int(cores)) if cores >= 1 else int(cores * 20) / 20
        if compute.is_elastic:  # Ray counts whole cores there
            cores = 1.0

    def room(drivers: int) -> int:
        return _room(cluster, cores=cores, gpus=gpus, driver_cores=drivers * driver_cores)

    if room(1) < compute.fewest_workers and not cluster.grows:
        raise ClusterError(_never(compute, cluster, cores=cores, gpus=gpus, room=room(1)))
    fits = (count for count in range(wanted, 1, -1) if room(count) >= count * compute.most_workers)
    return Plan(trials, next(fits, 1), compute.most_workers, compute.fewest_workers, cores, gpus)


def _auto_concurrent(compute: ComputeConfig, cluster: Cluster, *, gpus: float) -> int:
    if gpus:
        fit = cluster.gpus / (gpus * compute.most_workers)
    else:
        cores = compute.cpus_per_worker if compute.cpus_per_worker != "auto" else 1.0
        fit = cluster.cores / (cores * compute.most_workers)
    return max(1, int(fit + _SLACK))


def _room(cluster: Cluster, *, cores: float, gpus: float, driver_cores: float) -> int:
    """How many workers the nodes can hold at a time, the drivers being on the largest one."""
    nodes = sorted(cluster.nodes, reverse=True)
    nodes = [(nodes[0][0] - driver_cores, nodes[0][1]), *nodes[1:]] if nodes else []
    return sum(
        int(min(has_cores / cores + _SLACK, has_gpus / gpus + _SLACK if gpus else math.inf))
        for has_cores, has_gpus in nodes
        if has_cores > 0
    )


def _never(compute: ComputeConfig, cluster: Cluster, *, cores: float, gpus: float, room: int) -> str:
    key = "compute.gpus_per_worker" if gpus * compute.fewest_workers > cluster.gpus else "compute.cpus_per_worker"
    each = f"{cores:g} cores" + (f" and {gpus:g} GPUs" if gpus else "")
    nodes = ", ".join(f"{has_cores:g} cores and {has_gpus:g} GPUs" for has_cores, has_gpus in cluster.nodes)
    return (
        f"{key}: one trial needs {compute.fewest_workers} workers with {each} each, and the cluster has room for "
        f"{room} of them (its nodes have: {nodes}); lower it or compute.workers"
    )
