"""Steady-state images a second of one training under Ray Train against torchrun, same workers, interleaved.

    python -m benchmarks.ray_overhead [--rounds 3]

Both run `framework.training.train` on the same images with the same settings, 2 workers of one thread; a round is one
after the other. A figure is the median over a training's reports but the first two, so neither start counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.data import prepare
from framework.runs import RunFolder
from framework.storage import open_folder
from framework.training import Report, Trainer, WorkerGroup

WORKERS = 2
SETTINGS = {
    "name": "ray-train",
    "data.source": "drawn_faces",
    "data.resolution": 32,
    "data.limit": 1000,
    "model.width": 48,
    "training.schedule": "joint",
    "training.batch_size": 64,
    "training.total_images": 19_200,
    "training.report_every_images": 1_280,
    "training.samples_every_images": 1_000_000,
    "evaluation.features": "assessor",
    "evaluation.every_images": 1_000_000,
    "evaluation.trial_samples": 256,
    "assessor.images": 500,
    "compute.workers": WORKERS,
    "compute.precision": "float32",
}


def experiment(storage: str) -> Experiment:
    """The training that both run."""
    return with_overrides(Experiment(), {**SETTINGS, "storage.path": storage})


def rate(rows: list[dict]) -> float:
    """Images a second in the steady state."""
    return statistics.median([row["images_per_second"] for row in rows if row.get("images_per_second")][2:])


def under_ray(storage: str) -> float:
    """One training as `jobs.train` does it."""
    run = RunFolder.create(experiment(storage), [], data=None)
    run.folder.delete("trials")
    subprocess.run(job_command("train", storage, SETTINGS), check=True, capture_output=True)
    return rate(RunFolder.open(run.folder.location).trial("single").metrics())


def job_command(job: str, storage: str, settings: Mapping[str, Any]) -> list[str]:
    """A job of ours on nothing but these settings."""
    config = Path(storage) / "empty.yaml"
    config.write_text("{}\n")
    overrides = [f"{key}={value}" for key, value in settings.items()]
    return [sys.executable, "-m", f"jobs.{job}", str(config), f"storage.path={storage}", *overrides]


def side_by_side(
    description: str | None,
    *,
    ours: Callable[[str], float],
    peer: Callable[[str], float],
    inner: Callable[[str], None],
    rounds: int,
    names: tuple[str, str],
) -> None:
    """A benchmark's command: both one after the other, a line a round and the median ratio.

    Args:
        description: For --help.
        ours: Gives images a second, from a folder with the packed images in it.
        peer: The same.
        inner: What this command does with `--inner FOLDER`, for a peer in processes of its own.
        rounds: How often.
        names: Of both.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--inner", metavar="FOLDER", help="one side of a round; for this command itself")
    arguments = parser.parse_args()
    if arguments.inner:
        inner(arguments.inner)
        return
    ratios = []
    with tempfile.TemporaryDirectory() as storage:
        prepare(experiment(storage).data, cache=Path(storage) / ".cache")
        for _ in range(arguments.rounds):
            rates = ours(storage), peer(storage)
            ratios.append(rates[0] / rates[1])
            said = [f"{name} {rate:,.0f} images/s" for name, rate in zip(names, rates, strict=True)]
            print(f"{', '.join(said)}, ratio {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f} (aim 0.98)")


def under_torchrun(storage: str) -> float:
    """The same loop, started by torchrun."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(torchrun_command(storage), check=True, capture_output=True, env=environment)
    return rate(json.loads((Path(storage) / "torchrun.json").read_text()))


def torchrun_command(storage: str) -> list[str]:
    """Starts the workers; each one's first report makes STORAGE/first-report."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={WORKERS}"]
    return [*command, "--module", "benchmarks.ray_overhead", "--inner", storage]


def worker(storage: str) -> None:
    """What torchrun starts."""
    torch.distributed.init_process_group("gloo")
    rows = train_here(experiment(storage), storage)
    if rows:
        (Path(storage) / "torchrun.json").write_text(json.dumps(rows))
    torch.distributed.destroy_process_group()


def train_here(settings: Experiment, storage: str) -> list[dict]:
    """The training in this process of an existing group; gives rank 0 the rows of its reports."""
    torch.set_num_threads(1)
    rank = torch.distributed.get_rank()
    images = prepare(settings.data, cache=Path(storage) / ".cache")
    rows: list[dict] = []

    def report(report: Report) -> None:
        rows.append(report.metrics)
        (Path(storage) / "first-report").touch()

    with tempfile.TemporaryDirectory() as checkpoints:
        place = checkpoints if rank == 0 else str(Path(storage) / "unused")
        shared = [place]
        torch.distributed.broadcast_object_list(shared)
        learned = {"data": images.digest, **settings.learned()}
        store = CheckpointStore(open_folder(shared[0]), digest=settings.digest(images.digest), learned=learned, keep=1)
        workers = WorkerGroup(rank=rank, world_size=WORKERS, device=torch.device("cpu"))
        Trainer(
            experiment=settings, images=images, store=store, workers=workers, report=report, log=lambda _: None
        ).run()
        torch.distributed.barrier()
    return rows if rank == 0 else []


def main() -> None:
    """Prints one line a round and the median ratio."""
    side_by_side(__doc__, ours=under_ray, peer=under_torchrun, inner=worker, rounds=3, names=("Ray Train", "torchrun"))


if __name__ == "__main__":
    main()
