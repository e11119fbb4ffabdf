"""Trains the two assessors of a data set: one finds, the other measures, on disjoint halves of its images."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.errors import CheckpointError
from framework.models.assessor.assessor import Assessor
from framework.training.assessor.fit import finished, fit
from framework.training.assessor.labels import Label, usable_labels

# Raised whenever the code would train another network from the same settings: older caches are then not taken.
RECIPE = 2
# The share of images set apart where the data holds none out.
OWN_HELD_OUT = 0.1
PARTS = ("finder", "measurer")
LEFT_OUT = "left_out.json"


@dataclass(frozen=True)
class AssessorPair:
    """Two assessors that have seen no training image in common.

    Attributes:
        finder: Chooses samples and finds directions.
        measurer: Measures what was chosen and found, and gives the features of a score.
        left_out: Label -> why it was not learned.
        folder: Holds them as `finder/` and `measurer/`.
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
    """Train both, or load them where that was done before with the same images, labels and settings.

    Args:
        images: The images with their labels.
        config: What to learn and for how long.
        cache: Where they are kept, under `assessors/`.
        progress: Told how many images have gone through, of how many; not called where they are loaded.
        elsewhere: Trains both, finder first, by `train_half`; None for here, on the CPU.

    Raises:
        ConfigError: Where `assessor.attributes` names a label that the data has not.
        DataError: Where the data has no label that could be learned.
    """
    kept = find_assessors(images, config, cache=cache)
    if kept is not None:
        return kept
    folder = cache / "assessors" / _key(images, config)
    shutil.rmtree(folder, ignore_errors=True)  # damaged, and it can be made again
    halves, held_out = split(images, seed=config.seed)
    labels, left_out = usable_labels(images, config, halves=halves)
    total = 2 * config.images
    if elsewhere is not None:
        made = elsewhere()
    else:
        made = (
            _train(
                images, config, labels, halves[k], held_out, half=k, progress=_from(progress, k * config.images, total)
            )
            for k in range(len(PARTS))
        )
    _keep(folder, dict(zip(PARTS, made, strict=True)), left_out)
    return _load(folder)


def train_half(images: PackedStore, config: AssessorConfig, *, half: int, device: str = "cpu") -> Assessor:
    """One of the two, 0 the finder and 1 the measurer: trained on a device, itself on the CPU.

    Raises:
        ConfigError: See `train_assessors`.
        DataError: Likewise.
    """
    halves, held_out = split(images, seed=config.seed)
    labels, _ = usable_labels(images, config, halves=halves)
    return _train(images, config, labels, halves[half], held_out, half=half, progress=lambda _: None, device=device)


def find_assessors(images: PackedStore, config: AssessorConfig, *, cache: Path) -> AssessorPair | None:
    """What `train_assessors` would load; None where it would have to train. Writes nothing."""
    folder = cache / "assessors" / _key(images, config)
    try:
        return _load(folder) if folder.exists() else None
    except CheckpointError:
        return None


def split(images: PackedStore, *, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Indices of two disjoint halves of the training images, and of those held out from both.

    By what is in a picture, so that copies of one are always on the same side.
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
    network = fit(images, labels, indices=indices, config=config, half=half, progress=progress, device=device)
    return finished(network, images, labels, indices=indices, held_out=held_out, width=config.width)


def _number(seed: int, content_hash: str) -> int:
    """A number below 2**32 that an image draws from a seed, wherever it lies among others."""
    return int.from_bytes(hashlib.sha256(f"{seed} {content_hash}".encode()).digest()[:4], "little")


def _key(images: PackedStore, config: AssessorConfig) -> str:
    """sha256 over all that the two assessors come from."""
    about = {"recipe": RECIPE, "images": images.digest, "labels": images.labels_digest, "settings": config.model_dump()}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _keep(folder: Path, trained: dict[str, Assessor], left_out: dict[str, str]) -> None:
    """Put both in place at once, under a name that was another's until then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-") as room:
        made = Path(room) / "pair"
        for part, assessor in trained.items():
            assessor.save(made / part)
        (made / LEFT_OUT).write_text(json.dumps(left_out, indent=1) + "\n")
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was quicker, with the same
                raise


def _load(folder: Path) -> AssessorPair:
    """What `_keep` put there; CheckpointError where it is damaged."""
    try:
        left_out = json.loads((folder / LEFT_OUT).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: holds no pair of assessors ({error})") from error
    return AssessorPair(*(Assessor.load(folder / part) for part in PARTS), left_out=left_out, folder=folder)


def _from(progress: Callable[[int, int], None] | None, start: int, total: int) -> Callable[[int], None]:
    """Progress of one of the two, told as progress of both."""
    return lambda done: progress(start + done, total) if progress is not None else None
