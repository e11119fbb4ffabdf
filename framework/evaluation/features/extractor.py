"""From images to the features that a score compares: the same for whoever computes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from framework.errors import CheckpointError, EvaluationError
from framework.evaluation.features.inception import CLASSES, Inception
from framework.evaluation.features.resizing import SIDE, Images, ResizeName, resize
from framework.evaluation.features.weights import read_weights
from framework.models.arithmetic.blocks import BLOCK_IMAGES
from framework.models.arithmetic.exact import exact
from framework.models.assessor.assessor import Assessor

# On a CPU a block goes through in slices that its caches hold; just as fixed.
_CPU_SLICE_IMAGES = 8

Compute = Callable[[Images], Tensor]
# As protocols say what happens to the size of an image first.
_RESIZES = {
    "tensorflow2015": f"{SIDE}x{SIDE}, bilinear as TensorFlow did it in 2015, no antialias",
    "clean": f"{SIDE}x{SIDE}, Pillow bicubic with antialias, float32, clipped to [0, 255]",
    "none": "none",
}


@dataclass(frozen=True)
class FeatureSpec:
    """Which features: small, picklable, the key under which they are built and kept.

    Attributes:
        kind: What computes them.
        path: The file of weights, or the assessor's folder.
        digest: sha256 of the file, or the assessor's digest.
        tap: How many features, which for Inception says where they are taken.
        resize_name: What happens to the size of an image first; nothing where the assessor looks at it.
        precision: Of the network.
        logits: Whether the logits of Inception's classes come with the features.
    """

    kind: Literal["inception", "assessor"]
    path: str
    digest: str
    tap: int
    resize_name: ResizeName | Literal["none"] = "tensorflow2015"
    precision: Literal["float32", "bfloat16"] = "float32"
    logits: bool = False

    @property
    def name(self) -> str:
        """As protocols call it."""
        return "inception-2015-12-05" if self.kind == "inception" else "assessor"

    @property
    def resize(self) -> str:
        """What happens to the size of an image first, as protocols say it."""
        return _RESIZES["none" if self.kind == "assessor" else self.resize_name]


class Extractor:
    """Images uint8 -> features [n,d] float32. What it says of one does not depend on the others.

    Images are one array [n,h,w,c], or a list of [h,w,c] that may differ in size where the features resize them.

    Args:
        spec: What it was built from.
        compute: A block of exactly 32 images -> features, then logits where the specification has them, [32,d], on the
            device that computes them.
    """

    def __init__(self, spec: FeatureSpec, compute: Compute) -> None:
        self.spec = spec
        self._compute = compute

    @property
    def feature_size(self) -> int:
        """How many features each image gets."""
        return self.spec.tap

    def __call__(self, images: Images) -> np.ndarray:
        """Features [n,d].

        Raises:
            EvaluationError: Images that these features are not made for, or features that are not finite.
        """
        return np.ascontiguousarray(self._columns(images)[:, : self.spec.tap])

    def with_logits(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Features [n,d] and the logits of the classes [n,1008], without bias, in one pass.

        Raises:
            EvaluationError: As for features alone.
        """
        assert self.spec.logits, "built without logits"
        features, logits = np.split(self._columns(images), [self.spec.tap], axis=1)
        return np.ascontiguousarray(features), np.ascontiguousarray(logits)

    @torch.inference_mode()
    def columns(self, images: Images) -> Tensor:
        """Features, then logits where it has them, [n,d] on the device that computes them, in blocks of 32.

        The last block is filled up with black. None is waited for, so nobody has looked at the numbers: `checked` does.

        Raises:
            EvaluationError: Images that these features are not made for.
        """
        _check(images)
        blocks = (images[start : start + BLOCK_IMAGES] for start in range(0, len(images), BLOCK_IMAGES))
        found = [self._compute(_filled(block))[: len(block)] for block in blocks]
        return torch.cat(found) if found else torch.empty(0, self.spec.tap + CLASSES * self.spec.logits)

    def checked(self, numbers: np.ndarray) -> np.ndarray:
        """The same, of features or of what is made of them.

        Raises:
            EvaluationError: They are not finite.
        """
        if not np.isfinite(numbers).all():
            raise EvaluationError(f"{self.spec.path}: gives features that are not finite at tap {self.spec.tap}")
        return numbers

    @torch.inference_mode()
    def _columns(self, images: Images) -> np.ndarray:
        return self.checked(self.columns(images).cpu().numpy())


@lru_cache(maxsize=2)
def build_extractor(spec: FeatureSpec, device: str = "cpu") -> Extractor:
    """What computes the features; built once a process.

    Raises:
        EvaluationError: The weights are not here, or are others than the specification's.
    """
    if spec.kind == "inception":
        weights, _ = read_weights(spec.path, digest=spec.digest)
        return Extractor(spec, _inception_compute(spec, weights, device=device))
    assessor = load_assessor(spec.path, device=device)
    if assessor.digest != spec.digest:
        raise EvaluationError(f"{spec.path}: holds another assessor ({assessor.digest}) than wanted ({spec.digest})")
    return Extractor(spec, _assessor_compute(assessor))


def load_assessor(folder: str | Path, device: str = "cpu") -> Assessor:
    """The assessor that lies in a folder.

    Raises:
        EvaluationError: There is none that can be read.
    """
    try:
        return Assessor.load(Path(folder), device=device)
    except CheckpointError as fault:
        raise EvaluationError(str(fault)) from None


def _inception_compute(spec: FeatureSpec, weights: Mapping[str, Tensor], *, device: str) -> Compute:
    assert spec.resize_name != "none", "Inception takes one size only"
    how: ResizeName = spec.resize_name
    network = Inception(weights, tap=spec.tap, logits=spec.logits, dtype=getattr(torch, spec.precision), device=device)
    size = BLOCK_IMAGES if network.device.type == "cuda" else _CPU_SLICE_IMAGES

    def compute(block: Images) -> Tensor:
        slices = (block[start : start + size] for start in range(0, BLOCK_IMAGES, size))
        with exact():
            return torch.cat([network(resize(part, how=how, device=network.device)) for part in slices])

    return compute


def _assessor_compute(assessor: Assessor) -> Compute:
    wanted = (assessor.resolution, assessor.resolution, assessor.channels)

    def compute(block: Images) -> Tensor:
        for image in block:
            if image.shape != wanted:
                names = ("x".join(map(str, shape)) for shape in (wanted, image.shape))
                raise EvaluationError("the assessor takes images of {}, not of {}".format(*names))
        return assessor.features_there(np.stack(list(block)))

    return compute


def _check(images: Images) -> None:
    parts, rank = ([images], 4) if isinstance(images, np.ndarray) else (images, 3)
    for part in parts:
        if part.dtype != np.uint8 or part.ndim != rank or part.shape[-1] not in (1, 3):
            wanted = "[n,h,w,1 or 3]" if rank == 4 else "[h,w,1 or 3] each"
            raise EvaluationError(f"features: want uint8 {wanted}, not {part.dtype} {list(part.shape)}")


def _filled(block: Images) -> Images:
    """Exactly 32 images; always copied, since what is mapped from a file cannot become a tensor."""
    black = [np.zeros_like(block[0])] * (BLOCK_IMAGES - len(block))
    return np.stack([*block, *black]) if isinstance(block, np.ndarray) else [*map(np.array, block), *black]
