"""What bfloat16 features gain and what they cost: their speed beside float32, and how far they move each score."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, Request, SourceSpec, build_extractor
from framework.evaluation.features.extractor import BLOCK_IMAGES
from framework.evaluation.values.compute import Sides, measure
from framework.evaluation.values.moments import source_features
from framework.evaluation.values.pool import Crew
from framework.metrics import Moments
from framework.models.arithmetic.bfloat16 import LEAST_GAIN, bfloat16_gain, convolution_gain, is_emulated
from framework.orchestration.pool.tasks import task_device
from framework.orchestration.scoring.features import FeatureComputer

SHIFT_IMAGES = 500


def check_gain(features: FeatureSpec, crew: Crew, *, say: Callable[[str], None]) -> None:
    """Says how many times as fast as in float32 a worker of the pool computes bfloat16 features.

    Raises:
        EvaluationError: They are not faster.
    """
    (gain,) = crew.map(_gain, [(features,)], name="bfloat16 tried")
    if gain < LEAST_GAIN:
        raise EvaluationError(
            f"evaluation.precision: bfloat16 is no quicker here ({gain:.2f} times float32's speed); leave it at float32"
        )
    say(f"bfloat16: {gain:.1f} times float32's speed here")


def precision_shift(
    requests: Sequence[Request],
    features: FeatureSpec,
    *,
    real: SourceSpec,
    fake: SourceSpec,
    held_out: SourceSpec | None,
    computer: FeatureComputer,
) -> dict[Request, dict[str, Any]]:
    """Each score of the first 500 images of either side, in float32 and in the features' own precision.

    Args:
        requests: Of one pass.
        features: Its extractor.
        real: The reference.
        fake: What is scored.
        held_out: Real images that training never sees, where a request wants them.
        computer: Computes the features.
    """
    count = min(SHIFT_IMAGES, real.count, fake.count)
    small = {request: dataclasses.replace(request, samples=count) for request in requests}
    values = {}
    for precision in ("float32", features.precision):
        spec = dataclasses.replace(features, precision=precision)
        rows = _first(real, dataclasses.replace(spec, logits=False), count, computer)[0]
        fake_rows, logits = _first(fake, spec, count, computer)
        apart = None if held_out is None else _first(held_out, dataclasses.replace(spec, logits=False), count, computer)
        sides = Sides(
            real=Moments.of(rows),
            real_features=rows,
            fake_features=fake_rows,
            held_out_features=None if apart is None else apart[0],
            logits=logits,
        )
        values[precision] = measure(list(small.values()), sides, computer.parts_pool("shift"))
    return {
        request: {"images": count} | {precision: told[one].value for precision, told in values.items()}
        for request, one in small.items()
    }


def with_shift(score: dict[str, Any], shift: dict[str, Any] | None) -> dict[str, Any]:
    """A score document that tells its shift."""
    return score if shift is None else score | {"detail": {**score.get("detail", {}), "shift": shift}}


def _first(
    source: SourceSpec, spec: FeatureSpec, count: int, computer: FeatureComputer
) -> tuple[np.ndarray, np.ndarray | None]:
    side = source.side.model_copy(update={"count": min(count, source.count)})
    first = computer.on_device(dataclasses.replace(source, side=side))
    return source_features(first, spec, blocks=computer.blocks, crew=computer.crew, name=f"shift, {spec.precision}")


def _gain(features: FeatureSpec) -> float:
    """A crew member's: first a small convolution, for a device that only imitates bfloat16 would take minutes."""
    device = task_device()
    first = convolution_gain(torch.device(device))
    if is_emulated(first):
        return first
    images = np.random.default_rng(0).integers(0, 256, size=(BLOCK_IMAGES, 64, 64, 3), dtype=np.uint8)
    float32, bfloat16 = (
        build_extractor(dataclasses.replace(features, precision=precision), device)
        for precision in ("float32", "bfloat16")
    )
    return bfloat16_gain(lambda: _run(float32, images), lambda: _run(bfloat16, images), device=torch.device(device))


def _run(extractor: Any, images: np.ndarray) -> None:
    extractor(images)
