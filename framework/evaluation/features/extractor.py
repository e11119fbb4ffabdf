"""Extracts the features that scores compare. The features of an image do not depend on the process or the batch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from framework.config.metrics import FeatureKind, NetworkName
from framework.errors import CheckpointError, EvaluationError
from framework.evaluation.features.function import function_compute
from framework.evaluation.features.inception import CLASSES, Inception
from framework.evaluation.features.resizing import SIDE, Images, ResizeName, resize
from framework.evaluation.features.transformer import VisionTransformer
from framework.evaluation.features.weights import read_efficientnet, read_transformer, read_weights
from framework.models.arithmetic.blocks import BLOCK_IMAGES
from framework.models.arithmetic.exact import exact
from framework.models.assessor.assessor import Assessor
from framework.models.pretrained import efficientnet

# On a CPU a block is processed in slices that fit into its caches. Their size is fixed, so results do not vary.
_CPU_SLICE_IMAGES = 8

Compute = Callable[[Images], Tensor]
# The descriptions of resizing in protocols; scores compare by them, so they never change.
_RESIZES = {
    "tensorflow2015": "{side}x{side}, bilinear as TensorFlow did it in 2015, no antialias",
    "clean": "{side}x{side}, Pillow bicubic with antialias, float32, clipped to [0, 255]",
    "none": "none",
}
NAMES: dict[NetworkName, str] = {
    "inception": "inception-2015-12-05",
    "efficientnet": "efficientnet-lite2",
    "assessor": "assessor",
}


@dataclass(frozen=True)
class FeatureSpec:
    """Specifies features. It is small and picklable, and the key under which extractors and features are cached.

    Attributes:
        kind: The kind of network that computes them.
        path: The file of weights, the assessor's folder, or the `package.module:function`.
        digest: sha256 of the file, the assessor's digest, or that of the function.
        tap: Number of features; unless an assessor computes them, this also determines the layer they are taken from.
        resize_name: How images are resized first; "none" for an assessor and for a function.
        precision: Precision of the network.
        logits: Whether the logits of Inception's classes are computed too.
        network: The name of the architecture in a file of the user; empty otherwise.
        side: The side of the images that this architecture takes.
    """

    kind: FeatureKind
    path: str
    digest: str
    tap: int
    resize_name: ResizeName | Literal["none"] = "tensorflow2015"
    precision: Literal["float32", "bfloat16"] = "float32"
    logits: bool = False
    network: str = ""
    side: int = 0

    @property
    def name(self) -> str:
        """The name of the extractor in protocols."""
        if self.kind == "file":
            return self.network
        return self.path if self.kind == "function" else NAMES[self.kind]

    @property
    def prefix(self) -> str:
        """How the names of scores begin, unless Inception computes the features.

        >>> FeatureSpec("function", "mine.nets:embed_2", "0" * 64, 64, "none").prefix
        'function_embed2'
        """
        if self.kind not in ("function", "file"):
            return self.kind
        named = self.network if self.kind == "file" else self.path.rpartition(":")[2]
        return f"{self.kind}_{re.sub(r'[^a-z0-9]', '', named.lower()) or 'unnamed'}"

    @property
    def files(self) -> tuple[str, ...]:
        """The file or folder that a process which computes the features reads; none for a function."""
        return () if self.kind == "function" else (self.path,)

    @property
    def resize(self) -> str:
        """The description of resizing in protocols."""
        side = self.side or (SIDE if self.kind == "inception" else efficientnet.SIDE)
        return _RESIZES["none" if self.kind == "assessor" else self.resize_name].format(side=side)


class Extractor:
    """Computes features [n,d] float32 of uint8 images. The features of an image do not depend on the other images.

    Images are one array [n,h,w,c], or a list of [h,w,c], which may differ in size if the features include a resize.

    Args:
        spec: The specification that it was built from.
        compute: Maps a block of exactly 32 images to features [32,d], followed by logits if the specification has them,
            on the device that computes them.
    """

    def __init__(self, spec: FeatureSpec, compute: Compute) -> None:
        self.spec = spec
        self._compute = compute

    @property
    def feature_size(self) -> int:
        """Number of features per image."""
        return self.spec.tap

    def __call__(self, images: Images) -> np.ndarray:
        """Features [n,d].

        Raises:
            EvaluationError: The images do not fit these features, or a feature is not finite.
        """
        return np.ascontiguousarray(self._columns(images)[:, : self.spec.tap])

    def with_logits(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Features [n,d] and the logits of the classes [n,1008], without bias, in one pass.

        Raises:
            EvaluationError: The images do not fit these features, or a number is not finite.
        """
        assert self.spec.logits, "built without logits"
        features, logits = np.split(self._columns(images), [self.spec.tap], axis=1)
        return np.ascontiguousarray(features), np.ascontiguousarray(logits)

    @torch.inference_mode()
    def columns(self, images: Images) -> Tensor:
        """Features, followed by logits if the specification has them, [n,d] on the device that computes them.

        Images are processed in blocks of 32; the last one is padded with black images. The computation on a GPU may
        still be running, so the numbers are not checked here; `checked` does that.

        Raises:
            EvaluationError: The images do not fit these features.
        """
        _check(images)
        blocks = (images[start : start + BLOCK_IMAGES] for start in range(0, len(images), BLOCK_IMAGES))
        columns = [self._compute(_filled(block))[: len(block)] for block in blocks]
        return torch.cat(columns) if columns else torch.empty(0, self.spec.tap + CLASSES * self.spec.logits)

    def checked(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the numbers, which are features or computed from features.

        Raises:
            EvaluationError: A number is not finite.
        """
        if not np.isfinite(numbers).all():
            raise EvaluationError(f"{self.spec.path}: gives features that are not finite at tap {self.spec.tap}")
        return numbers

    @torch.inference_mode()
    def _columns(self, images: Images) -> np.ndarray:
        return self.checked(self.columns(images).cpu().numpy())


@lru_cache(maxsize=2)
def build_extractor(spec: FeatureSpec, device: str = "cpu") -> Extractor:
    """The extractor of these features; cached per process.

    Raises:
        EvaluationError: The weights are missing, or differ from those of the specification.
    """
    if spec.kind == "inception":
        weights, _ = read_weights(spec.path, digest=spec.digest)
        return Extractor(spec, _inception_compute(spec, weights, device=device))
    if spec.kind == "efficientnet":
        return Extractor(spec, _efficientnet_compute(spec, read_efficientnet(spec.path), device=device))
    if spec.kind == "file":
        return Extractor(
            spec, _transformer_compute(spec, read_transformer(spec.path, digest=spec.digest)[0], device=device)
        )
    if spec.kind == "function":
        return Extractor(spec, function_compute(spec.path, tap=spec.tap))
    assessor = load_assessor(spec.path, device=device)
    if assessor.digest != spec.digest:
        raise EvaluationError(f"{spec.path}: holds assessor {assessor.digest}; expected {spec.digest}")
    return Extractor(spec, _assessor_compute(assessor))


def load_assessor(folder: str | Path, device: str = "cpu") -> Assessor:
    """The assessor in a folder.

    Raises:
        EvaluationError: The folder holds no readable assessor.
    """
    try:
        return Assessor.load(Path(folder), device=device)
    except CheckpointError as fault:
        raise EvaluationError(str(fault)) from None


def _inception_compute(spec: FeatureSpec, weights: Mapping[str, Tensor], *, device: str) -> Compute:
    assert spec.resize_name != "none", "Inception takes one size only"
    how: ResizeName = spec.resize_name
    network = Inception(weights, tap=spec.tap, logits=spec.logits, dtype=getattr(torch, spec.precision), device=device)
    return _in_slices(lambda part: network(resize(part, how=how, device=network.device)), device=network.device)


def _efficientnet_compute(spec: FeatureSpec, weights: Mapping[str, Tensor], *, device: str) -> Compute:
    network = efficientnet.EfficientNetLite(weights, tap=spec.tap, device=device)
    side = efficientnet.SIDE
    return _in_slices(
        lambda part: network(resize(part, how="clean", device=network.device, side=side)), device=network.device
    )


def _transformer_compute(spec: FeatureSpec, weights: Mapping[str, Tensor], *, device: str) -> Compute:
    assert spec.resize_name != "none", "a transformer takes one size only"
    how: ResizeName = spec.resize_name
    network = VisionTransformer(weights, device=device)
    return _in_slices(
        lambda part: network(resize(part, how=how, device=network.device, side=spec.side)), device=network.device
    )


def _in_slices(compute_slice: Compute, *, device: torch.device) -> Compute:
    size = BLOCK_IMAGES if device.type == "cuda" else _CPU_SLICE_IMAGES

    def compute(block: Images) -> Tensor:
        slices = (block[start : start + size] for start in range(0, BLOCK_IMAGES, size))
        with exact():
            return torch.cat([compute_slice(part) for part in slices])

    return compute


def _assessor_compute(assessor: Assessor) -> Compute:
    expected = (assessor.resolution, assessor.resolution, assessor.channels)

    def compute(block: Images) -> Tensor:
        for image in block:
            if image.shape != expected:
                names = ("x".join(map(str, shape)) for shape in (expected, image.shape))
                raise EvaluationError("the assessor needs images of {}, not of {}".format(*names))
        return assessor.features_there(np.stack(list(block)))

    return compute


def _check(images: Images) -> None:
    parts, rank = ([images], 4) if isinstance(images, np.ndarray) else (images, 3)
    for part in parts:
        if part.dtype != np.uint8 or part.ndim != rank or part.shape[-1] not in (1, 3):
            expected = "[n,h,w,1 or 3]" if rank == 4 else "[h,w,1 or 3] each"
            raise EvaluationError(f"features: images must be uint8 {expected}, not {part.dtype} {list(part.shape)}")


def _filled(block: Images) -> Images:
    """Pads to exactly 32 images. They are always copied, since a read-only map of a file cannot become a tensor."""
    black = [np.zeros_like(block[0])] * (BLOCK_IMAGES - len(block))
    return np.stack([*block, *black]) if isinstance(block, np.ndarray) else [*map(np.array, block), *black]
