"""Images a second through FID's Inception: ours beside torch-fidelity's own network, same threads, interleaved.

    python -m benchmarks.features [--weights FILE] [--rounds 5] [--images 64] [--side 64]

Both stop at the tap 768 and get the same uint8 images; torch-fidelity is given them in its batch of 32. The machine's
limit is its fastest large float32 matrix product, of torch's (MKL), NumPy's (OpenBLAS) and oneDNN's (as a 1x1
convolution); the share is what of it the network's 9.42 GFLOP an image reach, and `fastest_possible_ratio` is what the
ratio to torch-fidelity would be at that limit. In the same rounds: bfloat16 features, and one process a core, which is
how scores are made, beside one with all cores.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.config import EvaluationConfig
from framework.evaluation import FeatureSpec, build_extractor, find_weights, resolve_features

TAP = 768
IMAGE_GFLOP = 9.42  # up to that tap, by torch.utils.flop_counter
SHARED = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared"))


def measure(weights: Path, *, rounds: int, images: int, side: int) -> dict[str, Any]:
    """Images a second of both, their ratio in each round, and how far the features lie apart."""
    config = EvaluationConfig.model_validate({"weights": str(weights), "tap": TAP})
    spec = resolve_features(config, assessor_folder=None)
    ours, rounded = (
        build_extractor(dataclasses.replace(spec, precision=precision)) for precision in ("float32", "bfloat16")
    )
    theirs = torch_fidelity(weights)
    pixels = np.random.default_rng(0).integers(0, 256, size=(images, side, side, 3), dtype=np.uint8)
    every = {"torch_fidelity": theirs, "ours": ours, "bfloat16": rounded}
    found = {name: extract(pixels[:32]) for name, extract in every.items()}  # also warms all up
    speeds: dict[str, list[float]] = {name: [] for name in (*every, "a_process_a_core", "gflops")}
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _on_one_thread) as processes:
        shares = np.array_split(pixels, os.cpu_count() or 1)
        list(processes.map(_extract, [spec] * len(shares), shares))  # warm too
        for number in range(rounds):
            for name, extract in list(every.items())[:: 1 if number % 2 else -1]:
                speeds[name].append(images / seconds(lambda extract=extract: extract(pixels)))
            at_once = seconds(lambda: list(processes.map(_extract, [spec] * len(shares), shares)))
            speeds["a_process_a_core"].append(images / at_once)
            speeds["gflops"].append(matrix_product_gflops())
    middle = {name: statistics.median(values) for name, values in speeds.items()}
    ratios = {
        name: [x / y for x, y in zip(speeds[name], speeds["torch_fidelity"], strict=True)]
        for name in ("ours", "a_process_a_core", "bfloat16")
    }
    of_limit = {
        name: statistics.median(IMAGE_GFLOP * x / y for x, y in zip(speeds[name], speeds["gflops"], strict=True))
        for name in ("ours", "a_process_a_core")
    }
    peer = found["torch_fidelity"]
    return {
        "threads": torch.get_num_threads(),
        "images_per_second": {name: round(middle[name], 2) for name in speeds if name != "gflops"},
        "ratio_to_torch_fidelity": {name: round(statistics.median(values), 2) for name, values in ratios.items()},
        "ratios": [round(ratio, 2) for ratio in ratios["ours"]],
        "matrix_product_gflops": round(middle["gflops"], 1),
        "share_of_limit": {name: round(share, 2) for name, share in of_limit.items()},
        "fastest_possible_ratio": round(middle["gflops"] / IMAGE_GFLOP / middle["torch_fidelity"], 2),
        "relative_difference": {
            name: float(np.linalg.norm(found[name] - peer) / np.linalg.norm(peer)) for name in ("ours", "bfloat16")
        },
    }


def torch_fidelity(weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    """torch-fidelity's extractor as its own command drives it."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("peer", [str(TAP)], feature_extractor_weights_path=str(weights))

    def extract(pixels: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().split(32)
        with torch.no_grad():
            return torch.cat([network(part)[0] for part in parts]).numpy()

    return extract


def matrix_product_gflops(size: int = 2048) -> float:
    """Float32, GFLOP a second, by whichever library is the fastest here."""
    a = torch.rand(size, size)
    pixels, kernel = a.view(1, size // 64, 64, size).permute(0, 3, 1, 2), a.view(size, size, 1, 1)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    array = a.numpy()
    ways = (lambda: a @ a, lambda: array @ array, lambda: torch.nn.functional.conv2d(pixels, kernel))
    with torch.inference_mode():
        return 2 * size**3 / min(seconds(way) for way in ways for _ in range(3)) / 1e9


def _on_one_thread() -> None:
    torch.set_num_threads(1)


def _extract(spec: FeatureSpec, pixels: np.ndarray) -> int:
    return len(build_extractor(spec)(pixels))


def seconds(call: Callable[[], object]) -> float:
    """Wall clock of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measures and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="torch-fidelity's file; else the shared one, else torch.hub's")
    for name, default in (("rounds", 5), ("images", 64), ("side", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    shared = SHARED / "weights" / "inception-2015-12-05-to-mixed6e.pth"
    weights = find_weights(arguments.weights or (str(shared) if shared.exists() else None))
    if weights is None:
        print("features: skipped, there are no Inception weights here (--weights FILE)")
        return
    warnings.simplefilter("ignore")
    result = measure(weights, rounds=arguments.rounds, images=arguments.images, side=arguments.side)
    print(json.dumps({"benchmark": "features", **result}, indent=2))


if __name__ == "__main__":
    main()
