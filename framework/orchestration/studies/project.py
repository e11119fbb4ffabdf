"""Projects photographs into latent space with a pool, one task each, and measures controls to compare with."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from torch import Tensor

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config import LatentsConfig
from framework.errors import LatentsError
from framework.images import from_pixels, labelled_sheet, png_bytes
from framework.images.ranges import in_levels
from framework.latents.networks import Generate
from framework.latents.projection.project import Projected, project
from framework.orchestration.context import RunContext
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.features import StudyFeatures, projection_features
from framework.orchestration.studies.models import StudyModels, models_for, pool_for
from framework.orchestration.studies.photos import Photo

PICTURE, DOCUMENT = "projected.png", "projections.json"
_CONTROL_SEED = 2_000_003  # latents of the control images; no candidate uses this seed
FOUND_BACK_LEVELS = 5.0  # root mean square on the scale 0 to 255, below which images look the same


def project_photos(context: RunContext, target: CheckpointRef, photos: Sequence[Photo]) -> dict[str, Any]:
    """Writes projections/NAME.safetensors of each photograph, and artifacts/projected.png and projections.json.

    Each error can be compared with that of the nearest of many random samples, and with that of generated images from
    latents of another seed. These must be found again; if they are not, the optimisation fails, not the generator.

    Raises:
        LatentsError: The generator gives no gradients.
    """
    settings, models = context.experiment.latents, models_for(context, target)
    generator = load_generator(target.location)
    controls = _unknown(generator, generator.sample_latents(settings.projection.controls, _CONTROL_SEED), settings)
    images = generator.images(controls)
    generated = [Photo(f"generated {number}", image, "") for number, image in enumerate(images, start=1)]
    feature_names, features = projection_features(context.experiment, assessed=models.finder is not None)
    work = [(models, photo, settings, features) for photo in [*photos, *generated]]
    pool = pool_for(context, models, *features.files)
    done = context.progress.counter("photographs and controls")
    projected: list[_Found] = list(pool.map(_project, work, name=f"project {target.checkpoint}", done=done))
    for photo, result in zip(photos, projected, strict=False):
        about = {
            "photo_sha256": photo.sha256,
            "generator": models.generator,
            "pixel_error": f"{result.best.pixel_error:.4f}",
        }
        tensors = {"latent": np.ascontiguousarray(result.best.latent, np.float32)}
        data = safetensors.numpy.save(tensors, about)
        context.run.projections.write_bytes(f"{photo.name}.safetensors", data)
    document = {
        "checkpoint": target.checkpoint,
        "generator": models.generator,
        "features": feature_names,
        "starts": settings.projection.starts,
        "steps": settings.projection.steps,
        "images": context.images.digest,
        "photos": [result.row(photo) for photo, result in zip(photos, projected, strict=False)],
        "held_out_generated": _about_controls(projected[len(photos) :], controls),
    }
    artifacts = context.run.artifacts
    artifacts.write_bytes(PICTURE, png_bytes(_picture(generator.images, photos, projected[: len(photos)])))
    artifacts.write_json(DOCUMENT, document)
    return document


def projection_ahead(ahead: Ahead, photos: int) -> list[Step]:
    """The steps of `project_photos` for so many photographs; 0 for held-out images."""
    settings, candidates = ahead.settings.projection, ahead.settings.arithmetic.candidates
    count = photos or settings.held_out
    each = 2 * candidates + settings.starts * (settings.steps + 1)
    judged = 0 if settings.features == "pixels" else settings.starts * (settings.steps + 1)
    return [
        Step(f"{count} photographs", generated=count * each, judged=count * judged, drawn=3 * count),
        Step(f"{settings.controls} generated images, as a control", generated=settings.controls * (each + 1),
             judged=settings.controls * judged),
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Found:
    """One projection and the errors to compare it with; errors are root mean squares on the scale 0 to 255.

    Attributes:
        best: The latent and its errors.
        nearest: [z] latent of the nearest random sample.
        nearest_error: Pixel error of the nearest random sample.
        random_error: Median pixel error of random samples.
        encoded_error: Pixel error of the encoder's own result; None without an encoder.
    """

    best: Projected
    nearest: np.ndarray
    nearest_error: float
    random_error: float
    encoded_error: float | None

    def row(self, photo: Photo) -> dict[str, Any]:
        """The row of projections.json."""
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


def _about_controls(projected: Sequence[_Found], latents: np.ndarray) -> dict[str, Any]:
    errors = [control.best.pixel_error for control in projected]
    cosines = [
        float(control.best.latent @ z / (np.linalg.norm(control.best.latent) * np.linalg.norm(z)))
        for control, z in zip(projected, latents, strict=True)
    ]
    return {
        "count": len(projected),
        "pixel_error_median": float(np.median(errors)),
        "found_back": sum(error <= FOUND_BACK_LEVELS for error in errors),
        "found_back_below": FOUND_BACK_LEVELS,
        "latent_cosine_median": float(np.median(cosines)),
    }


def _project(models: StudyModels, photo: Photo, settings: LatentsConfig, features: StudyFeatures) -> _Found:
    generator = models.open_generator()
    if generator.network is None:
        raise LatentsError("project: needs a generator that gives gradients")
    target = from_pixels(photo.pixels[None])[0].to(generator.device)
    candidates = _unknown(generator, generator.sample_latents(settings.arithmetic.candidates, settings.seed), settings)
    errors = _errors_of(generator, candidates, target)
    nearest = int(errors.argmin())
    encoded = None if generator.encoder is None else generator.encode(photo.pixels[None])
    best = project(
        _of_normal(generator, candidates),
        target,
        # The encoder's latent is one more candidate to start a descent from.
        (candidates if encoded is None else np.concatenate([encoded, candidates]))[:, : generator.normal_size],
        # The finder's, not the measurer's, which has to judge edits of the latent.
        features=features.build(models.open_finder, generator.device),
        starts=settings.projection.starts,
        steps=settings.projection.steps,
    )
    return _Found(
        dataclasses.replace(best, latent=np.concatenate([best.latent, candidates[0, generator.normal_size :]])),
        candidates[nearest],
        in_levels(float(errors[nearest])),
        in_levels(float(errors.median())),
        None if encoded is None else in_levels(float(_errors_of(generator, encoded, target)[0])),
    )


def _unknown(generator: LoadedGenerator, latents: np.ndarray, settings: LatentsConfig) -> np.ndarray:
    """Latents of a conditional generator with the condition of `latents.condition`; its other labels are unknown."""
    if generator.condition is None:
        return latents
    return generator.latents_with(latents[:, : generator.normal_size], settings.condition)


def _of_normal(generator: LoadedGenerator, latents: np.ndarray) -> Generate:
    """The network as a function of z alone, whose condition is that of these latents, the same in all."""
    network = generator.network
    assert network is not None
    if generator.condition is None:
        return network
    code = torch.from_numpy(latents[:1, generator.normal_size :]).to(generator.device)
    return lambda normal: network(torch.cat([normal, code.expand(len(normal), -1)], dim=1))


def _errors_of(generator: LoadedGenerator, latents: np.ndarray, target: Tensor) -> Tensor:
    """[n] mean squared error of each latent's image, on the CPU."""
    return ((from_pixels(generator.images(latents)) - target.cpu()) ** 2).mean(dim=(1, 2, 3))


def _picture(images: Any, photos: Sequence[Photo], projected: Sequence[_Found]) -> np.ndarray:
    """One row per photograph: the photograph, its projection, and the nearest random sample."""
    tiles, captions = [], []
    for photo, result in zip(photos, projected, strict=True):
        shown = images(np.stack([result.best.latent, result.nearest]))
        tiles += [photo.pixels, *shown]
        captions += [
            f"{photo.name}\nphotograph",
            f"projected\nerror {result.best.pixel_error:.1f}",
            f"nearest sample\nerror {result.nearest_error:.1f}",
        ]
    title = "Photographs in latent space (error: root mean square on the scale 0 to 255)"
    return labelled_sheet(np.stack(tiles), captions, columns=3, title=title)
