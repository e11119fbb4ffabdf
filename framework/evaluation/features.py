"""From images to the features that a score compares: which ones, and the same for whoever computes them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from framework.config import EvaluationConfig
from framework.errors import CheckpointError, EvaluationError
from framework.evaluation.inception import SIDE, Inception
from framework.evaluation.weights import find_weights, how_to_get_weights, read_weights
from framework.models.assessor import Assessor

# A network's rounding depends on how many go through it at a time: always so many, so that it never shows.
BLOCK_IMAGES = 32
# On a CPU a block goes through in slices that its caches hold; just as fixed.
_CPU_SLICE_IMAGES = 8

Compute = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureSpec:
    """Which features: small, picklable, the key under which they are built and kept.

    Attributes:
        kind: What computes them.
        path: The file of weights, or the assessor's folder.
        digest: sha256 of the file, or the assessor's digest.
        tap: How many features, which for Inception says where they are taken.
        resize_name: What happens to an image's size before; an assessor's images have the right one.
        precision: Of the network.
        logits: Whether the logits of the classes come with the features.
    """

    kind: Literal["inception", "assessor"]
    path: str
    digest: str
    tap: int
    resize_name: Literal["tensorflow2015", "clean", "none"] = "tensorflow2015"
    precision: Literal["float32", "bfloat16"] = "float32"
    logits: bool = False

    @property
    def name(self) -> str:
        """As protocols call it."""
        return "inception-2015-12-05" if self.kind == "inception" else "assessor"

    @property
    def resize(self) -> str:
        """What happens to the size of an image first."""
        if self.kind == "inception":
            return f"{SIDE}x{SIDE}, bilinear as TensorFlow did it in 2015, no antialias"
        return "none"

    def metric(self, generated: int) -> str:
        """The name of the Fréchet distance on these features with so many generated images: `fid5k_768`."""
        if self.kind == "assessor":
            return "assessor_frechet_distance"
        return f"fid{f'{generated // 1000}k' if generated % 1000 == 0 else generated}_{self.tap}"


class Extractor:
    """Images uint8 [n,h,w,c] -> features [n,d] float32. What it says of one does not depend on the others.

    Args:
        spec: What it was built from.
        compute: The same for a block of exactly 32 images.
    """

    def __init__(self, spec: FeatureSpec, compute: Compute) -> None:
        self.spec = spec
        self._compute = compute

    @property
    def feature_size(self) -> int:
        """How many features each image gets."""
        return self.spec.tap

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """In blocks of 32, the last one filled up with black.

        Raises:
            EvaluationError: Images that these features are not made for, or features that are not finite.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise EvaluationError(f"features: want uint8 [n,h,w,1 or 3], not {images.dtype} {list(images.shape)}")
        features = np.empty((len(images), self.feature_size), np.float32)
        for start in range(0, len(images), BLOCK_IMAGES):
            block = images[start : start + BLOCK_IMAGES]
            filled = np.zeros((BLOCK_IMAGES, *images.shape[1:]), np.uint8)
            filled[: len(block)] = block
            features[start : start + len(block)] = self._compute(filled)[: len(block)]
        if not np.isfinite(features).all():
            raise EvaluationError(f"{self.spec.path}: gives features that are not finite at tap {self.spec.tap}")
        return features


def resolve_features(config: EvaluationConfig, *, assessor_folder: str | Path | None) -> FeatureSpec:
    """Which features `evaluation.features` and `evaluation.tap` stand for here.

    Args:
        config: The evaluation section.
        assessor_folder: The folder of the assessor that measures, where there is one.

    Raises:
        EvaluationError: What is asked for is not here, or not finite at the wanted tap.
    """
    if config.features != "assessor":
        weights = find_weights(config.weights)
        if weights is not None:
            return _inception_spec(weights, tap=config.tap)
        if config.features == "inception" or assessor_folder is None:
            raise EvaluationError(
                f"evaluation.features: {config.features}, but no weights are here; {how_to_get_weights()}"
            )
    if assessor_folder is None:
        raise EvaluationError(
            "evaluation.features: assessor, but there is none: it wants images with labels (data.labels), "
            "or evaluation.weights for FID"
        )
    assessor = _load_assessor(assessor_folder)
    return FeatureSpec("assessor", str(Path(assessor_folder).resolve()), assessor.digest, assessor.feature_size)


@lru_cache(maxsize=2)
def build_extractor(spec: FeatureSpec, device: str = "cpu") -> Extractor:
    """What computes the features; built once a process.

    Raises:
        EvaluationError: The weights are not here, or are others than the specification's.
    """
    if spec.kind == "inception":
        weights, _ = read_weights(spec.path, digest=spec.digest)
        return Extractor(spec, _inception_compute(Inception(weights, tap=spec.tap, device=device)))
    assessor = _load_assessor(spec.path, device=device)
    if assessor.digest != spec.digest:
        raise EvaluationError(f"{spec.path}: holds another assessor ({assessor.digest}) than wanted ({spec.digest})")
    return Extractor(spec, _assessor_compute(assessor))


def _inception_spec(path: Path, *, tap: Literal["auto", 64, 192, 768, 2048]) -> FeatureSpec:
    weights, digest = read_weights(path)
    noise = np.random.default_rng(0).integers(0, 256, size=(1, 64, 64, 3), dtype=np.uint8)
    try:
        walked = list(Inception(weights, tap=2048).walk(torch.from_numpy(noise)))
    except (KeyError, RuntimeError) as fault:
        raise EvaluationError(f"{path}: its weights do not fit the Inception of 2015-12-05 ({fault})") from None
    finite = [size for size, features in walked if features.shape[1] == size and bool(features.isfinite().all())]
    if not finite:
        raise EvaluationError(f"{path}: its weights give no finite features at any tap")
    if tap not in ("auto", *finite):
        raise EvaluationError(
            f"evaluation.tap: {tap} gives features that are not finite with {path}; "
            f"finite are {', '.join(map(str, finite))}"
        )
    return FeatureSpec("inception", str(path), digest, max(finite) if tap == "auto" else tap)


def _inception_compute(network: Inception) -> Compute:
    on_gpu = network.device.type == "cuda"
    size = BLOCK_IMAGES if on_gpu else _CPU_SLICE_IMAGES

    def compute(block: np.ndarray) -> np.ndarray:
        colour = np.repeat(block, 3, axis=3) if block.shape[3] == 1 else block
        slices = torch.from_numpy(colour).split(size)
        # TF32 rounds to 10 bits, and a search for the quickest algorithm may end otherwise the next time.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return torch.cat([network(part) for part in slices]).cpu().numpy()

    return compute


def _assessor_compute(assessor: Assessor) -> Compute:
    wanted = (assessor.resolution, assessor.resolution, assessor.channels)

    def compute(block: np.ndarray) -> np.ndarray:
        if block.shape[1:] != wanted:
            names = ("x".join(map(str, shape)) for shape in (wanted, block.shape[1:]))
            raise EvaluationError("the assessor takes images of {}, not of {}".format(*names))
        return assessor.features(block)

    return compute


def _load_assessor(folder: str | Path, device: str = "cpu") -> Assessor:
    try:
        return Assessor.load(Path(folder), device=device)
    except CheckpointError as fault:
        raise EvaluationError(str(fault)) from None
