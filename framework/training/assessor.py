"""Trains the two assessors of a data set: one finds, the other measures, on disjoint halves of its images."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.errors import CheckpointError
from framework.models.assessor import Assessor, AssessorNetwork
from framework.training.assessor_augment import augmented
from framework.training.assessor_labels import Label, usable_labels

# Raised whenever the code would train another network from the same settings: older caches are then not taken.
RECIPE = 1
BATCH_IMAGES = 64
HIGHEST_RATE = 3e-3
WEIGHT_DECAY = 0.05
# So many images tell a feature's mean and scale well enough.
STATISTICS_IMAGES = 5_000
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
    images: PackedStore, config: AssessorConfig, *, cache: Path, progress: Callable[[int, int], None] | None = None
) -> AssessorPair:
    """Train both, or load them where that was done before with the same images, labels and settings.

    Args:
        images: The images with their labels.
        config: What to learn and for how long.
        cache: Where they are kept, under `assessors/`.
        progress: Told how many images have gone through, of how many; not called where they are loaded.

    Raises:
        ConfigError: Where `assessor.attributes` names a label that the data has not.
        DataError: Where the data has no label that could be learned.
    """
    folder = cache / "assessors" / _key(images, config)
    if folder.exists():
        try:
            return _load(folder)
        except CheckpointError:
            shutil.rmtree(folder)  # damaged, and it can be made again
    halves, held_out = split(images, seed=config.seed)
    labels, left_out = usable_labels(images, config, halves=halves)
    total = 2 * config.images
    trained: dict[str, Assessor] = {}
    for k, part in enumerate(PARTS):
        done = _from(progress, k * config.images, total)
        network = _fit(images, labels, indices=halves[k], config=config, half=k, progress=done)
        trained[part] = _finished(network, images, labels, indices=halves[k], held_out=held_out, width=config.width)
    _keep(folder, trained, left_out)
    return _load(folder)


def split(images: PackedStore, *, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Indices of two disjoint halves of the training images, and of those held out from both.

    By what is in a picture, so that copies of one are always on the same side.
    """
    salt = seed.to_bytes(8, "little")
    numbers = np.array(
        [
            int.from_bytes(hashlib.blake2b(images.images[k].tobytes(), digest_size=8, salt=salt).digest(), "little")
            for k in images.training_indices
        ],
        np.uint64,
    )
    training, held_out = images.training_indices, images.held_out_indices
    if not len(held_out):
        apart = (numbers >> np.uint64(1)) % np.uint64(1000) < OWN_HELD_OUT * 1000
        training, held_out, numbers = training[~apart], training[apart], numbers[~apart]
    even = numbers % np.uint64(2) == 0
    return (training[even], training[~even]), held_out


def _fit(
    images: PackedStore,
    labels: list[Label],
    *,
    indices: np.ndarray,
    config: AssessorConfig,
    half: int,
    progress: Callable[[int], None],
) -> AssessorNetwork:
    """One network trained on the images at `indices`."""
    rng = np.random.default_rng((config.seed, half))
    steps = max(config.images // BATCH_IMAGES, 2)
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout draw from the global generator
        torch.manual_seed(int(rng.integers(2**63)))
        network = AssessorNetwork(
            outputs=sum(label.spec.outputs for label in labels),
            resolution=images.resolution,
            channels=images.channels,
            width=config.width,
            normalised=True,
        ).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps, pct_start=0.2)
        for step, chosen in zip(range(steps), _batches(indices, rng), strict=False):
            loss = _loss(network(augmented(images.images[chosen], rng))[0], labels, chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress((step + 1) * config.images // steps)
    network.fold()
    return network


def _batches(indices: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of one size without end, each pass over the indices in another order."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < BATCH_IMAGES:
            waiting = np.concatenate([waiting, rng.permutation(indices)])
        yield waiting[:BATCH_IMAGES]
        waiting = waiting[BATCH_IMAGES:]


def _loss(logits: Tensor, labels: list[Label], chosen: np.ndarray) -> Tensor:
    """The sum over labels of each one's mean cross-entropy over the images where it is known."""
    total = logits.sum() * 0.0  # a batch may know no label at all
    for label, part in zip(labels, torch.split(logits, [label.spec.outputs for label in labels], dim=1), strict=True):
        values = torch.from_numpy(label.values[chosen])
        known = ~values.isnan()
        if not known.any():
            continue
        if label.spec.classes is None:
            total = total + F.binary_cross_entropy_with_logits(part[known, 0], values[known])
        else:
            total = total + F.cross_entropy(part[known], values[known].long())
    return total


def _finished(
    network: AssessorNetwork,
    images: PackedStore,
    labels: list[Label],
    *,
    indices: np.ndarray,
    held_out: np.ndarray,
    width: int,
) -> Assessor:
    """The assessor of a trained network: features standardised by its own images, accuracy by those held out."""

    def assessor(accuracy: dict[str, dict[str, Any]]) -> Assessor:
        return Assessor(
            network,
            attributes=[label.spec for label in labels],
            resolution=images.resolution,
            channels=images.channels,
            width=width,
            accuracy=accuracy,
        )

    network.standardise(assessor({}).features(images.images[np.sort(indices[:STATISTICS_IMAGES])]))
    told = assessor({}).predict(images.images[held_out])
    return assessor({label.spec.name: _accuracy(told[label.spec.name], label, held_out) for label in labels})


def _accuracy(told: np.ndarray, label: Label, held_out: np.ndarray) -> dict[str, Any]:
    """How well one label is told on held-out images; the value is None where they do not show it."""
    truth = label.values[held_out]
    known = ~np.isnan(truth)
    probability, target = torch.from_numpy(told[known]), torch.from_numpy(truth[known]).long()
    shown = len(target.unique())
    if label.spec.classes is None:
        metric, value = "auroc", float(binary_auroc(probability, target)) if shown == 2 else None
    else:
        metric = "accuracy"
        value = float((probability.argmax(dim=1) == target).double().mean()) if shown else None
    return {"metric": metric, "value": value, "n": int(known.sum())}


def _key(images: PackedStore, config: AssessorConfig) -> str:
    """sha256 over all that the two assessors come from."""
    found = hashlib.sha256()
    about = {"recipe": RECIPE, "data": images.digest, "classes": images.label_classes, "settings": config.model_dump()}
    found.update(
        json.dumps({**about, "resolution": images.resolution, "channels": images.channels}, sort_keys=True).encode()
    )
    for name in sorted(images.labels):
        found.update(name.encode() + np.ascontiguousarray(images.labels[name], np.float32).tobytes())
    found.update(np.ascontiguousarray(images.held_out).tobytes())
    return found.hexdigest()


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
