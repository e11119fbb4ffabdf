"""Several ranks: do they get what one gets, how much faster are they, do all stop; and two trials at once."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.cases import CASES, made, moving, trained
from benchmarks.gpu.kernels import best_precision
from framework.config import DataConfig, Experiment, with_overrides
from framework.data import open_store, prepare
from framework.training import WorkerGroup

EXACT = {"dcgan 32": 16, "skip 32": 16, "vae 28": 16}
EACH = 128
REPEATS = 30


def agree_and_scale(bench: Bench) -> None:
    """1, 2, 4, … ranks: the weights that they come to, their speed beside one rank's, and whether all stop."""
    cards = torch.cuda.device_count() if bench.is_card else 2
    worlds = [world for world in (1, 2, 4, 8, 16) if world <= cards]
    bench.told("cards", f"{cards}; groups of {', '.join(map(str, worlds))}")
    if cards < 2:
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        images = prepare(DataConfig(source="drawn_faces", resolution=32, limit=256), cache=place / "cache")
        alone: dict[str, Any] = {}
        for world in worlds:
            given = {"world": world, "place": folder, "images": str(images.path), "quick": bench.quick}
            given |= {"device": bench.device.type, "precision": best_precision(bench)}
            mp.spawn(_rank, args=(given,), nprocs=world)
            found = [json.loads((place / f"{world}-{rank}.json").read_text()) for rank in range(world)]
            weights = {case: np.load(place / f"{world} {case}.npy") for case in EXACT}
            alone = alone or {"weights": weights, **found[0]}
            _told_world(bench, world, found, weights, alone)


def trials_side_by_side(bench: Bench) -> None:
    """A search of two trials of one worker each: one after the other, then at once."""
    if importlib.util.find_spec("ray") is None:
        bench.told("two trials", "left out: no Ray here")
        return
    steps = 20 if bench.quick else 2_000
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        for at_once in (1, 2):
            run = Path(folder) / f"at-once-{at_once}"
            settings = _settings(run, at_once=at_once, steps=steps, batch=32, small=bench.quick)
            if at_once == 1:
                _job("train_assessor", settings)  # and packs the images, for both
            start = time.perf_counter()
            _job("search", settings)
            seconds = time.perf_counter() - start
            rows = [file.read_text().splitlines()[-1] for file in run.glob("*/trials/*/metrics.jsonl")]
            speeds = [json.loads(row)["images_per_second"] for row in rows]
            text = f"{seconds:.0f} s with Ray's start; each {statistics.median(speeds):,.0f} images/s"
            bench.told(f"two trials, {at_once} at a time", text, seconds=seconds, images_per_second=speeds)


def _told_world(bench: Bench, world: int, found: list[dict[str, Any]], weights: Any, alone: dict[str, Any]) -> None:
    for case, batch in EXACT.items():
        one = alone["weights"][case]
        apart = float(np.linalg.norm(weights[case] - one) / np.linalg.norm(one))
        bench.told(f"{world} ranks, float64, {case}, batch {batch}", f"weights {apart:.1e} from one's", apart=apart)
    for name, speed in found[0]["speeds"].items():
        linear = speed / (world * alone["speeds"][name])
        text = f"{speed:,.0f} images/s, {linear:.0%} of {world} times one's"
        bench.told(f"{world} ranks, {name}", text, images_per_second=speed, share_of_linear=linear)
    ends = sorted({(one["state"], one["images_seen"]) for one in found})
    bench.told(f"{world} ranks, one asks to stop", ", ".join(f"{state} at {seen}" for state, seen in ends), ends=ends)


def _rank(rank: int, given: dict[str, Any]) -> None:
    """One rank's part in all of it; rank 0 keeps the weights."""
    world, place, is_card = given["world"], Path(given["place"]), given["device"] == "cuda"
    device = torch.device("cuda", rank) if is_card else torch.device("cpu")
    if is_card:
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
    else:
        torch.set_num_threads(1)
    if world > 1:
        rendezvous = f"file://{place}/rendezvous-{world}"
        patience = timedelta(seconds=120)
        backend = "nccl" if is_card else "gloo"
        dist.init_process_group(backend, init_method=rendezvous, rank=rank, world_size=world, timeout=patience)
    workers = WorkerGroup.here(rank=rank, world_size=world, device=device)
    for case, batch in EXACT.items():
        weights = _exact(case, batch, device, workers)
        if rank == 0:
            np.save(place / f"{world} {case}.npy", weights)
    speeds = {}
    for name, case, batch in _sizes(world, quick=given["quick"]):
        speeds[name] = _speed(case, batch, device, workers, precision=given["precision"], quick=given["quick"])
    state, seen = _stopped(given, device, workers)
    (place / f"{world}-{rank}.json").write_text(json.dumps({"speeds": speeds, "state": state, "images_seen": seen}))
    if world > 1:
        dist.destroy_process_group()


def _sizes(world: int, *, quick: bool) -> list[tuple[str, str, int]]:
    if quick:
        return [("dcgan 32, batch 8 in all", "dcgan 32", 8), ("dcgan 32, batch 4 each", "dcgan 32", 4 * world)]
    return [
        (f"dcgan 128, batch {EACH} in all", "dcgan 128", EACH),
        (f"dcgan 128, batch {EACH} each", "dcgan 128", EACH * world),
        ("skip 64, batch 64 in all", "skip 64", 64),
        ("skip 64, batch 64 each", "skip 64", 64 * world),
    ]


def _exact(case: str, batch: int, device: torch.device, workers: WorkerGroup) -> np.ndarray:
    trial = made(case, device=device, precision="float64", batch=batch, workers=workers)
    for _ in range(3):
        trial.step(torch.from_numpy(trial.pixels).to(device))
    parts = [p.detach().cpu().flatten() for net in trial.state.networks().values() for p in net.parameters()]
    return torch.cat(parts).numpy()


def _speed(case: str, batch: int, device: torch.device, workers: WorkerGroup, *, precision: str, quick: bool) -> float:
    """Images a second of the whole group."""
    work = moving(made(case, device=device, precision=precision, batch=batch, workers=workers), device, numbers="ahead")
    repeats = 2 if quick else REPEATS
    for _ in range(1 if quick else 5):
        work()
    _meet(device, workers)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    _meet(device, workers)
    return batch * repeats / (time.perf_counter() - start)


def _meet(device: torch.device, workers: WorkerGroup) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if workers.world_size > 1:
        dist.barrier(group=workers.host_group)


def _stopped(given: dict[str, Any], device: torch.device, workers: WorkerGroup) -> tuple[str, int]:
    """A real training that the last rank alone asks to stop after 5 steps."""
    overrides = {**CASES["skip 32"], "training.batch_size": 16, "training.total_images": 16 * 40}
    overrides |= {"training.report_every_images": 64, "compute.precision": "float32"}
    experiment = with_overrides(Experiment(), overrides)
    last = workers.rank == workers.world_size - 1
    ended = trained(
        experiment,
        open_store(Path(given["images"])),
        place=Path(given["place"]) / f"stopped-{workers.world_size}",
        device=device,
        halts=5 if last else None,
        workers=workers,
    )
    return ended.state, ended.reports[-1].metrics["images_seen"]


def _settings(run: Path, *, at_once: int, steps: int, batch: int, small: bool) -> dict[str, Any]:
    total = steps * batch
    return {
        "search.trials": 2,
        "search.concurrent": at_once,
        "search.scheduler": "none",
        "compute.workers": 1,
        "compute.cpus_per_worker": 1,
        "storage.path": run,
        "storage.cache_path": run.parent / "cache",
        "data.limit": 256 if small else 2_000,
        "assessor.images": 512 if small else 5_000,
        "evaluation.trial_samples": 64,
        "evaluation.every_images": total,
        "training.total_images": total,
        "training.report_every_images": max(batch, total // 4),
        "training.samples_every_images": total,
    }


def _job(name: str, settings: dict[str, Any]) -> None:
    arguments = [f"{key}={value}" for key, value in settings.items() if _concerns(name, key)]
    environment = {variable: value for variable, value in os.environ.items() if variable != "RAY_ADDRESS"}
    command = [sys.executable, "-m", f"jobs.{name}", "configs/demo.yaml", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"jobs.{name} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}")


def _concerns(job: str, key: str) -> bool:
    return job == "search" or key.startswith(("data.", "assessor.", "storage."))
