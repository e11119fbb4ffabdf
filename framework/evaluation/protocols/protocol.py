"""The protocol of a score: how it was computed. Every score has one; scores with equal protocols can be compared."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from framework.config.metrics import METRICS, MetricName, Setting, Settings
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.score_name import score_name

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]
Engine = Literal["latentscape", "torchmetrics"]
PRECISION = "features float32, moments float64"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FeatureSource(_Frozen):
    """The extractor: its name and the sha256 of its weights.

    Attributes:
        in_discriminator: True if a discriminator of the run was built on this network, which flatters the generator.
    """

    name: str
    sha256: Digest
    in_discriminator: Literal[True] | None = None


class ImageSetSpec(_Frozen):
    """The images of one side of a comparison.

    Attributes:
        count: Number of images; None if a file of statistics does not contain it.
        split: training (without held-out images), held_out, all (of a collection), generated, or statistics (a file
            of moments without the images).
        height: Height in pixels; None if the sizes differ or are unknown.
        width: Width in pixels; None if the sizes differ or are unknown.
        channels: 3, or 1 for grey.
        digest: sha256 of the images' content; None for generated images, which their checkpoint identifies.
        seed: Seed of the latents of generated images.
        sampled_from: Number of images from which `count` were drawn; None if all were used.
        sample_seed: Seed of that draw; None if the first ones by the sha256 of their content were taken.
        truncation: Scale ψ of the latents of generated images; None for 1.
        device: The type of GPU that the features were computed on; None for CPUs.
        label: The label that all images have a value of; None if they are not those of one class.
        value: The name of that class, or 0 or 1.
    """

    count: Annotated[int, Field(ge=2)] | None
    split: Literal["training", "held_out", "all", "generated", "statistics"]
    height: Count | None
    width: Count | None
    channels: Literal[1, 3]
    digest: Digest | None = None
    seed: int | None = None
    sampled_from: Count | None = None
    sample_seed: int | None = None
    truncation: Annotated[float, Field(gt=0.0)] | None = None
    device: str | None = None
    label: str | None = None
    value: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.count is None and self.split != "statistics":
            raise ValueError(f"count: needs the number of {self.split} images")
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width: give both, or neither if sizes differ")
        return self


class Protocol(_Frozen):
    """How a score is computed.

    Attributes:
        name: Name of the score, with its features and the number of generated images, such as `fid5k_768`.
        tap: Number of features; for Inception this also determines the layer that they are taken from.
        resize: How images are resized.
        real: The reference; None for a metric of the samples only.
        fake: The images that are scored.
        held_out: Real images outside the reference, for metrics that need them.
        pixels: The pixel values that the extractor gets.
        precision: Precision of the features and of the metric.
        settings: Parameters of the metric: neighbours, subsets, their seed.
        seeds: Number of latent seeds, counted up from that of the fake side; the score is the mean over them.
        engine: Which implementation computes the metric.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    family: MetricName = "fid"
    features: FeatureSource
    tap: int
    resize: str
    real: ImageSetSpec | None = None
    fake: ImageSetSpec
    held_out: ImageSetSpec | None = None
    pixels: str
    precision: str = PRECISION
    settings: dict[str, Setting] = {}
    seeds: Count = 1
    engine: Engine = "latentscape"

    @classmethod
    def of(
        cls,
        features: FeatureSpec,
        *,
        fake: ImageSetSpec,
        real: ImageSetSpec | None = None,
        held_out: ImageSetSpec | None = None,
        metric: MetricName = "fid",
        settings: Settings | None = None,
        seeds: int = 1,
        engine: Engine = "latentscape",
    ) -> "Protocol":
        """The protocol of a metric's score; without `settings`, the metric's default parameters.

        Raises:
            EvaluationError: The metric cannot be computed from these sides or features.
        """
        definition = METRICS[metric]
        sides = [side for side in (real, fake, held_out) if side is not None]
        if (real is not None) != definition.has_real:
            raise EvaluationError(f"{metric}: {'needs' if definition.has_real else 'does not use'} real images")
        if (held_out is not None) != definition.has_held_out:
            verb = "needs" if definition.has_held_out else "does not use"
            raise EvaluationError(f"{metric}: {verb} held-out images")
        if metric != "fid" and any(side.split == "statistics" for side in sides):
            raise EvaluationError(
                f"{metric}: needs images on both sides; only fid can be computed from a file of statistics"
            )
        for which, side in (("the reference", real), ("the scored side", fake), ("the held-out part", held_out)):
            if side is not None and side.count is not None and side.count < definition.least_images:
                least = f"needs at least {definition.least_images} images on each side"
                raise EvaluationError(f"{metric}: {least}, but {which} has {side.count}")
        if settings is None:
            settings = definition.settings_for(real=None if real is None else real.count, fake=fake.count)
        return cls(
            name=_name(metric, features, fake=fake),
            family=metric,
            features=FeatureSource(name=features.name, sha256=features.digest),
            tap=features.tap,
            resize=features.resize,
            real=real,
            fake=fake,
            held_out=held_out,
            pixels=f"uint8, generated ones rounded and clipped{_repeated(features, sides)}",
            precision=f"features {features.precision}, {definition.arithmetic}",
            settings=settings,
            seeds=seeds,
            engine=engine,
        )

    def document(self) -> dict[str, Any]:
        """The protocol as JSON.

        Fields that do not apply, and fields still at the value that older scores implied, are omitted. So the document
        of an older score equals that of the same score today.
        """
        document = self.model_dump(mode="json", exclude_none=True)
        defaults = {"family": "fid", "settings": {}, "seeds": 1, "engine": "latentscape"}
        return {key: value for key, value in document.items() if key not in defaults or value != defaults[key]}


def same_but_device(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the documents of two protocols are equal, except for the devices of the scores.

    >>> same_but_device({"tap": 64, "fake": {"count": 5, "device": "NVIDIA L4"}}, {"tap": 64, "fake": {"count": 5}})
    True
    """
    return _without_device(document) == _without_device(other)


def is_truncated(score: Mapping[str, Any]) -> bool:
    """Whether the document of a score is one of samples whose latents were scaled by ψ other than 1.

    >>> is_truncated({"protocol": {"fake": {"truncation": 0.7}}}), is_truncated({"protocol": {"fake": {}}})
    (True, False)
    """
    protocol = score.get("protocol")
    fake = protocol.get("fake") if isinstance(protocol, Mapping) else None
    return isinstance(fake, Mapping) and fake.get("truncation") is not None


def make_score(
    metric: str, value: float, protocol: Protocol, *, sd: float | None = None, detail: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The document of a score: `{"metric", "value", "protocol"}`, and `sd` and `detail` if there are any.

    Args:
        metric: The name of the protocol.
        value: The score; with several seeds or subsets their mean.
        protocol: How the score was computed.
        sd: Standard deviation over the seeds if there are several, else over the metric's subsets or splits.
        detail: Further numbers behind the value, such as the points of a fit.

    Raises:
        EvaluationError: The protocol is missing or has another name, or the value is not finite.
    """
    if not isinstance(protocol, Protocol):
        raise EvaluationError(f"{metric}: a score needs its protocol, not {type(protocol).__name__}")
    if metric != protocol.name:
        raise EvaluationError(f"{metric}: got the protocol of {protocol.name}")
    for number in (value, 0.0 if sd is None else sd):
        if not math.isfinite(number):
            raise EvaluationError(f"{metric}: {number} is not a valid score")
    optional = {"sd": None if sd is None else float(sd), "detail": detail}
    present = {key: entry for key, entry in optional.items() if entry is not None}
    return {"metric": metric, "value": float(value), **present, "protocol": protocol.document()}


def _name(metric: MetricName, features: FeatureSpec, *, fake: ImageSetSpec) -> str:
    if features.kind != "inception" and METRICS[metric].plain_name is None:
        raise EvaluationError(f"{metric}: needs Inception's classes, not features of {features.name}")
    clean = features.resize_name == "clean"
    return score_name(
        metric,
        features=features.prefix,
        tap=features.tap,
        clean=clean,
        generated=fake.count,
        truncation=fake.truncation,
        per_class=fake.label is not None,
    )


def _repeated(features: FeatureSpec, sides: list[ImageSetSpec]) -> str:
    grey = features.kind != "assessor" and any(side.channels == 1 for side in sides)
    return "; grey repeated to 3 channels" if grey else ""


def _without_device(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: entry for name, entry in value.items() if name != "device"} if isinstance(value, Mapping) else value
        for key, value in document.items()
    }
