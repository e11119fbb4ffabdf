"""Does EfficientNet's Fréchet distance rank images as FID-768 does? Spearman's correlation over damaged UTKFace.

    python -m benchmarks.feature_agreement [resolution] [images] [--more]

The damages, their strengths and the choice of images are those of `benchmarks.assessor_agreement`. Every tap is
measured in the same pass, so that the one that scores use can be compared with the others. Most of the time is
Inception's.
"""

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.assessor_agreement import MORE_STRENGTHS, STRENGTHS, damaged, points, report
from framework.config import DataConfig, EvaluationConfig
from framework.data import PackedStore, prepare
from framework.evaluation import build_extractor, resolve_features
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.weights import efficientnet_file, read_efficientnet
from framework.metrics import Moments, frechet_distance
from framework.models.pretrained.efficientnet import SIDE, TAPS, EfficientNetLite

REFERENCE_IMAGES = 1_000
_SLICE = 8


def every_tap() -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Images -> tap's name -> features [n,tap], of one pass."""
    network = EfficientNetLite(read_efficientnet(efficientnet_file()))

    @torch.inference_mode()
    def extract(images: np.ndarray) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {str(tap): [] for tap in TAPS}
        for start in range(0, len(images), _SLICE):
            resized = resize(images[start : start + _SLICE], how="clean", device=network.device, side=SIDE)
            for tap, features in network.walk(resized):
                parts[str(tap)].append(features.numpy())
        return {name: np.concatenate(rows) for name, rows in parts.items()}

    return extract


def measure(store: PackedStore, strengths: dict[str, tuple[float, ...]], *, count: int) -> dict:
    """Extractor's name -> point -> its Fréchet distance from the reference."""
    root = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared"))
    weights = str(root / "weights" / "inception-2015-12-05-to-mixed6e.pth")
    inception = EvaluationConfig(features="inception", weights=weights, tap=768)
    fid = build_extractor(resolve_features(inception, assessor_folder=None))
    ours = every_tap()

    def moments(images: np.ndarray) -> dict[str, Moments]:
        features = {"FID-768": fid(images), **ours(images)}
        return {name: Moments.of(rows) for name, rows in features.items()}

    rng = np.random.default_rng(0)
    clean = store.images[np.sort(rng.choice(store.held_out_indices, count, replace=False))]
    training = store.images[np.sort(rng.choice(store.training_indices, REFERENCE_IMAGES, replace=False))]
    references = moments(training)
    found: dict = {name: {} for name in references}
    print(f"{'kind':>10} {'strength':>9} " + " ".join(f"{name:>9}" for name in found), flush=True)
    for kind, strength in itertools.chain([("none", 0.0)], points(strengths)):
        scored = moments(clean if kind == "none" else damaged(clean, kind, strength))
        for name, reference in references.items():
            found[name][kind, strength] = frechet_distance(reference, scored[name])
        row = " ".join(f"{found[name][kind, strength]:9.4g}" for name in found)
        print(f"{kind:>10} {strength:>9} {row}", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolution", nargs="?", type=int, default=32)
    parser.add_argument("images", nargs="?", type=int, default=300)
    parser.add_argument("--more", action="store_true")
    asked = parser.parse_args()
    root = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared")) / "data"
    keys = {"path": str(root / "UTKFace-5k.tar"), "resolution": asked.resolution, "held_out": 0.2}
    with tempfile.TemporaryDirectory() as folder:
        store = prepare(DataConfig.model_validate(keys), cache=Path(folder))
        strengths = {**STRENGTHS, **(MORE_STRENGTHS if asked.more else {})}
        found = measure(store, strengths, count=asked.images)
    report(found, [str(tap) for tap in TAPS], strengths, more=asked.more)


if __name__ == "__main__":
    main()
