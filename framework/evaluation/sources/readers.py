"""Readers of images by number for each kind of source. They check that the source has not changed since the start."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from framework.checkpoint import load_generator
from framework.data import open_store
from framework.errors import EvaluationError
from framework.evaluation.features.resizing import Images
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.sources.files import ImageFiles
from framework.evaluation.sources.packed import side_digest, side_indices
from framework.evaluation.sources.shards import Reader


def generator_reader(location: str, side: ImageSetSpec, *, device: str) -> Reader:
    """A reader of a generator's samples of the side's seed, truncation and class."""
    generator, seed = load_generator(location, device), side.seed or 0
    if generator.digest != side.digest:
        raise EvaluationError(f"{location}: holds a different generator than when the score began")
    generator = generator if side.truncation is None else generator.truncated(side.truncation)
    generator = generator if side.label is None else generator.conditioned({side.label: side.value})
    return lambda start, stop: generator.images(generator.sample_latents(stop - start, seed, start=start))


def files_reader(location: str, side: ImageSetSpec, *, order_seed: int | None) -> Reader:
    """A reader of the images of a folder or archive; it gives a list if they differ in size."""
    files, expected = ImageFiles(Path(location)), side.sampled_from or side.count
    if len(files.names) != expected:
        raise EvaluationError(f"{location}: holds {len(files.names)} images, but {expected} when the score began")

    def choose(numbers: Sequence[int]) -> Images:
        images = [files.image(number) for number in numbers]
        return images if side.height is None else np.stack(images)

    return _in_order(choose, len(files.names), seed=order_seed)


def store_reader(location: str, side: ImageSetSpec, *, order_seed: int | None) -> Reader:
    """A reader of the packed images of the side's split and class."""
    store = open_store(Path(location))
    if side_digest(store, side) != side.digest:
        raise EvaluationError(f"{location}: holds different images than when the score began")
    if side.split == "all" and order_seed is None:
        return lambda start, stop: store.images[start:stop]  # a view: the pixels are not copied
    indices = side_indices(store, side)
    return _in_order(lambda numbers: store.images[indices[numbers]], len(indices), seed=order_seed)


def _in_order(choose: Callable[[Sequence[int]], Images], total: int, *, seed: int | None) -> Reader:
    # NumPy guarantees that RandomState gives the same numbers in all versions, but not that default_rng does.
    order = range(total) if seed is None else np.random.RandomState(seed).permutation(total).tolist()
    return lambda start, stop: choose(order[start:stop])
