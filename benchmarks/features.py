"""Images a second through FID's Inception: ours beside torch-fidelity's own network, same threads, interleaved.

    python -m benchmarks.features [--weights FILE] [--rounds 5] [--images 64] [--side 64]

Both stop at the tap 768 and get the same uint8 images; torch-fidelity is given them in its batch of 32. The machine's
limit is a large float32 matrix product; the share is what of it the network's 9.42 GFLOP an image reach.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.config import EvaluationConfig
from framework.evaluation import build_extractor, find_weights, resolve_features

TAP = 768
IMAGE_GFLOP = 9.42  # up to that tap, by torch.utils.flop_counter
SHARED = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared"))


def measure(weights: Path, *, rounds: int, images: int, side: int) -> dict[str, Any]:
    """Images a second of both, their ratio in each round, and how far the features lie apart."""
    config = EvaluationConfig.model_validate({"weights": str(weights), "tap": TAP})
    ours = build_extractor(resolve_features(config, assessor_folder=None))
    theirs = torch_fidelity(weights)
    pixels = np.random.default_rng(0).integers(0, 256, size=(images, side, side, 3), dtype=np.uint8)
    a, b = ours(pixels[:32]), theirs(pixels[:32])  # also warms both up
    speeds: dict[str, list[float]] = {"ours": [], "torch_fidelity": [], "gflops": []}
    for number in range(rounds):
        for name, extract in (("ours", ours), ("torch_fidelity", theirs))[:: 1 if number % 2 else -1]:
            speeds[name].append(images / seconds(lambda extract=extract: extract(pixels)))
        speeds["gflops"].append(matrix_product_gflops())
    ratios = [x / y for x, y in zip(speeds["ours"], speeds["torch_fidelity"], strict=True)]
    shares = [IMAGE_GFLOP * x / y for x, y in zip(speeds["ours"], speeds["gflops"], strict=True)]
    return {
        "threads": torch.get_num_threads(),
        "ours_images_per_second": round(statistics.median(speeds["ours"]), 2),
        "torch_fidelity_images_per_second": round(statistics.median(speeds["torch_fidelity"]), 2),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "matrix_product_gflops": round(statistics.median(speeds["gflops"]), 1),
        "share_of_limit": round(statistics.median(shares), 2),
        "relative_difference": float(np.linalg.norm(a - b) / np.linalg.norm(b)),
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
    """Float32, GFLOP a second."""
    a = torch.ones(size, size)
    a @ a
    return 2 * size**3 / seconds(lambda: a @ a) / 1e9


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
