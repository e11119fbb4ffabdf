"""Maps of one latent space, or of two for comparison: encodes, draws and measures held-out images with a pool."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.data import PackedStore, open_store
from framework.images import png_bytes
from framework.latents.maps.codes import Codes, encode_images
from framework.latents.maps.picture import Map, draw_maps, draw_plane, side_by_side
from framework.latents.maps.plane import Plane, plane_of
from framework.latents.maps.points import Trials, make_trials, trial_figures
from framework.metrics.latent_space import aggregate_kl, hole_share, knn_purity
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.orchestration.context import RunContext
from framework.orchestration.pool.tasks import TaskPool, parts_of
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.map_subject import Shown, about_target, images_shown, protocol_of, title_of
from framework.orchestration.studies.models import StudyModels, models_for, pool_for
from framework.runs.documents import read_object

PICTURE, PLANE, DOCUMENT = "latent_map.png", "latent_plane.png", "latent_map.json"


def latent_map(context: RunContext, targets: Sequence[CheckpointRef]) -> dict[str, Any]:
    """Writes artifacts/latent_map.png, latent_plane.png (of two latents) and latent_map.json into the study's run.

    Args:
        context: The context of the first checkpoint's run. Its images and its measurer are used for both.
        targets: One checkpoint or two.

    Returns:
        The document; the existing one if nothing has changed since.

    Raises:
        LatentsError: `check_maps` refuses the checkpoints, or there are too few images.
    """
    settings, artifacts = context.experiment.latents, context.run.artifacts
    shown = images_shown(context)
    about = about_maps(context, targets, shown)
    known = context.made(DOCUMENT, about)
    if known is not None:
        return known
    trials = make_trials(shown.labels, count=settings.maps.samples, seed=settings.seed)
    works = [_Work(context, target) for target in targets]
    images = _sureness(context, works[0], shown)
    measured = [_measured(context, work, shown, trials) for work in works]
    artifacts.delete(DOCUMENT)
    _draw(context, works, [plane for _, plane in measured], shown)
    figures = [{**of, **row} for of, (row, _) in zip(about["of"], measured, strict=True)]
    # The document comes last: if it exists, the other files do too.
    unsure = {"hole_share_of_images": hole_share(images, sure_from=settings.maps.confidence)}
    artifacts.write_json(DOCUMENT, {**about, **unsure, "maps": figures})
    return read_object(artifacts, DOCUMENT)


def about_maps(context: RunContext, targets: Sequence[CheckpointRef], shown: Shown) -> dict[str, Any]:
    """Everything that the maps depend on; stored with them."""
    return {"protocol": protocol_of(context, shown), "of": [about_target(target) for target in targets]}


def maps_ahead(ahead: Ahead, targets: Sequence[CheckpointRef]) -> list[Step]:
    """The steps of `latent_map` for one checkpoint or two."""
    settings, context = ahead.settings.maps, ahead.context
    images, exists = settings.images, False
    if context is not None:
        shown = images_shown(context)
        images, exists = len(shown.indices), context.made(DOCUMENT, about_maps(context, targets, shown)) is not None
    decoded = images + 4 * settings.samples
    steps = [Step("classifier on the images", judged=images, exists=exists)]
    for target in targets:
        flat = settings.steps**2 if load_generator(target.location).latent_size == 2 else 0
        steps.append(Step(f"map of {target.checkpoint}", generated=decoded + flat, judged=decoded, encoded=images,
                          drawn=flat, exists=exists))  # fmt: skip
    return steps


class _Work:
    """What the tasks of one generator need."""

    def __init__(self, context: RunContext, target: CheckpointRef) -> None:
        self.models: StudyModels = models_for(context, target)
        self.images = str(context.images.path)
        self.pool: TaskPool = pool_for(context, self.models, self.images)
        self.name = f"map {target.checkpoint}"
        self.title = title_of(target)


def _measured(context: RunContext, work: _Work, shown: Shown, trials: Trials) -> tuple[dict[str, Any], Plane]:
    settings = context.experiment.latents
    shards = [(work.models, work.images, part) for part in parts_of(shown.indices)]
    done = context.progress.counter(f"encoded, by {SHARD_IMAGES} images")
    parts: list[Codes] = list(work.pool.map(_encode, shards, name=work.name, done=done))
    codes = np.concatenate([part.means for part in parts])
    variances = np.concatenate([part.variances for part in parts])
    work_of_plane = [(codes, settings.maps.method, settings.seed)]
    (plane,) = work.pool.map(_project, work_of_plane, name=work.name)
    points = trials.points(codes)
    latents = [(work.models, part, settings.maps.label) for part in parts_of(np.concatenate(list(points.values())))]
    done = context.progress.counter(f"decoded and judged, by {SHARD_IMAGES}")
    sure = np.concatenate(list(work.pool.map(_judge, latents, name=work.name, done=done)))
    ends = np.cumsum([len(each) for each in points.values()])[:-1]
    confidence = dict(zip(points, np.split(sure, ends), strict=True))
    divergence = aggregate_kl(codes, variances)
    purity = {"latents": knn_purity(codes, shown.labels), "picture": knn_purity(plane.points, shown.labels)}
    row = {
        "plane": {"method": plane.method, "axes": list(plane.axes)},
        "knn_purity": purity,
        **trial_figures(confidence, sure_from=settings.maps.confidence),
        "aggregate_kl_nats": divergence if np.isfinite(divergence) else None,
    }
    return row, plane


def _sureness(context: RunContext, work: _Work, shown: Shown) -> np.ndarray:
    """The classifier's confidence [n] on the held-out images themselves."""
    label = context.experiment.latents.maps.label
    shards = [(work.models, work.images, part, label) for part in parts_of(shown.indices)]
    return np.concatenate(list(work.pool.map(_judge_images, shards, name="map images")))


def _draw(context: RunContext, works: Sequence[_Work], planes: Sequence[Plane], shown: Shown) -> None:
    settings, artifacts = context.experiment.latents, context.run.artifacts
    maps = [Map(work.title, plane) for work, plane in zip(works, planes, strict=True)]
    picture = draw_maps(maps, shown.labels, shown.classes, legend=settings.maps.label)
    artifacts.write_bytes(PICTURE, png_bytes(picture))
    flat = [
        sheet
        for work, plane in zip(works, planes, strict=True)
        if plane.method == "latents"
        for sheet in work.pool.map(_decode_plane, [(work.models, settings.maps.steps, work.title)], name=work.name)
    ]
    artifacts.delete(PLANE)
    if flat:
        artifacts.write_bytes(PLANE, png_bytes(side_by_side(flat)))


def _decode_plane(models: StudyModels, steps: int, title: str) -> np.ndarray:
    return draw_plane(models.open_generator().images, steps=steps, title=title.replace("\n", ", "))


def _pixels(images: str, indices: np.ndarray) -> np.ndarray:
    store: PackedStore = open_store(Path(images))
    return store.images[indices]


def _encode(models: StudyModels, images: str, indices: np.ndarray) -> Codes:
    return encode_images(models.open_generator(), _pixels(images, indices))


def _project(codes: np.ndarray, method: Any, seed: int) -> Plane:
    return plane_of(codes, method=method, seed=seed)


def _judge(models: StudyModels, latents: np.ndarray, label: str) -> np.ndarray:
    return models.open_measurer().predict(models.open_generator().images(latents))[label].max(axis=1)


def _judge_images(models: StudyModels, images: str, indices: np.ndarray, label: str) -> np.ndarray:
    return models.open_measurer().predict(_pixels(images, indices))[label].max(axis=1)
