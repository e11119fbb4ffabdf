"""The gain and the cost of bfloat16 features: their speed compared with float32, and how much they change scores."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, Request, SourceSpec, build_extractor
from framework.evaluation.features.extractor import BLOCK_IMAGES
from framework.evaluation.values.compute import measure
from framework.evaluation.values.feature_set import FeatureSet
from framework.evaluation.values.moments import source_features
from framework.evaluation.values.pool import Pool
from framework.metrics import Moments
from framework.models.arithmetic.bfloat16 import LEAST_GAIN, bfloat16_gain, convolution_gain, is_emulated
from framework.orchestration.pool.tasks import task_device
from framework.orchestration.scoring.features import FeatureComputer

SHIFT_IMAGES = 500


def check_gain(features: FeatureSpec, pool: Pool, *, say: Callable[[str], None]) -> None:
    """Says how much faster a worker of the pool computes features in bfloat16 than in float32.

    Raises:
        EvaluationError: bfloat16 is not faster.
    """
    (gain,) = pool.map(_gain, [(features,)], name="test bfloat16")
    if gain < LEAST_GAIN:
        raise EvaluationError(
            f"evaluation.precision: bfloat16 is not faster here ({gain:.2f} times the speed of float32); use float32"
        )
    say(f"bfloat16: {gain:.1f} times the speed of float32 here")


def precision_shift(
    requests: Sequence[Request],
    features: FeatureSpec,
    *,
    real: SourceSpec,
    fake: SourceSpec,
    held_out: SourceSpec | None,
    computer: FeatureComputer,
) -> dict[Request, dict[str, Any]]:
    """Each score of the first 500 images of both sides, in float32 and in the precision of the features.

    Args:
        requests: The scores of one pass.
        features: The features of that pass.
        fake: The images that are scored.
        held_out: Real images that training never sees, if a request needs them.
    """
    count = min(SHIFT_IMAGES, real.count, fake.count)
    small = {request: dataclasses.replace(request, samples=count) for request in requests}
    values = {}
    for precision in ("float32", features.precision):
        spec = dataclasses.replace(features, precision=precision)
        plain = dataclasses.replace(spec, logits=False)
        rows = _first(real, plain, count, computer)[0]
        fake_rows, logits = _first(fake, spec, count, computer)
        held_out_rows = None if held_out is None else _first(held_out, plain, count, computer)[0]
        sides = FeatureSet(
            real=Moments.of(rows),
            real_features=rows,
            fake_features=fake_rows,
            held_out_features=held_out_rows,
            logits=logits,
        )
        values[precision] = measure(list(small.values()), sides, computer.parts_pool("shift"))
    return {
        request: {"images": count} | {precision: measured[fewer].value for precision, measured in values.items()}
        for request, fewer in small.items()
    }


def with_shift(score: dict[str, Any], shift: dict[str, Any] | None) -> dict[str, Any]:
    """The score document, with the shift added to its detail."""
    return score if shift is None else score | {"detail": {**score.get("detail", {}), "shift": shift}}


def _first(
    source: SourceSpec, spec: FeatureSpec, count: int, computer: FeatureComputer
) -> tuple[np.ndarray, np.ndarray | None]:
    side = source.side.model_copy(update={"count": min(count, source.count)})
    first = computer.on_device(dataclasses.replace(source, side=side))
    return source_features(first, spec, blocks=computer.blocks, pool=computer.pool, name=f"shift, {spec.precision}")


def _gain(features: FeatureSpec) -> float:
    """Runs in a worker. Tests a small convolution first: a device that emulates bfloat16 would take minutes."""
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
