"""Inputs of latent maps: encoders, labelled held-out images and a classifier, with an error if one is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.errors import LatentsError
from framework.latents.maps.codes import check_encoder
from framework.metrics.latent_space import NEIGHBOURS, chance_purity
from framework.orchestration.context import RunContext
from framework.runs import RunFolder

_MEANS = {
    "knn_purity": "share of a code's nearest others that are of its class, by all numbers and in the picture",
    "hole_share": "share of decoded points whose surest class has less than sure_from; between_codes: at an even share "
    "of the straight way between the codes of two images; prior_samples: standard normal latents",
    "midpoint_confidence": "mean probability of the surest class midway between the codes of two images",
    "aggregate_kl_nats": "KL(N(m, S) || N(0, I)), m and S the aggregate posterior's moments: a lower bound of its KL",
    "latents": "a vae's posterior means; an autoencoder's codes, laid over the Gaussian fitted to them after training",
}


@dataclass(frozen=True, eq=False)
class Shown:
    """The images of a map; the same for both maps.

    Attributes:
        indices: [n] indices into the packed store.
        labels: [n] class of each image, as an index into `classes`.
        classes: The names of the classes.
    """

    indices: np.ndarray
    labels: np.ndarray
    classes: list[str]


def check_maps(run: RunFolder, targets: Sequence[CheckpointRef]) -> None:
    """Checks what can be checked before anything is computed.

    Raises:
        LatentsError: A generator has no encoder, the runs have different data, or the data lacks the label.
    """
    for target in targets:
        if target.entry is not None:
            raise LatentsError(f"{target.entry}: a custom generator has no encoder, which a map of images needs")
        check_encoder(load_generator(target.location), target.checkpoint)
    about = [RunFolder.open(target.run).about.get("data", {}) for target in targets]
    if any(other.get("digest") != about[0].get("digest") for other in about[1:]):
        raise LatentsError(
            f"{targets[1].run}: was trained on other images than {targets[0].run}; two maps need the same data"
        )
    _check_label(run.experiment.latents.maps.label, about[0].get("labels", []))


def images_shown(context: RunContext) -> Shown:
    """The first `latents.maps.images` held-out images, by content, whose label is known."""
    store, settings = context.images, context.experiment.latents
    label = settings.maps.label
    _check_label(label, [*store.label_classes])
    if context.assessors is None:
        raise LatentsError(
            f"latents.maps.label: no assessor was trained on {label}, but a map needs it as its classifier"
        )
    context.assessors.measurer.attribute(label)
    known = store.held_out_indices[~np.isnan(store.labels[label][store.held_out_indices])]
    if not len(known):
        raise LatentsError("data.held_out: no labelled image is held out, but a map needs images not used in training")
    indices = known[: settings.maps.images]
    return Shown(indices, store.labels[label][indices].astype(int), store.label_classes[label])


def _check_label(label: str, labels: Sequence[str]) -> None:
    if label not in labels:
        known = ", ".join(sorted(labels)) or "none"
        raise LatentsError(f"latents.maps.label: {label!r} is not a label with classes; the data has {known}")


def about_target(target: CheckpointRef) -> dict[str, Any]:
    """The description of a generator in the document; it contains no path."""
    generator = load_generator(target.location)
    return {
        "run": RunFolder.open(target.run).folder.name,
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
        "family": generator.config["family"],
        "latent_size": generator.latent_size,
    }


def protocol_of(context: RunContext, shown: Shown) -> dict[str, Any]:
    """Everything that the figures depend on; stored with them."""
    settings, images, pair = context.experiment.latents, context.images, context.assessors
    assert pair is not None
    accuracy = pair.measurer.accuracy.get(settings.maps.label, {})
    return {
        "images": {"count": len(shown.indices), "split": "held_out", "digest": images.digest},
        "label": settings.maps.label,
        "classes": shown.classes,
        "classifier": {"digest": pair.measurer.digest, **accuracy},
        "samples": settings.maps.samples,
        "sure_from": settings.maps.confidence,
        "method": settings.maps.method,
        "steps": settings.maps.steps,
        "neighbours": NEIGHBOURS,
        "chance_purity": chance_purity(shown.labels),
        "seed": settings.seed,
        "means": _MEANS,
    }


def title_of(target: CheckpointRef) -> str:
    """The title of a map's panel, in two lines."""
    generator, run = load_generator(target.location), RunFolder.open(target.run).folder.name
    return (
        f"{run}: {generator.config['family']}, {generator.latent_size} numbers\n{generator.images_seen:,} images seen"
    )
