"""Finds directions with a pool: samples are assessed in shards, and each independent part is one task."""

import copy
import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from framework.checkpoint import load_generator
from framework.checkpoint.foreign import function_of
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.errors import LatentsError, reason_of
from framework.images import png_bytes
from framework.latents.attributes.groups import Labels, labels_of
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.direction import SUFFIX, Direction, load_direction, save_direction, stem_of
from framework.latents.directions.discover import DiscoveryModels, discover, settings_of
from framework.latents.directions.edits import edits_for
from framework.latents.directions.requirements import check_discovery
from framework.latents.directions.sheet import make_sheet
from framework.latents.networks import Score
from framework.latents.protocols import Scores
from framework.models.arithmetic.blocks import SHARD_IMAGES, shards
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import TaskPool
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.models import StudyModels, models_for, on_host, pool_for
from framework.runs.machine import versions
from framework.storage import Folder

_BY_SAMPLES = ("difference", "interfacegan")


def discover_directions(context: RunContext, target: CheckpointRef) -> list[str]:
    """Finds directions by `latents.directions.method` and writes each into the run's directions/.

    Directions found with the same settings on the same generator are kept, so an interrupted job resumes.

    Returns:
        The file names; empty if the user has to sort samples first.

    Raises:
        LatentsError: Something that the method needs is missing.
    """
    settings, models = context.experiment.latents, models_for(context, target)
    if settings.directions.method == "compass" and settings.directions.sorted_samples is None:
        _ask_for_piles(context, target)
        return []
    labels = labels_of(context.assessors.finder if context.assessors else None)
    check_names([attribute.name for attribute in attributes_of(labels, settings.directions.attributes)], settings)
    made_of = _made_of(context)
    files, missing = found_and_missing(context, target)
    for file in files:
        context.progress.say(f"Direction: {file} exists already")
    if not missing:
        return files
    pool = pool_for(context, models)
    scores = None
    if (
        settings.directions.method in _BY_SAMPLES
        and settings.directions.sorted_samples is None
        and models.finder is not None
    ):
        scores = _finder_scores(context, pool, models, settings)
    work = [(models, part, labels, scores, made_of) for part in missing]
    done = context.progress.counter("directions, by part")
    for directions in pool.map(_find, work, name=f"discover {settings.directions.method}", done=done):
        for direction in directions:
            save_direction(direction, context.run.directions)
            files.append(f"{stem_of(direction.name)}{SUFFIX}")
    return files


def check_names(attributes: Sequence[str], settings: LatentsConfig) -> None:
    """Refuses attributes whose directions could not be written, before anything is computed.

    Raises:
        LatentsError: A name cannot be that of a file.
    """
    without = ["without", *settings.directions.fixed] if settings.directions.fixed else []
    for attribute in attributes:
        stem_of(attribute)
        stem_of(file_stem("_".join([attribute, *without]), settings.directions.method))


def discovery_ahead(ahead: Ahead) -> list[Step]:
    """The steps of `discover_directions`."""
    settings, generator, context = ahead.settings.directions, ahead.generator, ahead.context
    check_discovery(
        ahead.settings,
        None if context is None else labels_of(context.assessors.finder if context.assessors else None),
        assessed=ahead.assessed,
        network=generator.network,
        latent_size=generator.latent_size,
        channels=generator.channels,
    )
    if settings.method == "compass" and settings.sorted_samples is None:
        sheet = ahead.settings.arithmetic.sheet_samples
        return [Step("numbered samples to sort", generated=sheet, drawn=sheet)]
    found, missing = ([], []) if ahead.context is None else found_and_missing(ahead.context, ahead.target)
    parts = len(missing) if ahead.context is not None else 1
    samples, judged = settings.samples, 0
    if settings.method in ("difference", "interfacegan"):
        samples, judged = (0, 0) if settings.sorted_samples is not None else (samples, samples)
    elif settings.method == "ganalyze":
        samples, judged = 2 * samples * parts, 2 * samples * parts
    elif settings.method == "steerable":
        edits = len(edits_for(settings.edits, channels=ahead.generator.channels))
        samples = 2 * samples * (parts if ahead.context is not None else edits)
    elif settings.method in ("sefa", "compass"):
        samples = 0
    steps = [Step(f"{settings.method}: directions", generated=samples, judged=judged)] if parts else []
    return [*(Step(f"direction {file}", exists=True) for file in found), *steps]


def found_and_missing(context: RunContext, target: CheckpointRef) -> tuple[list[str], list[LatentsConfig]]:
    """The files that exist with these settings, and the settings of the parts that have to be computed."""
    settings, models, made_of = context.experiment.latents, models_for(context, target), _made_of(context)
    labels = labels_of(context.assessors.finder if context.assessors else None)
    files, missing = [], []
    for part, expected in work_parts(settings, labels, channels=load_generator(target.location).channels):
        file = None if expected is None else f"{stem_of(expected)}{SUFFIX}"
        if file is not None and _is_found(context.run.directions, file, part, models, made_of):
            files.append(file)
        else:
            missing.append(part)
    return files, missing


def _made_of(context: RunContext) -> dict[str, Any]:
    made_of = {"data": context.images.digest, "latentscape": versions().get("latentscape")}
    return made_of if context.assessors is None else {**made_of, "assessor": context.assessors.finder.digest}


def file_stem(name: str, method: str) -> str:
    """The name of a direction among those of its run. It has the method, as several may find the same attribute.

    >>> file_stem("smiling", "ganalyze"), file_stem("sefa_1", "sefa")
    ('smiling-ganalyze', 'sefa_1')
    """
    return name if name.startswith(method) else f"{name}-{method}"


def work_parts(settings: LatentsConfig, labels: Labels, *, channels: int) -> list[tuple[LatentsConfig, str | None]]:
    """The independent parts of the work, one attribute or edit each, and the name of its file if that is known."""
    if settings.directions.method == "ganalyze" and settings.directions.score is not None:
        return [(settings, None)]
    if settings.directions.method == "ganalyze":
        names = [attribute.name for attribute in attributes_of(labels, settings.directions.attributes)]
        parts: list[tuple[LatentsConfig, str | None]] = [
            (_with(settings, attributes=[name]), file_stem(name, "ganalyze")) for name in names
        ]
        return parts or [(settings, None)]
    if settings.directions.method == "steerable":
        return [
            (_with(settings, edits=[name]), file_stem(name, "steerable"))
            for name in edits_for(settings.directions.edits, channels=channels)
        ]
    return [(settings, None)]


def _with(settings: LatentsConfig, **keys: Any) -> LatentsConfig:
    """A copy with other keys of `latents.directions`."""
    return settings.model_copy(update={"directions": settings.directions.model_copy(update=keys)})


def _is_found(
    folder: Folder, file: str, settings: LatentsConfig, models: StudyModels, made_of: Mapping[str, Any]
) -> bool:
    if not folder.exists(file):
        return False
    try:
        known = load_direction(folder, file)
    except LatentsError:  # a damaged file is replaced
        return False
    same = dict(known.settings) == settings_of(settings) and dict(known.made_of) == dict(made_of)
    return same and known.generator == models.generator


def _ask_for_piles(context: RunContext, target: CheckpointRef) -> None:
    """Draws the sheet and writes an empty labels file; an existing file is kept, because it may have labels."""
    settings, artifacts = context.experiment.latents, context.run.artifacts
    generator = load_generator(target.location).truncated(settings.truncation).conditioned(settings.condition)
    sheet = make_sheet(generator, settings)
    stem = f"compass-seed{settings.seed}"
    artifacts.write_bytes(f"{stem}.png", png_bytes(sheet.picture))
    if not artifacts.exists(f"{stem}.csv"):
        rows = "".join(f"{number},\n" for number in range(1, settings.arithmetic.sheet_samples + 1))
        artifacts.write_text(f"{stem}.csv", f"number,pile\n{rows}")
    folder = artifacts.location
    context.progress.say(f"Sheet: {folder}/{stem}.png")
    context.progress.say(
        f"Piles: label at least ten samples low and ten high in {folder}/{stem}.csv, leave the rest empty"
    )
    context.progress.say(
        f"Then: python -m jobs.discover {target.typed} latents.directions.method=compass latents.directions.name=NAME "
        + shlex.quote(f"latents.directions.sorted_samples={folder}/{stem}.csv")
        + (f" latents.seed={settings.seed}" if settings.seed else "")
    )


def _finder_scores(context: RunContext, pool: TaskPool, models: StudyModels, settings: LatentsConfig) -> Scores:
    work = [(models, settings.seed, *shard) for shard in shards(settings.directions.samples)]
    done = context.progress.counter(f"samples assessed, by {SHARD_IMAGES}")
    parts = list(pool.map(_predict, work, name="discover: samples", done=done))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _predict(models: StudyModels, seed: int, start: int, stop: int) -> Scores:
    generator = models.open_generator()
    return models.open_finder().predict(generator.images(generator.sample_latents(stop - start, seed, start=start)))


def _find(
    models: StudyModels, settings: LatentsConfig, labels: Labels, scores: Scores | None, made_of: Mapping[str, Any]
) -> list[Direction]:
    generator = models.open_generator()
    network = generator.network
    tools = DiscoveryModels(
        latent_size=generator.latent_size,
        digest=generator.digest,
        sample=lambda n, start: generator.sample_latents(n, settings.seed, start=start),
        assess=None if scores is None else lambda _: scores,
        generate=None if network is None else on_host(network, generator.device),
        network=network if network is None or generator.device.type == "cpu" else copy.deepcopy(network).cpu(),
        score=_scorer(models, settings),
        made_of=made_of,
    )
    directions: Sequence[Direction] = discover(tools, settings, labels)
    return [direction.named(file_stem(direction.name, direction.method)) for direction in directions]


def _scorer(models: StudyModels, settings: LatentsConfig) -> Callable[[Attribute], Score] | None:
    """The score that GANalyze maximises: the user's function, or the finder's logit; None without both."""
    if settings.directions.score is not None:
        function = function_of(settings.directions.score, key="latents.directions.score")
        return lambda _: checked_score(function, f"latents.directions.score: {settings.directions.score}")
    return None if models.finder is None else functools.partial(_score, models)


def checked_score(score: Callable[[torch.Tensor], Any], where: str) -> Score:
    """The user's score function, with its mistakes reported in one line; `where` is the start of that line."""

    def checked(images: torch.Tensor) -> torch.Tensor:
        try:
            scores = score(images)
        except Exception as fault:  # the user's function may raise anything
            raise LatentsError(f"{where}: raised {type(fault).__name__}: {reason_of(fault)}") from None
        if not isinstance(scores, torch.Tensor) or scores.shape != images.shape[:1]:
            what = list(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise LatentsError(f"{where}: must return a tensor of shape [n], not {what}")
        if torch.is_grad_enabled() and not scores.requires_grad:
            raise LatentsError(f"{where}: its result has no gradient")
        return scores

    return checked


def _score(models: StudyModels, attribute: Attribute) -> Score:
    """The finder's logit of an attribute, differentiable with respect to the images."""
    assessor = models.open_finder()
    sizes = [spec.outputs for spec in assessor.attributes]
    number = [spec.name for spec in assessor.attributes].index(attribute.label)
    network = on_host(lambda images: assessor.network(images)[0], assessor.device)

    def score(images: torch.Tensor) -> torch.Tensor:
        columns = torch.split(network(images), sizes, dim=1)[number]
        if attribute.column is None:
            return columns[:, 0]
        log_p = columns.log_softmax(dim=1)[:, attribute.column]
        return log_p - torch.log1p(-log_p.exp().clamp(max=1 - 1e-6))

    return score
