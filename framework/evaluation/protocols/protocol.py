"""What a score was made of. There is no score without it, and scores compare where their protocols are equal."""

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
    """Whose features: the extractor's name and the sha256 of its weights."""

    name: str
    sha256: Digest


class ImageSide(_Frozen):
    """One side of a comparison.

    Attributes:
        count: How many images; none where a file of statistics does not say.
        split: training (held-out images left out), held_out, all (of a collection), generated, or statistics (a file
            of moments, whose images are not at hand).
        height: Pixels; none where the sizes are mixed or not at hand.
        width: Likewise.
        channels: 3, or 1 for grey.
        digest: sha256 of the images' content; none for generated ones, which their checkpoint names.
        seed: Of the latents, for generated ones.
        sampled_from: How many there are, where `count` of them were drawn.
        sample_seed: Of that draw.
        device: The kind of GPU that its features were computed on; none for CPUs.
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
    device: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.count is None and self.split != "statistics":
            raise ValueError(f"count: wants a number of {self.split} images")
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width: both, or neither where sizes are mixed")
        return self


class Protocol(_Frozen):
    """How a score is made.

    Attributes:
        name: The metric's, which says the features and the number of generated images: `fid5k_768`.
        family: The metric; `name` says its settings too.
        features: The extractor.
        tap: How many features, which for Inception says where they are taken.
        resize: What happens to an image's size before.
        real: The reference; none for what looks at the samples alone.
        fake: What is scored.
        held_out: Real images that the reference does not contain, where they are compared too.
        pixels: The values that are compared.
        precision: Of the features and of what is computed of them.
        settings: What the metric itself wants: neighbours, subsets, their seed.
        seeds: How many latent seeds, counted up from the fake side's; the score is their mean.
        engine: Whose arithmetic.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    family: MetricName = "fid"
    features: FeatureSource
    tap: int
    resize: str
    real: ImageSide | None = None
    fake: ImageSide
    held_out: ImageSide | None = None
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
        fake: ImageSide,
        real: ImageSide | None = None,
        held_out: ImageSide | None = None,
        metric: MetricName = "fid",
        settings: Settings | None = None,
        seeds: int = 1,
        engine: Engine = "latentscape",
    ) -> "Protocol":
        """The protocol of a metric's score; `settings` are the metric's own where none are given.

        Raises:
            EvaluationError: The metric cannot be made of these sides or features.
        """
        made_of = METRICS[metric]
        sides = [side for side in (real, fake, held_out) if side is not None]
        if (real is not None) != made_of.has_real:
            raise EvaluationError(f"{metric}: {'wants a real side' if made_of.has_real else 'has no real side'}")
        if (held_out is not None) != made_of.has_held_out:
            raise EvaluationError(f"{metric}: {'wants' if made_of.has_held_out else 'has no'} held-out images")
        if metric != "fid" and any(side.split == "statistics" for side in sides):
            raise EvaluationError(f"{metric}: wants images on both sides; a file of statistics serves fid alone")
        for which, side in (("the reference", real), ("what is scored", fake), ("the held-out part", held_out)):
            if side is not None and side.count is not None and side.count < made_of.least_images:
                least = f"wants at least {made_of.least_images} images on each side"
                raise EvaluationError(f"{metric}: {least}, and {which} has {side.count}")
        if settings is None:
            settings = made_of.settings_for(real=None if real is None else real.count, fake=fake.count)
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
            precision=f"features {features.precision}, {made_of.arithmetic}",
            settings=settings,
            seeds=seeds,
            engine=engine,
        )

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what does not apply is left out, and so is what scores were made with before it could vary.

        So the document of an older score equals that of the same score today.
        """
        found = self.model_dump(mode="json", exclude_none=True)
        defaults = {"family": "fid", "settings": {}, "seeds": 1, "engine": "latentscape"}
        return {key: value for key, value in found.items() if key not in defaults or value != defaults[key]}


def same_but_device(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two protocols' documents say the same, on whatever device either score was made.

    >>> same_but_device({"tap": 64, "fake": {"count": 5, "device": "NVIDIA L4"}}, {"tap": 64, "fake": {"count": 5}})
    True
    """
    return _without_device(document) == _without_device(other)


def make_score(
    metric: str, value: float, protocol: Protocol, *, sd: float | None = None, detail: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The one form of a score: `{"metric", "value", "protocol"}`, and where there are some `sd` and `detail`.

    Args:
        metric: The protocol's name.
        value: The score; over several seeds or subsets their mean.
        protocol: How it was made.
        sd: Over the seeds where there are several, else over the metric's own subsets or splits.
        detail: What stands behind the value, as a fit's points.

    Raises:
        EvaluationError: The protocol is none, or is another metric's; the value is not finite.
    """
    if not isinstance(protocol, Protocol):
        raise EvaluationError(f"{metric}: a score needs its protocol, not {type(protocol).__name__}")
    if metric != protocol.name:
        raise EvaluationError(f"{metric}: its protocol is that of {protocol.name}")
    for number in (value, 0.0 if sd is None else sd):
        if not math.isfinite(number):
            raise EvaluationError(f"{metric}: {number} is no score")
    beside = {"sd": None if sd is None else float(sd), "detail": detail}
    told = {key: kept for key, kept in beside.items() if kept is not None}
    return {"metric": metric, "value": float(value), **told, "protocol": protocol.document()}


def _name(metric: MetricName, features: FeatureSpec, *, fake: ImageSide) -> str:
    if features.kind == "assessor" and METRICS[metric].assessor_name is None:
        raise EvaluationError(f"{metric}: wants Inception's classes; an assessor has none")
    clean = features.resize_name == "clean"
    return score_name(metric, kind=features.kind, tap=features.tap, clean=clean, generated=fake.count)


def _repeated(features: FeatureSpec, sides: list[ImageSide]) -> str:
    grey = features.kind == "inception" and any(side.channels == 1 for side in sides)
    return "; grey repeated to 3 channels" if grey else ""


def _without_device(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: said for name, said in value.items() if name != "device"} if isinstance(value, Mapping) else value
        for key, value in document.items()
    }
