"""How many processes a plan needs, with how much of what each, and whether the cluster can ever hold it."""

from dataclasses import dataclass

from framework.config import ComputeConfig, Experiment
from framework.errors import ClusterError, ConfigError
from framework.orchestration.cluster import Cluster

DRIVER_CORES = 0.05  # a trial's driver waits for reports, it computes nothing


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
        waiting = f", {self.trials - self.concurrent} wait" if self.trials > self.concurrent else ""
        return (
            f"Plan: {self.trials} trial{'s' if self.trials > 1 else ''}, {self.concurrent} at a time{waiting}, "
            f"{workers} each with {each}; the cluster has {cluster.cores:g} cores and {cluster.gpus:g} GPUs"
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
    return plan(compute, cluster, trials=trials, concurrent=experiment.search.concurrent)


def plan(compute: ComputeConfig, cluster: Cluster, *, trials: int = 1, concurrent: int | str = 1) -> Plan:
    """Shares the cluster out over the trials that run at a time.

    Raises:
        ClusterError: One trial alone needs more than the whole cluster has.
    """
    gpus = compute.gpus_per_worker
    if gpus == "auto":
        gpus = 1.0 if cluster.gpus >= 1 else 0.0
    at_once = _concurrent(compute, cluster, trials=trials, concurrent=concurrent, gpus=gpus)
    cores = compute.cpus_per_worker
    if cores == "auto":
        share = (cluster.cores - at_once * DRIVER_CORES) / (at_once * compute.most_workers)
        cores = 1.0 if gpus and share >= 1.0 else max(0.05, min(share, cluster.largest_node_cores - DRIVER_CORES))
        cores = float(int(cores)) if cores >= 1 else int(cores * 20) / 20
        if compute.is_elastic:  # Ray counts whole cores there
            cores = 1.0
    fewest = compute.fewest_workers
    needs = {"cores": cores * fewest + DRIVER_CORES, "GPUs": gpus * fewest}
    for what, has in (("cores", cluster.cores), ("GPUs", cluster.gpus)):
        if needs[what] > has + 1e-9:
            key = "compute.cpus_per_worker" if what == "cores" else "compute.gpus_per_worker"
            raise ClusterError(
                f"{key}: one trial of {fewest} workers needs {needs[what]:g} {what}, the cluster has {has:g}; "
                f"lower it or compute.workers"
            )
    return Plan(trials, at_once, compute.most_workers, fewest, cores, gpus)


def _concurrent(compute: ComputeConfig, cluster: Cluster, *, trials: int, concurrent: int | str, gpus: float) -> int:
    """`auto` runs as many trials as have a GPU or a core for each worker, at least one."""
    if isinstance(concurrent, int):
        return min(concurrent, trials)
    if gpus:
        fit = cluster.gpus / (gpus * compute.most_workers)
    else:
        cores = compute.cpus_per_worker if compute.cpus_per_worker != "auto" else 1.0
        fit = cluster.cores / (cores * compute.most_workers)
    return max(1, min(trials, int(fit + 1e-9)))
