"""Photographs brought into latent space as Ray work, a task each, beside what tells whether that means anything."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from torch import Tensor

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import Target
from framework.config import Experiment, LatentsConfig
from framework.errors import LatentsError
from framework.evaluation.features.inception import Inception
from framework.evaluation.features.resizing import resize_like_tensorflow
from framework.evaluation.features.weights import find_weights, how_to_get_weights, read_weights
from framework.images import from_pixels, labelled_sheet, png_bytes
from framework.images.ranges import in_levels
from framework.latents.networks import Features
from framework.latents.projection.project import Projected, project
from framework.orchestration.context import Study
from framework.orchestration.pool.tasks import task_device
from framework.orchestration.studies.models import Place, crew_of, place_of
from framework.orchestration.studies.photos import Photo

PICTURE, DOCUMENT = "projected.png", "projections.json"
_INCEPTION_TAP = 192
_CONTROL_SEED = 2_000_003  # generated images that have to be found back: no candidate is of this seed
FOUND_BACK_LEVELS = 5.0  # root mean square of 0 to 255; what looks the same


def project_photos(study: Study, target: Target, photos: Sequence[Photo]) -> dict[str, Any]:
    """Writes projections/NAME.safetensors of each photograph, and artifacts/projected.png and projections.json.

    Beside each error stand that of the nearest of many random samples and that of images the generator made itself,
    from latents of another seed: these must be found back, or the search, not the generator, is what falls short.

    Raises:
        LatentsError: The generator gives no gradients.
    """
    settings, place = study.experiment.latents, place_of(study, target)
    generator = load_generator(target.location)
    controls = generator.sample_latents(settings.projection.controls, _CONTROL_SEED)
    made = [Photo(f"generated {number}", image, "") for number, image in enumerate(generator.images(controls), start=1)]
    named, weights = features_of(study.experiment, assessed=place.finder is not None)
    heard = dataclasses.replace(place, finder=None) if named == "pixels" else place
    work = [(heard, photo, settings, weights) for photo in [*photos, *made]]
    crew = crew_of(study, place, *([weights] if weights else []))
    done = study.watch.counter("projected")
    found: list[_Found] = list(crew.map(_project, work, name=f"project {target.checkpoint}", done=done))
    for photo, one in zip(photos, found, strict=False):
        about = {
            "photo_sha256": photo.sha256,
            "generator": place.generator,
            "pixel_error": f"{one.best.pixel_error:.4f}",
        }
        tensors = {"latent": np.ascontiguousarray(one.best.latent, np.float32)}
        data = safetensors.numpy.save(tensors, about)
        study.run.projections.write_bytes(f"{photo.name}.safetensors", data)
    document = {
        "checkpoint": target.checkpoint,
        "generator": place.generator,
        "features": named,
        "starts": settings.projection.starts,
        "steps": settings.projection.steps,
        "images": study.images.digest,
        "photos": [one.row(photo) for photo, one in zip(photos, found, strict=False)],
        "held_out_generated": _about_controls(found[len(photos) :], controls),
    }
    artifacts = study.run.artifacts
    artifacts.write_bytes(PICTURE, png_bytes(_picture(generator.images, photos, found[: len(photos)])))
    artifacts.write_json(DOCUMENT, document)
    return document


@dataclass(frozen=True, eq=False)
class _Found:
    """One projection and what it is laid beside.

    Attributes:
        best: The latent and its errors.
        nearest: [z] of the nearest of the random samples.
        nearest_error: Its pixel error, of 0 to 255.
        random_error: Median pixel error of random samples.
        encoded_error: Pixel error of what the encoder alone makes of it; None of a generator without one.
    """

    best: Projected
    nearest: np.ndarray
    nearest_error: float
    random_error: float
    encoded_error: float | None

    def row(self, photo: Photo) -> dict[str, Any]:
        """As projections.json has it."""
        return {
            "name": photo.name,
            "pixel_error": self.best.pixel_error,
            "feature_error": self.best.feature_error,
            "encoded_error": self.encoded_error,
            "nearest_random_error": self.nearest_error,
            "random_error": self.random_error,
            "start_errors": self.best.start_errors,
            "latent_norm": float(np.linalg.norm(self.best.latent)),
        }


def _about_controls(found: Sequence[_Found], latents: np.ndarray) -> dict[str, Any]:
    errors = [one.best.pixel_error for one in found]
    cosines = [
        float(one.best.latent @ z / (np.linalg.norm(one.best.latent) * np.linalg.norm(z)))
        for one, z in zip(found, latents, strict=True)
    ]
    return {
        "count": len(found),
        "pixel_error_median": float(np.median(errors)),
        "found_back": sum(error <= FOUND_BACK_LEVELS for error in errors),
        "found_back_below": FOUND_BACK_LEVELS,
        "latent_cosine_median": float(np.median(cosines)),
    }


def _project(place: Place, photo: Photo, settings: LatentsConfig, weights: str | None) -> _Found:
    generator = place.open_generator()
    if generator.network is None:
        raise LatentsError("project: wants a generator that gradients go through")
    target = from_pixels(photo.pixels[None])[0].to(generator.device)
    candidates = generator.sample_latents(settings.arithmetic.candidates, settings.seed)
    errors = _errors_of(generator, candidates, target)
    nearest = int(errors.argmin())
    encoded = None if generator.encoder is None else generator.encode(photo.pixels[None])
    best = project(
        generator.network,
        target,
        # The encoder's own guess is where one descent begins, if it is near.
        candidates if encoded is None else np.concatenate([encoded, candidates]),
        features=_features(place, weights),
        starts=settings.projection.starts,
        steps=settings.projection.steps,
    )
    return _Found(
        best,
        candidates[nearest],
        in_levels(float(errors[nearest])),
        in_levels(float(errors.median())),
        None if encoded is None else in_levels(float(_errors_of(generator, encoded, target)[0])),
    )


def _errors_of(generator: LoadedGenerator, latents: np.ndarray, target: Tensor) -> Tensor:
    """[n] mean squared error of each latent's image, on the host."""
    return ((from_pixels(generator.images(latents)) - target.cpu()) ** 2).mean(dim=(1, 2, 3))


def _features(place: Place, weights: str | None) -> Features | None:
    """Inception's; else the finder's, for the measurer has to judge what is done with the latent; else none."""
    if weights is not None:
        network = Inception(read_weights(weights)[0], tap=_INCEPTION_TAP, device=task_device())
        return lambda images: network.differentiable(
            resize_like_tensorflow((images + 1).mul(127.5).permute(0, 2, 3, 1)).expand(-1, -1, -1, 3)
        )
    if place.finder is None:
        return None
    finder = place.open_finder()
    return lambda images: finder.network(images)[1]


def features_of(experiment: Experiment, *, assessed: bool) -> tuple[str, str | None]:
    """What `latents.projection_features` stands for here, in words, and the file of Inception's weights.

    Raises:
        LatentsError: What is asked for is not here.
    """
    asked = experiment.latents.projection.features
    if asked == "inception":
        weights = find_weights(experiment.evaluation.weights)
        if weights is None:
            raise LatentsError(f"latents.projection_features: inception, but {how_to_get_weights()}")
        return f"pixels and Inception's at tap {_INCEPTION_TAP}", str(weights)
    if asked == "assessor" and not assessed:
        raise LatentsError("latents.projection_features: assessor, but there is none (the data has no labels)")
    return "pixels" if asked == "pixels" or not assessed else "pixels and the finder's", None


def _picture(images: Any, photos: Sequence[Photo], found: Sequence[_Found]) -> np.ndarray:
    """A row a photograph: itself, what was found, the nearest of the random samples."""
    tiles, captions = [], []
    for photo, one in zip(photos, found, strict=True):
        shown = images(np.stack([one.best.latent, one.nearest]))
        tiles += [photo.pixels, *shown]
        captions += [
            f"{photo.name}\nphotograph",
            f"projected\noff by {one.best.pixel_error:.1f}",
            f"nearest sample\noff by {one.nearest_error:.1f}",
        ]
    return labelled_sheet(
        np.stack(tiles), captions, columns=3, title="Photographs in latent space (off by: root mean square of 0 to 255)"
    )
