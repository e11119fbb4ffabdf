"""The score that says whether the augmentations of a training leak into its samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.data import open_store
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import TaskPool
from framework.runs import RunFolder
from framework.training.leak import (
    SAMPLES,
    SEED,
    TRAINING_IMAGES,
    WARNING_SHARE,
    Leak,
    leak_classifier,
    measured_leak,
    plain_images,
    traceable,
)

METRIC = "augmentation_leak"
_VERSION = 1  # of classifier and augmentation
_LEAST_TOLD = 0.5  # of a classifier: its share among augmented images less that among plain ones


def leak_operations(run: RunFolder, target: CheckpointRef) -> list[str]:
    """The operations that may have leaked into the samples of a checkpoint; empty if there are none to look for."""
    if target.entry is not None:
        return []
    objective = run.trained_by(target.checkpoint).objective
    return traceable(objective.augmentations) if objective.augmentation_probability != 0.0 else []


def augmentation_leaks(context: RunContext, targets: Sequence[CheckpointRef]) -> list[dict[str, Any]]:
    """The leak of each checkpoint that was trained with augmentation; kept in scores.json and not computed twice."""
    scores, missing = [], []
    for target in targets:
        operations = leak_operations(context.run, target)
        if not operations:
            continue
        digest, protocol = load_generator(target.location).digest, _protocol(context, operations)
        about = {"metric": METRIC, "checkpoint": target.checkpoint, "generator": digest, "protocol": protocol}
        known = (score for score in context.run.scores() if all(score.get(key) == about[key] for key in about))
        score = next(known, None)
        scores.append(about if score is None else score)
        if score is None:
            missing.append((target, operations, about))
    if missing:
        _measure(context, missing)
    for score in scores:
        _warn(context, score)
    return scores


def _measure(context: RunContext, missing: Sequence[tuple[CheckpointRef, list[str], dict[str, Any]]]) -> None:
    """Fills the scores, with a task on one core for each classifier and for each checkpoint."""
    path, seed = str(context.images.path), context.experiment.evaluation.seed
    pool = TaskPool(context.task_resources(on_cpus=True), context.node_files(context.images.path))
    chosen = list(dict.fromkeys(tuple(operations) for _, operations, _ in missing))
    done = context.progress.counter("classifiers of augmented images trained")
    trained = pool.map(_trained, [(path, operations) for operations in chosen], name=METRIC, done=done)
    networks = dict(zip(chosen, trained, strict=True))
    work = [(networks[tuple(names)], path, names, target.location, seed) for target, names, _ in missing]
    for leak, (_, _, score) in zip(pool.map(_measured, work, name=METRIC), missing, strict=True):
        score |= {"value": leak.value, "sd": leak.sd, "detail": leak.detail}
        context.run.add_scores([score])


def _trained(images: str, operations: Sequence[str]) -> nn.Module:
    return leak_classifier(open_store(Path(images)), operations)


def _measured(network: nn.Module, images: str, operations: Sequence[str], location: str, seed: int) -> Leak:
    generator = load_generator(location)
    samples = generator.images(generator.sample_latents(SAMPLES, seed))
    return measured_leak(network, open_store(Path(images)), operations, samples)


def _protocol(context: RunContext, operations: list[str]) -> dict[str, Any]:
    images = context.images
    learned, judged = plain_images(images)
    shape = {"height": images.resolution, "width": images.resolution, "channels": images.channels}
    return {
        "family": METRIC,
        "version": _VERSION,
        "operations": operations,
        "classifier": {"images": TRAINING_IMAGES, "seed": SEED},
        "real": {"count": len(learned), "digest": images.digest, **shape},
        "plain": {"count": len(judged), "held_out": bool(images.held_out[judged].all())},
        "fake": {"count": SAMPLES, "split": "generated", "seed": context.experiment.evaluation.seed, **shape},
    }


def _warn(context: RunContext, score: dict[str, Any]) -> None:
    detail, operations = score["detail"], ", ".join(score["protocol"]["operations"])
    if detail["augmented"] - detail["plain"] < _LEAST_TOLD:
        context.progress.say(
            f"{METRIC} of {score['checkpoint']} says little: the classifier takes {detail['augmented']:.0%} of "
            f"augmented and {detail['plain']:.0%} of plain images for augmented ({operations})"
        )
    elif score["value"] > WARNING_SHARE:
        context.progress.say(
            f"Warning: augmentations seem to leak into samples of {score['checkpoint']}: {detail['samples']:.0%} of "
            f"them look augmented, and {detail['plain']:.0%} of plain images ({operations}); unless they are bad in "
            "other ways, a smaller objective.augmentation_probability or fewer operations may help"
        )
