"""Images a second of a trial in a search, its reports included, against the same loop under Ray Train alone.

    python -m benchmarks.search_overhead [--rounds 5]

A search adds Tune, the stop flag read before each step, metrics.jsonl, TensorBoard, Ray's metrics and the progress
line; bare is a TorchTrainer around `framework.training.train` that keeps its reports in memory. Same workers, same
settings, interleaved; scoring apart. A figure is the images between the third report and the last by the time
between them.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.ray_overhead import SETTINGS, WORKERS, job_command, side_by_side, train_here
from framework.config import Experiment, with_overrides
from framework.runs import RunFolder

LONG = {"training.total_images": 12_800, "training.report_every_images": 1_280}


def rate(rows: list[dict]) -> float:
    """Images a second, pauses included."""
    begin, end = rows[2], rows[-2]  # the last one waits for a checkpoint and a score
    return (end["images_seen"] - begin["images_seen"]) / (end["wall_seconds"] - begin["wall_seconds"])


def under_search(storage: str) -> float:
    """A search of one trial, anew each time."""
    place = Path(storage) / "search"
    shutil.rmtree(place, ignore_errors=True)
    settings = {**SETTINGS, **LONG, "name": place.name, "search.trials": 1}
    subprocess.run(job_command("search", storage, settings), check=True, capture_output=True)
    (trial,) = RunFolder.open(place).trials()
    return rate(trial.metrics())


def under_bare_ray(storage: str) -> float:
    """The same under Ray Train alone, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.search_overhead", "--inner", storage]
    subprocess.run(command, check=True, capture_output=True)
    return rate(json.loads((Path(storage) / "bare.json").read_text()))


def bare(storage: str) -> None:
    """What that process does."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    root = str(Path(__file__).parents[1])
    ray.init(address="local", log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": root}})
    TorchTrainer(
        _bare_worker,
        train_loop_config={"storage": storage},
        scaling_config=ScalingConfig(num_workers=WORKERS, resources_per_worker={"CPU": 0.95}),
        run_config=RunConfig(storage_path=storage, worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}),
    ).fit()


def _bare_worker(config: dict[str, str]) -> None:
    storage = config["storage"]
    settings = with_overrides(Experiment(), {**SETTINGS, **LONG, "storage.path": storage})
    rows = train_here(settings, storage)
    if rows:
        (Path(storage) / "bare.json").write_text(json.dumps(rows))


def main() -> None:
    """Prints one line a round and the median ratio."""
    names = ("in a search", "under Ray Train alone")
    side_by_side(__doc__, ours=under_search, peer=under_bare_ray, inner=bare, rounds=5, names=names)


if __name__ == "__main__":
    main()
