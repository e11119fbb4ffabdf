"""What a score was made of. There is no score without it, and scores compare where their protocols are equal."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from framework.errors import EvaluationError
from framework.evaluation.features import FeatureSpec

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
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
        count: How many images.
        split: training (held-out images left out), all (of a collection), or generated.
        height: Pixels.
        width: Pixels.
        channels: 3, or 1 for grey.
        digest: sha256 of the images' content; none for generated ones, which their checkpoint names.
        seed: Of the latents, for generated ones.
    """

    count: Annotated[int, Field(ge=2)]
    split: Literal["training", "all", "generated"]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]
    digest: Digest | None = None
    seed: int | None = None


class Protocol(_Frozen):
    """How a score is made.

    Attributes:
        name: The metric's, which says the features and the number of generated images: `fid5k_768`.
        features: The extractor.
        tap: How many features, which for Inception says where they are taken.
        resize: What happens to an image's size before.
        real: The reference.
        fake: What is scored.
        pixels: The values that are compared.
        precision: Of features and moments.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    features: FeatureSource
    tap: int
    resize: str
    real: ImageSide
    fake: ImageSide
    pixels: str
    precision: str = PRECISION

    @classmethod
    def of(cls, features: FeatureSpec, *, real: ImageSide, fake: ImageSide) -> "Protocol":
        """The protocol of the Fréchet distance between two sides."""
        grey = (
            "; grey repeated to 3 channels"
            if features.kind == "inception" and 1 in (real.channels, fake.channels)
            else ""
        )
        return cls(
            name=features.metric(fake.count),
            features=FeatureSource(name=features.name, sha256=features.digest),
            tap=features.tap,
            resize=features.resize,
            real=real,
            fake=fake,
            pixels=f"uint8, generated ones rounded and clipped{grey}",
        )

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what does not apply is left out."""
        return self.model_dump(mode="json", exclude_none=True)


def make_score(metric: str, value: float, protocol: Protocol) -> dict[str, Any]:
    """The one form of a score: `{"metric", "value", "protocol"}`.

    Raises:
        EvaluationError: The protocol is none, or is another metric's; the value is not finite.
    """
    if not isinstance(protocol, Protocol):
        raise EvaluationError(f"{metric}: a score needs its protocol, not {type(protocol).__name__}")
    if metric != protocol.name:
        raise EvaluationError(f"{metric}: its protocol is that of {protocol.name}")
    if not math.isfinite(value):
        raise EvaluationError(f"{metric}: {value} is no score")
    return {"metric": metric, "value": float(value), "protocol": protocol.document()}
