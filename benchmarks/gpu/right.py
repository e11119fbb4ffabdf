"""Is it right on this card: the whole loop, the same run twice, and each family's step beside the CPU's."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.cases import CASES, Trained, made, trained
from framework.config import DataConfig, Experiment, with_overrides
from framework.data import PackedStore, prepare
from framework.training.precision import choose_precision

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def first_report(bench: Bench) -> None:
    """First report, samples, checkpoint, halt, going on: the real loop on drawn faces."""
    steps = 8 if bench.quick else 60
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        images, experiment = _faces(place), _short("skip 32 r1 augmented", steps=steps, precision="auto")
        halted = trained(experiment, images, place=place / "run", device=bench.device, halts=steps // 2)
        ended = trained(experiment, images, place=place / "run", device=bench.device)
    for line in [*halted.lines, *ended.lines]:
        bench.told(f"it says {len(bench.found)}", line)
    last = ended.reports[-1]
    figures = {name: last.metrics[name] for name in ("images_seen", "images_per_second", "memory_bytes")}
    pictures = sum(report.samples is not None for report in [*halted.reports, *ended.reports])
    text = f"{halted.state}, then {ended.state} at {figures['images_seen']} images; {pictures} grids of samples"
    bench.told("whole loop", text, **figures)


def repeats(bench: Bench) -> None:
    """The same run twice, and one halted and gone on with, in the fastest algorithms."""
    _repeated(bench, deterministic=False)


def deterministic(bench: Bench) -> None:
    """The same with compute.deterministic, in a process of its own: cuBLAS reads its setting when it is first used."""
    if os.environ.get(WORKSPACE) or not bench.is_card:
        _repeated(bench, deterministic=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        own = ["--part", "1", "--only", "deterministic", "--out", folder, *(["--quick"] if bench.quick else [])]
        environment = os.environ | {WORKSPACE: ":4096:8"}
        subprocess.run([sys.executable, "-m", "benchmarks.on_gpu", *own], env=environment, check=True, timeout=48)
        bench.found |= json.loads((Path(folder) / "on_gpu-1.json").read_text())


def agrees(bench: Bench) -> None:
    """Steps in float64 on the device beside the same on the CPU: figures and weights after them."""
    for case in CASES:
        large = case == "dcgan 128"
        more = {"model.width": 16} if large else {}
        results = []
        for device in (torch.device("cpu"), bench.device):
            trial = made(case, device=device, precision="float64", batch=4 if large else 8, **more)
            for _ in range(3):
                figures = trial.step(torch.from_numpy(trial.pixels).to(device))
            results.append((figures.cpu(), _weights(trial.state)))
        (cpu, cpu_weights), (own, own_weights) = results
        apart = {"figures": float((cpu - own).abs().max()), "weights": _apart(cpu_weights, own_weights)}
        text = ", ".join(f"{name} {value:.1e} apart" for name, value in apart.items())
        bench.told(f"float64 against the CPU, {case}", text, **apart)


def auto(bench: Bench) -> None:
    """What compute.precision=auto takes."""
    for case in ("dcgan 128", "skip 64") if not bench.quick else ("dcgan 32",):
        experiment = with_overrides(Experiment(), CASES[case])
        shape = {"resolution": experiment.data.resolution, "channels": experiment.data.channels}
        name, reason = choose_precision(experiment, **shape, device=bench.device)
        bench.told(f"precision auto, {case}", f"{name} ({reason})")


def _repeated(bench: Bench, *, deterministic: bool) -> None:
    steps = 8 if bench.quick else 40
    for case, precision in (("skip 32 r1 augmented", "float32"), ("dcgan 32", "auto")):
        more = {"compute.deterministic": deterministic}
        experiment = _short(case, steps=steps, precision=precision, **more)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            images = _faces(place)
            once, again = (trained(experiment, images, place=place / n, device=bench.device) for n in ("1", "2"))
            trained(experiment, images, place=place / "3", device=bench.device, halts=steps // 2)
            halted = trained(experiment, images, place=place / "3", device=bench.device)
        name = f"{case}, {precision}, deterministic={str(deterministic).lower()}"
        for what, other in (("the same run twice", again), ("halted and gone on", halted)):
            bench.told(f"{what}, {name}", _compared(once, other), apart=_apart(once.weights, other.weights))


def _faces(place: Path) -> PackedStore:
    return prepare(DataConfig(source="drawn_faces", resolution=32, limit=256), cache=place / "cache")


def _short(case: str, *, steps: int, precision: str, **more: Any) -> Experiment:
    every = max(1, steps // 4) * 32
    overrides = {
        **CASES[case],
        "training.batch_size": 32,
        "training.total_images": steps * 32,
        "training.report_every_images": every,
        "training.samples_every_images": 2 * every,
        "evaluation.every_images": 2 * every,
        "compute.precision": precision,
        **more,
    }
    return with_overrides(Experiment(), overrides)


def _weights(state: Any) -> Tensor:
    return torch.cat([p.detach().cpu().flatten() for net in state.networks().values() for p in net.parameters()])


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm())


def _compared(one: Trained, other: Trained) -> str:
    if torch.equal(one.weights, other.weights):
        return "the same bits"
    return f"weights {_apart(one.weights, other.weights):.1e} apart"
