"""Plans of the shipped configs on clusters of all kinds: `PYTHONPATH=. python tests/orchestration/plans.py`.

Nothing is started: a cluster is here what Ray would tell of it.
"""

from pathlib import Path

from framework.config import load_experiment
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.trial.resources import ResourcePlan, search_plan
from framework.search.space import number_of_settings

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
CORES = 16.0


def machine(gpus: float) -> Cluster:
    """One machine with an embedded Ray."""
    return Cluster(True, "this machine", None, ((CORES, gpus),))


def from_zero() -> Cluster:
    """cluster.yaml's: a head without GPUs, and nodes that come when a job wants them."""
    return Cluster(False, "10.0.0.1:6379", None, ((8.0, 0.0),), grows=True)


SETTINGS: dict[str, tuple[Cluster, dict[str, float]]] = {
    "0 GPUs": (machine(0), {}),
    "1 GPU": (machine(1), {}),
    "2 GPUs": (machine(2), {}),
    "4 GPUs": (machine(4), {}),
    "8 GPUs": (machine(8), {}),
    "1 GPU, 0.5 each": (machine(1), {"compute.gpus_per_worker": 0.5}),
    "8 GPUs, 0.3 each": (machine(8), {"compute.gpus_per_worker": 0.3}),
    "2 GPUs, 0 each": (machine(2), {"compute.gpus_per_worker": 0}),
    "from 0, 1 each": (from_zero(), {"compute.gpus_per_worker": 1}),
    "from 0, auto": (from_zero(), {}),
}


def plan_of(config: Path, setting: str) -> tuple[ResourcePlan, Cluster]:
    cluster, overrides = SETTINGS[setting]
    experiment = load_experiment(config, overrides)
    return search_plan(experiment, cluster, trials=number_of_settings(experiment)), cluster


def row(made: ResourcePlan) -> tuple[int, float, float, int]:
    """(workers, GPUs each, cores each, trials at a time)."""
    return made.workers, made.gpus_per_worker, made.cores_per_worker, made.concurrent


if __name__ == "__main__":
    print("config                cluster            trials  workers  GPUs each  cores each  at a time  now")
    for config in CONFIGS:
        for setting in SETTINGS:
            made, _ = plan_of(config, setting)
            workers, gpus, cores, at_once = row(made)
            print(
                f"{config.stem:<21} {setting:<18} {made.trials:>6}  {workers:>7}  {gpus:>9g}  {cores:>10g}  "
                f"{at_once:>9}  {made.concurrent_now:>3}"
            )
