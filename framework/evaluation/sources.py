"""What `evaluate A B` compares: a folder, archive, packed store or generator, as uint8 images of one size by index."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.generator import generator_folder
from framework.data import PackedStore, open_store
from framework.errors import DataError, EvaluationError
from framework.evaluation.features import FeatureSpec, build_extractor
from framework.evaluation.files import ImageFiles
from framework.evaluation.protocol import ImageSide
from framework.evaluation.score import Reader, shard_moments
from framework.metrics import Moments


@dataclass(frozen=True)
class SourceSpec:
    """One side of a comparison: small, picklable, and what a process opens it by.

    Attributes:
        kind: What lies there.
        location: Path, for a generator also a URI; the same on every node.
        side: What the protocol says of it.
    """

    kind: Literal["files", "store", "generator"]
    location: str
    side: ImageSide


def find_source(location: str, *, samples: int, seed: int) -> SourceSpec:
    """What lies at a location: how many images, of which size, with which content.

    Args:
        location: A folder or archive of images, a packed store, or whatever `load_generator` takes.
        samples: How many images a generator makes; of all else every image is taken.
        seed: Of the generator's latents.

    Raises:
        EvaluationError: Nothing usable lies there, an image is damaged, or two differ in size.
        CheckpointError: A run or checkpoint without a generator that can be read.
    """
    path = Path(location).expanduser()
    if generator_folder(location) is not None or (path / "experiment.yaml").exists():
        return _generator_spec(location, samples=samples, seed=seed)
    if not path.exists():
        raise EvaluationError(f"{location}: is not there")
    path = path.resolve()
    store = _as_store(path)
    return _files_spec(path) if store is None else store_spec(store, split="all")


def store_spec(store: PackedStore, *, split: Literal["training", "all"]) -> SourceSpec:
    """Packed images as a side: those for training, or all."""
    _, height, width, channels = store.images.shape
    count = len(store.images) if split == "all" else len(store.training_indices)
    side = ImageSide(
        count=count, split=split, height=height, width=width, channels=channels, digest=store.digest
    )  # fmt: skip
    return SourceSpec("store", str(store.path), side)


@lru_cache(maxsize=4)
def open_source(spec: SourceSpec, device: str = "cpu") -> Reader:
    """(start, stop) -> images uint8 [n,h,w,c]; opened once a process.

    Raises:
        EvaluationError: Something else lies there by now.
    """
    if spec.kind == "generator":
        return _generator_reader(spec, device=device)
    if spec.kind == "files":
        return _files_reader(spec)
    store = open_store(Path(spec.location))
    if store.digest != spec.side.digest:
        raise EvaluationError(f"{spec.location}: holds other images than when the score began")
    if spec.side.split == "all":
        return lambda start, stop: store.images[start:stop]
    indices = store.training_indices
    return lambda start, stop: store.images[indices[start:stop]]


def source_shard_moments(
    source: SourceSpec, features: FeatureSpec, *, start: int, stop: int, blocks: int = 1, device: str = "cpu"
) -> Moments:
    """Moments of a shard, from two small specifications: what a task on any node is given."""
    reader, extractor = open_source(source, device), build_extractor(features, device)
    return shard_moments(reader, extractor, start=start, stop=stop, blocks=blocks)


def _generator_spec(location: str, *, samples: int, seed: int) -> SourceSpec:
    generator = load_generator(location)
    side = ImageSide(
        count=samples,
        split="generated",
        height=generator.resolution,
        width=generator.resolution,
        channels=generator.channels,  # pyright: ignore[reportArgumentType]  checked by pydantic
        digest=generator.digest,
        seed=seed,
    )
    return SourceSpec("generator", generator.source, side)


def _generator_reader(spec: SourceSpec, *, device: str) -> Reader:
    generator, seed = load_generator(spec.location, device), spec.side.seed or 0
    if generator.digest != spec.side.digest:
        raise EvaluationError(f"{spec.location}: holds another generator than when the score began")
    return lambda start, stop: generator.images(generator.sample_latents(stop - start, seed, start=start))


def _files_spec(path: Path) -> SourceSpec:
    files, digest = ImageFiles(path), hashlib.sha256()
    first: tuple[int, int] | None = None
    for number, name in enumerate(files.names):
        data = files.read(number)
        digest.update(hashlib.sha256(data).digest())
        size = files.size(data, number=number)
        first = first or size
        if size != first:
            raise EvaluationError(
                f"{path}: its images differ in size: {files.names[0]} is {first[0]}x{first[1]}, "
                f"{name} is {size[0]}x{size[1]}; python -m jobs.prepare_data makes them one size"
            )
    if first is None or len(files.names) < 2:
        raise EvaluationError(f"{path}: holds 1 image; a score wants at least 2 on each side")
    side = ImageSide(
        count=len(files.names), split="all", height=first[1], width=first[0], channels=3, digest=digest.hexdigest()
    )
    return SourceSpec("files", str(path), side)


def _files_reader(spec: SourceSpec) -> Reader:
    files = ImageFiles(Path(spec.location))
    if len(files.names) != spec.side.count:
        raise EvaluationError(
            f"{spec.location}: holds {len(files.names)} images, {spec.side.count} when the score began"
        )
    return lambda start, stop: np.stack([files.image(number) for number in range(start, stop)])


def _as_store(path: Path) -> PackedStore | None:
    if not path.is_dir():
        return None
    try:
        return open_store(path)
    except (DataError, OSError):
        return None
