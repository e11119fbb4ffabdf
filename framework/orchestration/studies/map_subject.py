"""What latent maps are of: encoders, labelled held-out images and a classifier, or a line that says what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.errors import LatentsError
from framework.latents.maps.codes import check_encoder
from framework.metrics.latent_space import NEIGHBOURS, chance_purity
from framework.orchestration.context import Study
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
    """The images of a map, the same for both.

    Attributes:
        indices: [n] in the packed store.
        labels: [n] numbers of classes.
        classes: Their names.
    """

    indices: np.ndarray
    labels: np.ndarray
    classes: list[str]


def check_maps(run: RunFolder, targets: Sequence[Target]) -> None:
    """What can be refused before anything is prepared.

    Raises:
        LatentsError: A generator without encoder, runs of different data, or data without the label.
    """
    for target in targets:
        if target.entry is not None:
            raise LatentsError(f"{target.entry}: a function of your own has no encoder, so no map of images")
        check_encoder(load_generator(target.location), target.checkpoint)
    about = [RunFolder.open(target.run).about.get("data", {}) for target in targets]
    if any(other.get("digest") != about[0].get("digest") for other in about[1:]):
        raise LatentsError(f"{targets[1].run}: is of other images than {targets[0].run}; two maps want the same data")
    _check_label(run.experiment.latents.maps.label, about[0].get("labels", []))


def images_shown(study: Study) -> Shown:
    """The first held-out images, by content, whose label is known."""
    store, settings = study.images, study.experiment.latents
    label = settings.maps.label
    _check_label(label, [*store.label_classes])
    if study.assessors is None:
        raise LatentsError(f"latents.map_label: no assessor learned {label}, and a map's classifier is one")
    study.assessors.measurer.attribute(label)
    known = store.held_out_indices[~np.isnan(store.labels[label][store.held_out_indices])]
    if not len(known):
        raise LatentsError("data.held_out: no labelled image is held out, and a map wants images never trained on")
    indices = known[: settings.maps.images]
    return Shown(indices, store.labels[label][indices].astype(int), store.label_classes[label])


def _check_label(label: str, there: Sequence[str]) -> None:
    if label not in there:
        has = ", ".join(sorted(there)) or "none"
        raise LatentsError(f"latents.map_label: {label!r} is no label with classes of the data, which has {has}")


def about_target(target: Target) -> dict[str, Any]:
    """Which generator; no path."""
    generator = load_generator(target.location)
    return {
        "run": RunFolder.open(target.run).folder.name,
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
        "family": generator.config["family"],
        "latent_size": generator.latent_size,
    }


def protocol_of(study: Study, shown: Shown) -> dict[str, Any]:
    """What the figures hang on."""
    settings, images, pair = study.experiment.latents, study.images, study.assessors
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


def title_of(target: Target) -> str:
    """Of its panel, two lines."""
    generator, run = load_generator(target.location), RunFolder.open(target.run).folder.name
    return (
        f"{run}: {generator.config['family']}, {generator.latent_size} numbers\n{generator.images_seen:,} images seen"
    )
