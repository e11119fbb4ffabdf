"""How fast it is: the card's limits, steps with each choice on and off, the real loop, features, memory, kernels."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.bench import Bench, replaced
from benchmarks.gpu.cases import CASES, experiment_of, library_wide, made, moving, trained
from benchmarks.gpu.kernels import best_precision
from framework.config import DataConfig, Experiment, with_overrides
from framework.data import prepare
from framework.models.architectures import dcgan
from framework.models.arithmetic.bfloat16 import has_bfloat16
from framework.training.algorithms import algorithms
from framework.training.cost import TrainingCost

SIZES = [("dcgan 128", 128), ("dcgan 128", 16), ("skip 64", 64), ("skip 32 r1 augmented", 32), ("vae 28", 128)]
SIZES += [("faces 128", 64)]
GIB = 2**30
CPU = torch.device("cpu")


def ceilings(bench: Bench) -> None:
    """The fastest matrix product and the fastest copy."""
    _limit(bench)
    big = torch.empty(GIB if bench.is_card else 2**22, device=bench.device, dtype=torch.uint8)
    rate = 2 * big.numel() / bench.drained(big.clone) / 1e9
    bench.told("copy on the device", f"{rate:.2f} TB/s read and written", terabytes_per_second=rate)
    host = torch.empty(2**26 if bench.is_card else 2**22, dtype=torch.uint8, pin_memory=bench.is_card)
    rate = host.numel() / bench.drained(lambda: host.to(bench.device, copy=True)) / 1e6
    bench.told("copy to the device", f"{rate:.1f} GB/s from pinned memory", gigabytes_per_second=rate)


def steps(bench: Bench) -> None:
    """Steps with all choices at their best, and each of them given up alone."""
    best = {"precision": best_precision(bench), "benchmark": True, "rows": True, "ahead": True, "deterministic": False}
    for case, batch in SIZES if not bench.quick else [("dcgan 32", 8), ("skip 32 r1 augmented", 4)]:
        useful = 2 * batch * TrainingCost(experiment_of(case, batch)).step_multiplications
        without = {
            "": {},
            ", float32": {"precision": "float32"} if best["precision"] != "float32" else None,
            ", numbers in line": {"ahead": False},
            ", benchmark off": {"benchmark": False} if bench.is_card else None,
            ", the library's 8x8": {"rows": False} if case.startswith("dcgan") else None,
            ", deterministic": {"deterministic": True} if bench.is_card else None,
        }
        for name, given_up in without.items():
            if given_up is not None:
                _told_step(bench, f"step {case}, batch {batch}{name}", case, batch, useful, **{**best, **given_up})


def feeding(bench: Bench) -> None:
    """The real loop: images/s with loader, mirror, draws, copies and reports, and how long it waits for data."""
    cases = [("dcgan 128", 128, 128), ("skip 64", 64, 64)] if not bench.quick else [("dcgan 32", 32, 8)]
    for case, resolution, batch in cases:
        with tempfile.TemporaryDirectory() as folder:
            place, count = Path(folder), 2_000 if not bench.quick else 128
            data = DataConfig(source="drawn_faces", resolution=resolution, limit=count)
            images = prepare(data, cache=place / "cache")
            total = batch * (200 if not bench.quick else 4)
            overrides = {
                **CASES[case],
                "data.horizontal_flip": True,
                "training.batch_size": batch,
                "training.total_images": total,
                "training.report_every_images": total // 4,
                "training.samples_every_images": 10**9,
                "evaluation.every_images": 10**9,
            }
            experiment = with_overrides(Experiment(), overrides)
            row = trained(experiment, images, place=place / "run", device=bench.device).reports[-1].metrics
        text = f"{row['images_per_second']:,.0f} images/s, waits for data {row['data_wait_share']:.1%}"
        bench.told(
            f"train() {case}, batch {batch}", text, **{k: row[k] for k in ("images_per_second", "data_wait_share")}
        )


def memory(bench: Bench) -> None:
    """The most that a step holds, beside what was counted without a card."""
    sizes = [("dcgan 128", 16, None), ("dcgan 128", 128, None), ("dcgan 128", 128, 16)]
    sizes += [("skip 64", 64, None), ("skip 32", 32, None), ("vae 28", 128, None), ("faces 128", 64, None)]
    for case, batch, passes in sizes if not bench.quick else [("dcgan 32", 8, None), ("dcgan 32", 8, 2)]:
        more = {} if passes is None else {"compute.images_per_pass": passes}
        name = f"memory, {case}, batch {batch}" + ("" if passes is None else f", {passes} a pass")
        cost = TrainingCost(experiment_of(case, batch, **more))
        for dtype in _dtypes(bench):
            precision = str(dtype).removeprefix("torch.")
            counted = cost.memory_bytes(precision)
            text, numbers = f"counted {counted / GIB:.3f} GiB", {"counted": counted}
            if bench.is_card:
                numbers["allocated"] = _allocated(bench, case, batch, precision, **more)
                text += f", allocated {numbers['allocated'] / GIB:.3f} GiB"
            bench.told(f"{name}, {precision}", text, **numbers)


def features(bench: Bench) -> None:
    """Inception's speed, and its features beside the CPU's."""
    if bench.weights is None:
        bench.told("features", "left out: no --weights")
        return
    from framework.evaluation.features.inception import Inception
    from framework.evaluation.features.resizing import resize
    from framework.evaluation.features.weights import read_weights
    from framework.models.arithmetic.exact import exact

    weights, _ = read_weights(bench.weights)
    images = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
    base = None
    for device, dtype in dict.fromkeys([(CPU, torch.float32), *((bench.device, each) for each in _dtypes(bench))]):
        network = Inception(weights, tap=768, dtype=dtype, device=device)

        def extracted(network: Inception = network) -> torch.Tensor:
            return torch.as_tensor(network(resize(images, how="tensorflow2015", device=network.device)))

        with torch.inference_mode(), exact():
            found = extracted().float().cpu()
            base = found if base is None else base
            apart = float((found - base).norm() / base.norm())
            speed = 32 / bench.pipelined(extracted) * 1e3 if device == bench.device else 0.0
        text = f"{speed:,.0f} images/s, {apart:.1e} from the CPU's" if speed else "reference"
        bench.told(f"features, {device.type}, {dtype}", text, images_per_second=speed, apart=apart)


def profile(bench: Bench) -> None:
    """Kernels a step and their time; the tables lie in --out."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    torch.backends.cudnn.benchmark = True
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.is_card else [])]
    for case, batch in [("dcgan 128", 128), ("skip 64", 64)] if not bench.quick else [("skip 32", 4)]:
        work = moving(made(case, device=bench.device, precision=best_precision(bench), batch=batch), bench.device)
        for _ in range(3):
            work()
        bench.wait()
        with record(activities=activities) as seen:
            work()
            bench.wait()
        order = "self_cuda_time_total" if bench.is_card else "self_cpu_time_total"
        table = seen.key_averages().table(sort_by=order, row_limit=30, max_name_column_width=70)
        (bench.out / f"profile-{case.replace(' ', '-')}.txt").write_text(table)
        kernels = [one for one in seen.events() if one.device_type == torch.autograd.DeviceType.CUDA]
        busy = sum(one.self_device_time_total for one in kernels) / 1e3
        bench.told(f"profile {case}, batch {batch}", f"{len(kernels)} kernels, {busy:.2f} ms of the device a step")


def _allocated(bench: Bench, case: str, batch: int, precision: str, **more: Any) -> int:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(bench.device)
    torch.cuda.reset_peak_memory_stats(bench.device)
    work = moving(made(case, device=bench.device, precision=precision, batch=batch, **more), bench.device)
    for _ in range(3):
        work()
    return torch.cuda.max_memory_allocated(bench.device) - before


def _told_step(
    bench: Bench,
    name: str,
    case: str,
    batch: int,
    useful: float,
    *,
    precision: str,
    benchmark: bool,
    rows: bool,
    ahead: bool,
    deterministic: bool,
) -> None:
    with ExitStack() as stack:
        stack.enter_context(algorithms(bench.device, deterministic=deterministic))
        torch.backends.cudnn.benchmark = benchmark and not deterministic
        if not rows:
            stack.enter_context(replaced(dcgan, "wide_convolution", library_wide))
        trial = made(case, device=bench.device, precision=precision, batch=batch)
        milliseconds = bench.pipelined(moving(trial, bench.device, numbers="ahead" if ahead else "in line"))
    rate, limit = useful / milliseconds * 1e3, _limit(bench)
    text = (
        f"{milliseconds:.2f} ms, {batch / milliseconds * 1e3:,.0f} images/s, {rate / limit:.0%} of the fastest product"
    )
    bench.told(name, text, ms=milliseconds, images_per_second=batch / milliseconds * 1e3, share_of_limit=rate / limit)


def _limit(bench: Bench) -> float:
    """Operations a second in the fastest matrix product, measured once."""
    if "limit" not in bench.notes:
        rates = {}
        for dtype in _dtypes(bench):
            for side in (4096, 8192) if bench.is_card else (512, 1024):
                one, other = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
                rate = 2 * side**3 / bench.drained(lambda one=one, other=other: one @ other) * 1e3
                rates[f"{side} {str(dtype).removeprefix('torch.')}"] = rate
        best = max(rates, key=lambda name: rates[name])
        text = ", ".join(f"{name}: {rate / 1e12:.3g}" for name, rate in rates.items())
        bench.told("matrix products, TFLOP/s", text, **rates)
        bench.notes["limit"] = rates[best]
    return bench.notes["limit"]


def _dtypes(bench: Bench) -> list[torch.dtype]:
    return [torch.float32, *([torch.bfloat16] if has_bfloat16(bench.device) else [])]
