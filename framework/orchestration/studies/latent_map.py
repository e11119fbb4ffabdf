"""Maps of one latent space, or of two for comparison: encodes, draws and measures held-out images with a pool."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.checkpoint.reference import Target
from framework.data import PackedStore, open_store
from framework.images import png_bytes
from framework.latents.maps.codes import Codes, encode_images
from framework.latents.maps.picture import Map, draw_maps, draw_plane, side_by_side
from framework.latents.maps.plane import Plane, plane_of
from framework.latents.maps.points import Trials, make_trials, trial_figures
from framework.metrics.latent_space import aggregate_kl, hole_share, knn_purity
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.orchestration.context import Study
from framework.orchestration.pool.tasks import Tasks, parts_of
from framework.orchestration.studies.map_subject import Shown, about_target, images_shown, protocol_of, title_of
from framework.orchestration.studies.models import Place, crew_of, place_of

PICTURE, PLANE, DOCUMENT = "latent_map.png", "latent_plane.png", "latent_map.json"


def latent_map(study: Study, targets: Sequence[Target]) -> dict[str, Any]:
    """Writes artifacts/latent_map.png, latent_plane.png (of two latents) and latent_map.json into the study's run.

    Args:
        study: The context of the first checkpoint's run. Its images and its measurer are used for both.
        targets: One checkpoint or two.

    Returns:
        The document; the existing one if nothing has changed since.

    Raises:
        LatentsError: `check_maps` refuses the checkpoints, or there are too few images.
    """
    settings, artifacts = study.experiment.latents, study.run.artifacts
    shown = images_shown(study)
    protocol = protocol_of(study, shown)
    about = {"protocol": protocol, "of": [about_target(target) for target in targets]}
    known = study.made(DOCUMENT, about)
    if known is not None:
        return known
    trials = make_trials(shown.labels, count=settings.maps.samples, seed=settings.seed)
    works = [_Work(study, target) for target in targets]
    images = _sureness(study, works[0], shown)
    measured = [_measured(study, work, shown, trials) for work in works]
    artifacts.delete(DOCUMENT)
    _draw(study, works, [plane for _, plane in measured], shown)
    figures = [{**of, **row} for of, (row, _) in zip(about["of"], measured, strict=True)]
    # The document comes last: if it exists, the other files do too.
    unsure = {"hole_share_of_images": hole_share(images, sure_from=settings.maps.confidence)}
    artifacts.write_json(DOCUMENT, {**about, **unsure, "maps": figures})
    return artifacts.read_json(DOCUMENT)


class _Work:
    """What the tasks of one generator need."""

    def __init__(self, study: Study, target: Target) -> None:
        self.place: Place = place_of(study, target)
        self.images = str(study.images.path)
        self.crew: Tasks = crew_of(study, self.place, self.images)
        self.name = f"map {target.checkpoint}"
        self.title = title_of(target)


def _measured(study: Study, work: _Work, shown: Shown, trials: Trials) -> tuple[dict[str, Any], Plane]:
    settings = study.experiment.latents
    shards = [(work.place, work.images, part) for part in parts_of(shown.indices)]
    done = study.watch.counter(f"encoded, by {SHARD_IMAGES} images")
    parts: list[Codes] = list(work.crew.map(_encode, shards, name=work.name, done=done))
    codes = np.concatenate([part.means for part in parts])
    variances = np.concatenate([part.variances for part in parts])
    work_of_plane = [(codes, settings.maps.method, settings.seed)]
    (plane,) = work.crew.map(_project, work_of_plane, name=work.name)
    points = trials.points(codes)
    latents = [(work.place, part, settings.maps.label) for part in parts_of(np.concatenate(list(points.values())))]
    done = study.watch.counter(f"decoded and judged, by {SHARD_IMAGES}")
    sure = np.concatenate(list(work.crew.map(_judge, latents, name=work.name, done=done)))
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


def _sureness(study: Study, work: _Work, shown: Shown) -> np.ndarray:
    """The classifier's confidence [n] on the held-out images themselves."""
    label = study.experiment.latents.maps.label
    shards = [(work.place, work.images, part, label) for part in parts_of(shown.indices)]
    return np.concatenate(list(work.crew.map(_judge_images, shards, name="map images")))


def _draw(study: Study, works: Sequence[_Work], planes: Sequence[Plane], shown: Shown) -> None:
    settings, artifacts = study.experiment.latents, study.run.artifacts
    maps = [Map(work.title, plane) for work, plane in zip(works, planes, strict=True)]
    picture = draw_maps(maps, shown.labels, shown.classes, legend=settings.maps.label)
    artifacts.write_bytes(PICTURE, png_bytes(picture))
    flat = [
        sheet
        for work, plane in zip(works, planes, strict=True)
        if plane.method == "latents"
        for sheet in work.crew.map(_decode_plane, [(work.place, settings.maps.steps, work.title)], name=work.name)
    ]
    artifacts.delete(PLANE)
    if flat:
        artifacts.write_bytes(PLANE, png_bytes(side_by_side(flat)))


def _decode_plane(place: Place, steps: int, title: str) -> np.ndarray:
    return draw_plane(place.open_generator().images, steps=steps, title=title.replace("\n", ", "))


def _pixels(images: str, indices: np.ndarray) -> np.ndarray:
    store: PackedStore = open_store(Path(images))
    return store.images[indices]


def _encode(place: Place, images: str, indices: np.ndarray) -> Codes:
    return encode_images(place.open_generator(), _pixels(images, indices))


def _project(codes: np.ndarray, method: Any, seed: int) -> Plane:
    return plane_of(codes, method=method, seed=seed)


def _judge(place: Place, latents: np.ndarray, label: str) -> np.ndarray:
    return place.open_measurer().predict(place.open_generator().images(latents))[label].max(axis=1)


def _judge_images(place: Place, images: str, indices: np.ndarray, label: str) -> np.ndarray:
    return place.open_measurer().predict(_pixels(images, indices))[label].max(axis=1)
