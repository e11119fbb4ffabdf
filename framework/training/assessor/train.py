"""Trains the two assessors of a data set, finder and measurer, on disjoint halves of its images."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.data.locking import locked
from framework.errors import CheckpointError
from framework.files import MOST_DOCUMENT_BYTES, read_file
from framework.models.assessor.assessor import Assessor
from framework.storage.folder import TEMPORARY, storage_errors
from framework.training.assessor.fit import finished, fit
from framework.training.assessor.labels import Label, usable_labels

# Version of the training, raised when the same settings give a different network, so that older caches are not used.
RECIPE = 2
# Share of images that are held out for the assessors if the data has no held-out images.
OWN_HELD_OUT = 0.1
PARTS = ("finder", "measurer")
THREADS = 2
LEFT_OUT = "left_out.json"


@dataclass(frozen=True)
class AssessorPair:
    """Two assessors without a common training image.

    Attributes:
        finder: The assessor for choosing samples and finding directions.
        measurer: The assessor for measuring results, and for the features of scores.
        left_out: Label -> reason why it was not learned.
        folder: The folder that contains them as `finder/` and `measurer/`.
    """

    finder: Assessor
    measurer: Assessor
    left_out: dict[str, str]
    folder: Path


def train_assessors(
    images: PackedStore,
    config: AssessorConfig,
    *,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
    elsewhere: Callable[[], Iterable[Assessor]] | None = None,
) -> AssessorPair:
    """Trains both assessors, or loads them if they exist for the same images, labels and settings.

    Args:
        cache: The assessors are stored in its folder `assessors/`.
        progress: Called with the number of images used so far and their total; not called if they are loaded.
        elsewhere: Trains both with `train_half`, the finder first; None to train in this process, on the CPU.

    Raises:
        ConfigError: `assessor.attributes` names a label that the data does not have.
        DataError: The data has no label that can be learned.
    """
    kept = find_assessors(images, config, cache=cache)
    if kept is not None:
        return kept
    folder = cache / "assessors" / _key(images, config)
    shutil.rmtree(folder, ignore_errors=True)  # if it exists, it is damaged
    halves, held_out = split(images, seed=config.seed)
    labels, left_out = usable_labels(images, config, halves=halves)
    total = 2 * config.images
    if elsewhere is not None:
        trained = elsewhere()
    else:
        trained = (
            _train(
                images, config, labels, halves[k], held_out, half=k, progress=_from(progress, k * config.images, total)
            )
            for k in range(len(PARTS))
        )
    _keep(folder, dict(zip(PARTS, trained, strict=True)), left_out)
    return _load(folder)


def train_half(images: PackedStore, config: AssessorConfig, *, half: int, device: str = "cpu") -> Assessor:
    """Trains one assessor on a device and returns it on the CPU; the errors are those of `train_assessors`.

    Args:
        half: 0 for the finder, 1 for the measurer.
    """
    halves, held_out = split(images, seed=config.seed)
    labels, _ = usable_labels(images, config, halves=halves)
    return _train(images, config, labels, halves[half], held_out, half=half, progress=lambda _: None, device=device)


def find_assessors(images: PackedStore, config: AssessorConfig, *, cache: Path) -> AssessorPair | None:
    """Loads the assessors that `train_assessors` would load; None if they have to be trained. Writes nothing."""
    folder = cache / "assessors" / _key(images, config)
    try:
        return _load(folder) if folder.exists() else None
    except CheckpointError:
        return None


def split(images: PackedStore, *, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Indices of two disjoint halves of the training images, and of the images held out from both.

    The split depends on the content of an image, so that copies of an image are always in the same part.
    """
    numbers = np.array([_number(seed, images.hashes[k]) for k in images.training_indices], np.int64)
    training, held_out = images.training_indices, images.held_out_indices
    if not len(held_out):
        apart = numbers // 2 % 1000 < OWN_HELD_OUT * 1000
        training, held_out, numbers = training[~apart], training[apart], numbers[~apart]
    even = numbers % 2 == 0
    return (training[even], training[~even]), held_out


def _train(
    images: PackedStore,
    config: AssessorConfig,
    labels: list[Label],
    indices: np.ndarray,
    held_out: np.ndarray,
    *,
    half: int,
    progress: Callable[[int], None],
    device: str = "cpu",
) -> Assessor:
    # The order of sums depends on the number of threads, so it is the same on all machines and for jobs of any kind:
    # Ray limits the driver of a submitted job to one thread.
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        network = fit(images, labels, indices=indices, config=config, half=half, progress=progress, device=device)
        return finished(network, images, labels, indices=indices, held_out=held_out, width=config.width)
    finally:
        torch.set_num_threads(threads)


def _number(seed: int, content_hash: str) -> int:
    """A number below 2**32 from the seed and the content of an image, independent of its position."""
    return int.from_bytes(hashlib.sha256(f"{seed} {content_hash}".encode()).digest()[:4], "little")


def _key(images: PackedStore, config: AssessorConfig) -> str:
    """sha256 of everything that determines the two assessors."""
    about = {"recipe": RECIPE, "images": images.digest, "labels": images.labels_digest, "settings": config.model_dump()}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _keep(folder: Path, trained: dict[str, Assessor], left_out: dict[str, str]) -> None:
    """Writes both assessors to a temporary folder and renames it, so that the pair appears atomically."""
    with storage_errors(str(folder), "written"), locked(folder.parent / ".lock") as alone:
        for left in folder.parent.glob(f"{TEMPORARY}*") if alone else ():  # of killed processes
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY) as temporary:
            pair = Path(temporary) / "pair"
            for part, assessor in trained.items():
                assessor.save(pair / part)
            (pair / LEFT_OUT).write_text(json.dumps(left_out, indent=1) + "\n")
            try:
                pair.rename(folder)
            except OSError:
                if not folder.exists():  # otherwise another process was faster with the same result
                    raise


def _load(folder: Path) -> AssessorPair:
    """Reads a pair written by `_keep`; raises `CheckpointError` if it is damaged."""
    try:
        left_out = json.loads(read_file(folder / LEFT_OUT, most_bytes=MOST_DOCUMENT_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder}: cannot be read as a pair of assessors ({error})") from error
    return AssessorPair(*(Assessor.load(folder / part) for part in PARTS), left_out=left_out, folder=folder)


def _from(progress: Callable[[int, int], None] | None, start: int, total: int) -> Callable[[int], None]:
    """Converts the progress of one assessor to the progress of both."""
    return lambda done: progress(start + done, total) if progress is not None else None
