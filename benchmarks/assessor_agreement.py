"""Does the assessor's Fréchet distance rank images as FID-768 does? Spearman's correlation over damaged UTKFace.

    python -m benchmarks.assessor_agreement [resolution] [images] [--more]

Held-out images (500) are damaged in 5 ways at 4 strengths each, and each of the 20 sets is compared with 1,500 training
images by both distances. Neither assessor has seen a held-out image. In training it does see other light, tints, some
noise and a 3x3 blur, with the labels of the face and none of the damage. `--more` adds 8 ways at 2 strengths that
nothing in the assessor was chosen by. 32 pixels take about 10 minutes on 2 cores, nearly all of it Inception's.
"""

import argparse
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.stats import spearmanr

from framework.config import AssessorConfig, DataConfig, EvaluationConfig
from framework.data import PackedStore, prepare
from framework.evaluation import build_extractor, resolve_features
from framework.metrics import Moments, frechet_distance
from framework.training.assessor.train import train_assessors

REFERENCE_IMAGES = 1_500
STRENGTHS = {
    "blur": (0.4, 0.6, 0.9, 1.4),  # Gaussian, pixels at 32 pixels a side
    "noise": (4, 8, 16, 32),  # Gaussian, grey levels
    "jpeg": (80, 50, 25, 10),  # quality
    "colour": (8, 16, 32, 64),  # grey levels added to red and taken from blue
    "diversity": (2, 4, 10, 30),  # each image is there so many times
}
MORE_STRENGTHS = {
    "ghost": (0.15, 0.4),  # share of another face
    "swap": (1, 6),  # pairs of patches, a quarter of the side, that change places
    "contrast": (0.8, 0.5),  # share that is left
    "pixelate": (24, 14),  # pixels a side, at 32
    "warp": (0.8, 2.0),  # pixels that a place moves, at 32
    "checker": (6, 20),  # grey levels
    "salt": (0.01, 0.08),  # share of pixels black or white
    "grey": (0.5, 1.0),  # share of the colour that is lost
}


def damaged(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Images [n,h,w,3] uint8, all damaged alike but for their own draws; the same each time."""
    rng = np.random.default_rng(0)
    if kind in ("blur", "jpeg", "pixelate"):
        return np.stack([np.asarray(ONE_BY_ONE[kind](Image.fromarray(image), strength)) for image in images])
    if kind == "diversity":
        kept = rng.permutation(len(images))[: len(images) // int(strength)]
        return images[kept[np.arange(len(images)) % len(kept)]]
    return np.clip(np.rint(TOGETHER[kind](images.astype(np.float32), strength, rng)), 0, 255).astype(np.uint8)


def _blur(image: Image.Image, strength: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength * image.width / 32))


def _jpeg(image: Image.Image, strength: float) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "jpeg", quality=int(strength))
    return Image.open(file).convert("RGB")


def _pixelate(image: Image.Image, strength: float) -> Image.Image:
    side = round(strength * image.width / 32)
    return image.resize((side, side), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


def _swap(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    cell = images.shape[1] // 4
    for image in images:
        for _ in range(int(strength)):
            (a, b), (c, d) = (tuple(slice(k * cell, (k + 1) * cell) for k in rng.integers(0, 4, 2)) for _ in range(2))
            image[a, b], image[c, d] = image[c, d].copy(), image[a, b].copy()
    return images


def _contrast(images: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + (images - mean) * strength


def _warp(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    side = images.shape[1]
    for image in images:
        moves = gaussian_filter(rng.standard_normal((2, side, side)), (0, side / 10, side / 10))
        places = np.mgrid[:side, :side] + moves * (strength * side / 32 / moves.std())
        for k in range(3):
            image[..., k] = map_coordinates(image[..., k].copy(), places, order=1, mode="reflect")
    return images


def _checker(images: np.ndarray, strength: float, _: np.random.Generator) -> np.ndarray:
    return images + strength * (np.indices(images.shape[1:3]).sum(axis=0) % 2 * 2 - 1)[..., None]


def _salt(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.random((*images.shape[:3], 1))
    return np.where(drawn < strength / 2, 0, np.where(drawn < strength, 255, images))


ONE_BY_ONE: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "blur": _blur,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
}
TOGETHER: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": lambda images, strength, rng: images + rng.normal(0, strength, images.shape),
    "colour": lambda images, strength, _: images + np.array([strength, 0, -strength]),
    "ghost": lambda images, strength, rng: images * (1 - strength) + images[rng.permutation(len(images))] * strength,
    "swap": _swap,
    "contrast": _contrast,
    "warp": _warp,
    "checker": _checker,
    "salt": _salt,
    "grey": lambda images, strength, _: images * (1 - strength) + images.mean(axis=3, keepdims=True) * strength,
}


def points(strengths: dict[str, tuple[float, ...]]) -> Iterator[tuple[str, float]]:
    """Each kind at each of its strengths, the weakest first."""
    for kind, levels in strengths.items():
        for strength in levels:
            yield kind, strength


def correlation(one: dict, other: dict, kinds: dict) -> float:
    """Spearman's, over the points of some kinds."""
    chosen = list(points(kinds))
    return float(spearmanr([one[p] for p in chosen], [other[p] for p in chosen]).statistic)


def measure(store: PackedStore, strengths: dict[str, tuple[float, ...]], *, count: int, cache: Path) -> dict:
    """Extractor's name -> point -> its Fréchet distance from the reference."""
    root = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared"))
    weights = str(root / "weights" / "inception-2015-12-05-to-mixed6e.pth")
    inception = EvaluationConfig(features="inception", weights=weights, tap=768)
    pair = train_assessors(store, AssessorConfig(), cache=cache)
    of_assessor = EvaluationConfig(features="assessor")
    extractors = {
        "FID-768": build_extractor(resolve_features(inception, assessor_folder=None)),
        "measurer": build_extractor(resolve_features(of_assessor, assessor_folder=pair.folder / "measurer")),
        "finder": build_extractor(resolve_features(of_assessor, assessor_folder=pair.folder / "finder")),
    }
    for name, accuracy in pair.measurer.accuracy.items():
        print(f"{name}: {accuracy['metric']} {accuracy['value']:.3f} of {accuracy['n']} held-out images")
    rng = np.random.default_rng(0)
    clean = store.images[np.sort(rng.choice(store.held_out_indices, count, replace=False))]
    training = store.images[np.sort(rng.choice(store.training_indices, REFERENCE_IMAGES, replace=False))]
    references = {name: Moments.of(extract(training)) for name, extract in extractors.items()}
    found: dict = {name: {} for name in extractors}
    print(f"\n{'kind':>10} {'strength':>9} " + " ".join(f"{name:>9}" for name in extractors))
    for kind, strength in [("none", 0), *points(strengths)]:
        images = clean if kind == "none" else damaged(clean, kind, strength)
        for name, extract in extractors.items():
            found[name][kind, strength] = frechet_distance(references[name], Moments.of(extract(images)))
        row = " ".join(f"{found[name][kind, strength]:9.3f}" for name in extractors)
        print(f"{kind:>10} {strength:>9} {row}", flush=True)
    return found


def report(found: dict, names: Sequence[str], strengths: dict, *, more: bool) -> None:
    """Prints how far the extractors with these names agree with FID-768."""
    print("\nSpearman's correlation with FID-768")
    for name in names:
        pooled = correlation(found[name], found["FID-768"], STRENGTHS)
        within = {kind: correlation(found[name], found["FID-768"], {kind: STRENGTHS[kind]}) for kind in STRENGTHS}
        print(f"{name}: pooled {pooled:.3f}; within {', '.join(f'{k} {v:.2f}' for k, v in within.items())}")
        if more:
            others, both = (correlation(found[name], found["FID-768"], kinds) for kinds in (MORE_STRENGTHS, strengths))
            print(f"{name}: pooled over the other kinds {others:.3f}, over all {both:.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolution", nargs="?", type=int, default=32)
    parser.add_argument("images", nargs="?", type=int, default=500)
    parser.add_argument("--more", action="store_true")
    asked = parser.parse_args()
    root = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared")) / "data"
    data = DataConfig.model_validate(
        {
            "path": str(root / "UTKFace-5k.tar"),
            "labels": str(root / "UTKFace-5k-attributes.csv"),
            "resolution": asked.resolution,
            "held_out": 0.2,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        store = prepare(data, cache=Path(folder))
        strengths = {**STRENGTHS, **(MORE_STRENGTHS if asked.more else {})}
        found = measure(store, strengths, count=asked.images, cache=Path(folder))
    report(found, ("measurer", "finder"), strengths, more=asked.more)


if __name__ == "__main__":
    main()
