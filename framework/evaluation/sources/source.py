"""Sources of images for scores: a folder, archive, packed store or generator, read by index; or a statistics file."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.generator import generator_folder
from framework.config.code import entry_of
from framework.data import PackedStore, open_store
from framework.errors import DataError, EvaluationError
from framework.evaluation.features.extractor import Extractor, FeatureSpec, build_extractor
from framework.evaluation.features.resizing import SIDE
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.sources.files import ImageFiles, holds_pictures
from framework.evaluation.sources.packed import store_indices
from framework.evaluation.sources.readers import files_reader, generator_reader, store_reader
from framework.evaluation.sources.shards import Reader, shard_columns, shard_moments
from framework.evaluation.sources.statistics_file import check_statistics, read_statistics
from framework.files import check_regular, user_path
from framework.metrics import Moments
from framework.models.arithmetic.exact import kind_of

_NO_IMAGES = "holds statistics, not images; only FID can be computed from them"


@dataclass(frozen=True)
class SourceSpec:
    """Specifies a source of images. It is small and picklable, and every process can open the source from it.

    Attributes:
        kind: The kind of source.
        location: Path, for a generator also a URI; the same on every node.
        side: The side of the protocol that describes its images.
        order_seed: Seed of a random order of the images; None for their own order.
        left_out: Pairs of a reason and the number of files at the location that are left out for it.
    """

    kind: Literal["files", "store", "generator", "statistics"]
    location: str
    side: ImageSetSpec
    order_seed: int | None = None
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def count(self) -> int:
        """Number of images; raises EvaluationError for a file of statistics."""
        if self.kind == "statistics" or self.side.count is None:
            raise EvaluationError(f"{self.location}: {_NO_IMAGES}")
        return self.side.count


def find_source(location: str, *, samples: int, seed: int, mixed: bool = False) -> SourceSpec:
    """Detects the source at a location, with the number, size and digest of its images.

    Args:
        location: A folder or archive of images, a packed store, a file of statistics (.npz), or anything that
            `load_generator` accepts.
        samples: Number of samples of a generator; of other sources all images are used.
        seed: Seed of the generator's latents.
        mixed: Whether images may differ in size, which is allowed if `evaluation.resize` is set.

    Raises:
        EvaluationError: The location holds nothing usable, an image is damaged, or two images differ in size.
        CheckpointError: A run or checkpoint has no readable generator.
    """
    try:
        path = user_path(location)
        check_regular(path)
    except OSError as fault:
        raise EvaluationError(f"{location}: cannot be read ({fault.strerror})") from None
    if entry_of(location) or generator_folder(location) is not None or (path / "experiment.yaml").exists():
        return _generator_spec(location, samples=samples, seed=seed)
    if not path.exists():
        raise EvaluationError(f"{location}: does not exist")
    path = path.resolve()
    if path.suffix == ".npz" and path.is_file() and not holds_pictures(path):
        return _statistics_spec(path)
    store = _as_store(path)
    return _files_spec(path, mixed=mixed) if store is None else store_spec(store, split="all")


def store_spec(store: PackedStore, *, split: Literal["training", "held_out", "all"]) -> SourceSpec:
    """The source of packed images: the training images, the held-out images, or all.

    Raises:
        EvaluationError: There are fewer than 2 images.
    """
    _, height, width, channels = store.images.shape
    count = len(store_indices(store, split))
    if count < 2:
        part = {"training": " for training", "held_out": " held out", "all": ""}[split]
        raise EvaluationError(f"{store.path}: has {count} images{part}; a score needs at least 2")
    side = ImageSetSpec(
        count=count, split=split, height=height, width=width, channels=channels, digest=store.digest
    )  # fmt: skip
    return SourceSpec("store", str(store.path), side)


def drawn(source: SourceSpec, count: int, *, seed: int) -> SourceSpec:
    """A random sample of a source. With the same seed, a smaller sample is a prefix of a larger one.

    Args:
        source: The source; a generator gives the samples of this latent seed instead.
        count: Size of the sample.
        seed: Seed of the order; the side records it if not all images are used.

    Raises:
        EvaluationError: The source has fewer images.
    """
    side = source.side
    if source.kind == "generator":
        return dataclasses.replace(source, side=side.model_copy(update={"count": count, "seed": seed}))
    if source.count < count:
        raise EvaluationError(f"{source.location}: holds {source.count:,} images, but {count:,} are needed")
    if source.count > count:
        side = side.model_copy(update={"count": count, "sampled_from": source.count, "sample_seed": seed})
    return dataclasses.replace(source, side=side, order_seed=seed)


def truncated(source: SourceSpec, truncation: float | None) -> SourceSpec:
    """A generator's samples of latents that are scaled by ψ; None for 1.

    Raises:
        EvaluationError: The source is not a generator, so it has no latents.
    """
    if truncation is None:
        return source
    if source.kind != "generator":
        raise EvaluationError(
            f"evaluation.truncation: {truncation:g} scales the latents of a generator, but {source.location} is none; "
            "must be 1.0 here"
        )
    return dataclasses.replace(source, side=source.side.model_copy(update={"truncation": truncation}))


@lru_cache(maxsize=4)
def open_source(spec: SourceSpec, device: str = "cpu") -> Reader:
    """Opens a source: (start, stop) -> images uint8 [n,h,w,c]; cached per process.

    Raises:
        EvaluationError: The source has changed since it was specified.
    """
    if spec.kind == "generator":
        return generator_reader(spec.location, spec.side, device=device)
    if spec.kind == "files":
        return files_reader(spec.location, spec.side, order_seed=spec.order_seed)
    if spec.kind == "store":
        return store_reader(spec.location, spec.side, order_seed=spec.order_seed)
    raise EvaluationError(f"{spec.location}: {_NO_IMAGES}")


def statistics_moments(source: SourceSpec, features: FeatureSpec) -> Moments:
    """Moments from a file of statistics; no extractor is needed.

    Raises:
        EvaluationError: They belong to other features, or the file has changed since the score began.
    """
    statistics = read_statistics(Path(source.location))
    if statistics.digest != source.side.digest:
        raise EvaluationError(f"{source.location}: has changed since the score began")
    check_statistics(statistics, features, place=source.location)
    return statistics.moments


def _on_cpu() -> str:
    return "cpu"


def source_shard_features(
    source: SourceSpec,
    features: FeatureSpec,
    start: int,
    stop: int,
    blocks: int = 1,
    device_of_task: Callable[[], str] = _on_cpu,
) -> np.ndarray:
    """Features of images start to stop of a source, which a worker on any node opens from its specification.

    Args:
        source: Its `side` has the type of GPU that this process must have.
        start: First image, a multiple of 32.
        stop: One past the last image.
        blocks: How many blocks of 32 images are held at a time; the result does not depend on it.
        device_of_task: Gives the device of this process.

    Returns:
        [n,d] float32; with the logits appended, [n,d+1008], if the specification has logits.

    Raises:
        EvaluationError: This process has another type of device, or a feature is not finite.
    """
    read, extractor = _opened(source, features, device_of_task())
    columns = shard_columns(read, extractor, start=start, stop=stop, blocks=blocks)
    return extractor.checked(columns.cpu().numpy())


def source_shard_moments(
    source: SourceSpec,
    features: FeatureSpec,
    start: int,
    stop: int,
    blocks: int = 1,
    device_of_task: Callable[[], str] = _on_cpu,
) -> Moments:
    """Moments of the features that `source_shard_features` computes, summed shard by shard."""
    read, extractor = _opened(source, features, device_of_task())
    return shard_moments(read, extractor, start=start, stop=stop, blocks=blocks)


def _opened(source: SourceSpec, features: FeatureSpec, device: str) -> tuple[Reader, Extractor]:
    """A source's images and the extractor, on the device of this process.

    Protocols and names of feature files contain the type of device, so it must be the one of the source's side.

    Raises:
        EvaluationError: Its type is not the one in the source's side.
    """
    here, expected = kind_of(device), source.side.device
    if here != expected:
        raise EvaluationError(
            f"features: a process has {here or 'no GPU'}, but its pool has {expected or 'none'}; try again, or use "
            "evaluation.gpus_per_worker=0"
        )
    return open_source(source, device), build_extractor(features, device)


def _generator_spec(location: str, *, samples: int, seed: int) -> SourceSpec:
    generator = load_generator(location)
    side = ImageSetSpec(
        count=samples,
        split="generated",
        height=generator.resolution,
        width=generator.resolution,
        channels=generator.channels,  # pyright: ignore[reportArgumentType]  checked by pydantic
        digest=generator.digest,
        seed=seed,
    )
    return SourceSpec("generator", generator.source, side)


def _statistics_spec(path: Path) -> SourceSpec:
    statistics = read_statistics(path)
    side = ImageSetSpec(
        count=statistics.count, split="statistics", height=None, width=None, channels=3, digest=statistics.digest
    )  # fmt: skip
    return SourceSpec("statistics", str(path), side)


def _files_spec(path: Path, *, mixed: bool) -> SourceSpec:
    files, digest = ImageFiles(path), hashlib.sha256()
    first, other = None, None
    for number, name in enumerate(files.names):
        data = files.read(number)
        digest.update(hashlib.sha256(data).digest())
        size = files.size(data, number=number)
        first = first or size
        other = other or ((name, size) if size != first else None)
        if other and not mixed:
            raise EvaluationError(
                f"{path}: its images differ in size: {files.names[0]} is {first[0]}x{first[1]}, "
                f"{name} is {size[0]}x{size[1]}; evaluation.resize=clean (or tensorflow2015) resizes each of them to "
                f"{SIDE}x{SIDE}, python -m jobs.prepare_data makes them one size"
            )
    if first is None or len(files.names) < 2:
        raise EvaluationError(f"{path}: holds 1 image; a score needs at least 2 on each side")
    width, height = (None, None) if other else first
    side = ImageSetSpec(
        count=len(files.names), split="all", height=height, width=width, channels=3, digest=digest.hexdigest()
    )
    return SourceSpec("files", str(path), side, left_out=tuple(files.left_out.items()))


def _as_store(path: Path) -> PackedStore | None:
    if not path.is_dir():
        return None
    try:
        return open_store(path)
    except (DataError, OSError):
        return None
