"""The likelihood of held-out images under a VAE, shared out over the cluster in fixed shards."""

import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.config import Experiment, with_overrides
from framework.data import open_store
from framework.errors import EvaluationError
from framework.evaluation.likelihood import Nats, check_likelihood, image_nats
from framework.orchestration.places import Place, crew_of, place_of
from framework.orchestration.shards import SHARD_IMAGES
from framework.orchestration.study import Study
from framework.orchestration.target import Target

DOCUMENT = "likelihood.json"


def likelihood(study: Study, target: Target) -> dict[str, Any]:
    """Writes artifacts/likelihood.json: ELBO and its two terms, and the importance-weighted bound, in nats an image.

    Raises:
        EvaluationError: It is no VAE, or no image is held out.
    """
    experiment, count = _trained_by(study, target), len(study.images.held_out_indices)
    check_likelihood(load_generator(target.location))
    if not count:
        raise EvaluationError("data.held_out: no image is held out, and a likelihood wants images never trained on")
    about = _about(study, target, experiment)
    artifacts = study.run.artifacts
    if artifacts.exists(DOCUMENT):
        known = artifacts.read_json(DOCUMENT)
        if all(known.get(key) == value for key, value in about.items()):
            return known
    place, images = place_of(study, target), str(study.images.path)
    work = [
        (place, images, experiment, start, min(start + SHARD_IMAGES, count)) for start in range(0, count, SHARD_IMAGES)
    ]
    crew, done = crew_of(study, place, images), study.watch.counter(f"shards of {SHARD_IMAGES} images")
    parts: list[Nats] = list(crew.map(_shard, work, name=f"likelihood {target.checkpoint}", done=done))
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    document = {**about, **_means(found, draws=experiment.evaluation.importance_samples)}
    artifacts.write_json(DOCUMENT, document)
    return document


def _shard(place: Place, images: str, experiment: Experiment, start: int, stop: int) -> Nats:
    store, settings = open_store(Path(images)), experiment.evaluation
    pixels = store.images[store.held_out_indices[start:stop]]
    return image_nats(
        place.open_generator(),
        experiment,
        pixels,
        start=start,
        draws=settings.importance_samples,
        seed=settings.seed,
    )


def _trained_by(study: Study, target: Target) -> Experiment:
    """The run's experiment with what the search set for the checkpoint's trial, which may be the likelihood."""
    return with_overrides(study.experiment, study.run.trial(PurePosixPath(target.checkpoint).parts[1]).params)


def _about(study: Study, target: Target, experiment: Experiment) -> dict[str, Any]:
    """What the figures hang on."""
    images, objective = study.images, experiment.objective
    binarises = objective.likelihood == "bernoulli"
    return {
        "checkpoint": target.checkpoint,
        "generator": load_generator(target.location).digest,
        "protocol": {
            "images": {"count": len(images.held_out_indices), "split": "held_out", "digest": images.digest},
            "likelihood": objective.likelihood,
            **({} if binarises else {"deviation": objective.deviation}),
            "elbo": "of grey values, one draw of a code an image" if binarises else "one draw of a code an image",
            "weighted": "of images binarised by their grey values" if binarises else "of the same images",
            "importance_samples": experiment.evaluation.importance_samples,
            "seed": experiment.evaluation.seed,
            "unit": "nats an image",
        },
    }


def _means(nats: Nats, *, draws: int) -> dict[str, Any]:
    elbo = nats.reconstruction - nats.kl
    figures = {
        "elbo_nats": elbo,
        "reconstruction_nats": nats.reconstruction,
        "kl_nats": nats.kl,
        f"iw{draws}_nats": nats.weighted,
        "elbo_of_weighted_nats": nats.elbo_of_weighted,
    }
    errors = {name: _standard_error(values) for name, values in figures.items()}
    return {name: float(np.mean(values)) for name, values in figures.items()} | {"standard_errors": errors}


def _standard_error(values: np.ndarray) -> float | None:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
