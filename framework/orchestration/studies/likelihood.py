"""The likelihood of held-out images under a VAE, computed by a pool in fixed shards."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import Experiment
from framework.data import open_store
from framework.errors import EvaluationError
from framework.evaluation.likelihood import LikelihoodBounds, check_likelihood, image_nats
from framework.models.arithmetic.blocks import SHARD_IMAGES, shards
from framework.orchestration.context import RunContext
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.models import StudyModels, models_for, pool_for

DOCUMENT = "likelihood.json"


def likelihood(context: RunContext, target: CheckpointRef) -> dict[str, Any]:
    """Writes artifacts/likelihood.json: ELBO, its two terms and the importance-weighted bound, in nats per image.

    Raises:
        EvaluationError: The checkpoint is not a VAE, or no image is held out.
    """
    experiment, images = context.run.trained_by(target.checkpoint), str(context.images.path)
    count = len(context.images.held_out_indices)
    about = about_likelihood(context, target)
    known = context.made(DOCUMENT, about)
    if known is not None:
        return known
    models = models_for(context, target)
    work = [(models, images, experiment, *span) for span in shards(count)]
    pool, done = pool_for(context, models, images), context.progress.counter(f"shards of {SHARD_IMAGES} images")
    nats = LikelihoodBounds.merged(list(pool.map(_shard, work, name=f"likelihood {target.checkpoint}", done=done)))
    document = {**about, **_means(nats, draws=experiment.evaluation.importance_samples)}
    context.run.artifacts.write_json(DOCUMENT, document)
    return document


def likelihood_ahead(ahead: Ahead) -> list[Step]:
    """The steps of `likelihood`."""
    draws, context = ahead.run.experiment.evaluation.importance_samples, ahead.context
    images, exists = int((ahead.run.about.get("data") or {}).get("held_out", 0)), False
    if context is not None:
        images = len(context.images.held_out_indices)
        exists = context.made(DOCUMENT, about_likelihood(context, ahead.target)) is not None
    what = f"{images:,} held-out images, {draws:,} latent codes per image"
    return [Step(what, generated=images * (draws + 1), encoded=images, exists=exists)]


def _shard(models: StudyModels, images: str, experiment: Experiment, start: int, stop: int) -> LikelihoodBounds:
    store, settings = open_store(Path(images)), experiment.evaluation
    pixels = store.images[store.held_out_indices[start:stop]]
    return image_nats(
        models.open_generator(),
        experiment,
        pixels,
        start=start,
        draws=settings.importance_samples,
        seed=settings.seed,
    )


def about_likelihood(context: RunContext, target: CheckpointRef) -> dict[str, Any]:
    """Everything that the figures depend on; stored with them.

    Raises:
        EvaluationError: The checkpoint is not a VAE, or no image is held out.
    """
    generator, images = load_generator(target.location), context.images
    check_likelihood(generator)
    if not len(images.held_out_indices):
        raise EvaluationError("data.held_out: no image is held out, but a likelihood needs images not used in training")
    experiment = context.run.trained_by(target.checkpoint)
    objective = experiment.objective
    binarises = objective.likelihood == "bernoulli"
    return {
        "checkpoint": target.checkpoint,
        "generator": generator.digest,
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


def _means(nats: LikelihoodBounds, *, draws: int) -> dict[str, Any]:
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
