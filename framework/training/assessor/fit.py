"""Trains one assessor: the training loop, its loss, and the accuracy on held-out images."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the customary name
from torch import Tensor

from framework.config import AssessorConfig
from framework.data import PackedStore
from framework.models.arithmetic.blocks import on_device
from framework.models.assessor.assessor import Assessor, AssessorNetwork
from framework.training.assessor.augment import augmented
from framework.training.assessor.labels import Label

BATCH_IMAGES = 64
HIGHEST_RATE = 3e-3
WEIGHT_DECAY = 0.05
# Images from which the means and scales of features are computed.
STATISTICS_IMAGES = 5_000


def fit(
    images: PackedStore,
    labels: list[Label],
    *,
    indices: np.ndarray,
    config: AssessorConfig,
    half: int,
    progress: Callable[[int], None],
    device: str | torch.device = "cpu",
) -> AssessorNetwork:
    """Trains one network on the images at `indices`.

    Args:
        half: 0 for the finder, 1 for the measurer; part of the seed.
        progress: Called with the number of images that have been used.

    Returns:
        The network, on the device. On CPUs the result is bit-identical each time.
    """
    device = torch.device(device)
    rng = np.random.default_rng((config.seed, half))
    steps = max(config.images // BATCH_IMAGES, 2)
    # Initial weights and dropout use the global generators. A GPU's is not restored, since the task's process ends.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        network = AssessorNetwork(
            outputs=sum(label.spec.outputs for label in labels),
            resolution=images.resolution,
            channels=images.channels,
            width=config.width,
            normalised=True,
        )
        network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps, pct_start=0.2)
        for step, chosen in zip(range(steps), _batches(indices, rng), strict=False):
            pictures = on_device(augmented(images.images[chosen], rng), device)
            loss = loss_of(network(pictures)[0], labels, chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress((step + 1) * config.images // steps)
    network.fold()
    return network


def _batches(indices: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields batches of one size endlessly; each pass over the indices has a new random order."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < BATCH_IMAGES:
            waiting = np.concatenate([waiting, rng.permutation(indices)])
        yield waiting[:BATCH_IMAGES]
        waiting = waiting[BATCH_IMAGES:]


def loss_of(logits: Tensor, labels: list[Label], chosen: np.ndarray) -> Tensor:
    """The sum over labels of the mean cross-entropy over images for which the label is known."""
    total = logits.sum() * 0.0  # a loss with a gradient even if no label of the batch is known
    for label, part in zip(labels, torch.split(logits, [label.spec.outputs for label in labels], dim=1), strict=True):
        values = torch.from_numpy(label.values[chosen])
        known = values.isnan().logical_not().nonzero()[:, 0]
        if not len(known):
            continue
        rows, targets = on_device(known, logits.device), on_device(values[known], logits.device)
        if label.spec.classes is None:
            total = total + F.binary_cross_entropy_with_logits(part[rows, 0], targets)
        else:
            total = total + F.cross_entropy(part[rows], targets.long())
    return total


def finished(
    network: AssessorNetwork,
    images: PackedStore,
    labels: list[Label],
    *,
    indices: np.ndarray,
    held_out: np.ndarray,
    width: int,
) -> Assessor:
    """Builds the assessor of a trained network, on the CPU.

    Its features are standardised with its training images, and its accuracy is measured on held-out images. Both are
    computed on the network's device.
    """
    network_device = network.feature_mean.device

    def assessor(accuracy: dict[str, dict[str, Any]], device: str | torch.device = network_device) -> Assessor:
        return Assessor(
            network,
            attributes=[label.spec for label in labels],
            resolution=images.resolution,
            channels=images.channels,
            width=width,
            accuracy=accuracy,
            device=device,
        )

    network.standardise(assessor({}).features(images.images[np.sort(indices[:STATISTICS_IMAGES])]))
    predicted = assessor({}).predict(images.images[held_out])
    accuracy = {label.spec.name: _accuracy(predicted[label.spec.name], label, held_out) for label in labels}
    return assessor(accuracy, "cpu")


def _accuracy(predicted: np.ndarray, label: Label, held_out: np.ndarray) -> dict[str, Any]:
    """The accuracy for one label on held-out images; the value is None if it cannot be computed on them."""
    truth = label.values[held_out]
    known = ~np.isnan(truth)
    probability, target = torch.from_numpy(predicted[known]), torch.from_numpy(truth[known]).long()
    shown = len(target.unique())
    if label.spec.classes is None:
        from torchmetrics.functional.classification import binary_auroc  # a third of a job's time to start

        metric, value = "auroc", float(binary_auroc(probability, target)) if shown == 2 else None
    else:
        metric = "accuracy"
        value = float((probability.argmax(dim=1) == target).double().mean()) if shown else None
    return {"metric": metric, "value": value, "n": int(known.sum())}
