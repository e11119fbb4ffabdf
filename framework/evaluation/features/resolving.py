"""Which features a configuration stands for on this machine."""

from pathlib import Path

import numpy as np

from framework.config import EvaluationConfig
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec, load_assessor
from framework.evaluation.features.inception import Inception
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.weights import find_weights, how_to_get_weights, read_weights


def resolve_features(config: EvaluationConfig, *, assessor_folder: str | Path | None) -> FeatureSpec:
    """Which features `evaluation.features` and the keys beside it stand for here.

    Args:
        config: The evaluation section.
        assessor_folder: The folder of the assessor that measures, where there is one.

    Raises:
        EvaluationError: What is asked for is not here, not finite, or not to be had of the assessor.
    """
    if config.features != "assessor":
        weights = find_weights(config.weights)
        if weights is not None:
            return _inception_spec(weights, config)
        if config.features == "inception" or assessor_folder is None:
            raise EvaluationError(
                f"evaluation.features: {config.features}, but no weights are here; {how_to_get_weights()}"
            )
    if assessor_folder is None:
        raise EvaluationError(
            "evaluation.features: assessor, but there is none: it wants images with labels (data.labels), "
            "or evaluation.weights for FID"
        )
    _refuse_what_only_inception_has(config)
    assessor = load_assessor(assessor_folder)
    return FeatureSpec(
        "assessor",
        str(Path(assessor_folder).resolve()),
        assessor.digest,
        assessor.feature_size,
        resize_name="none",
    )


def _inception_spec(path: Path, config: EvaluationConfig) -> FeatureSpec:
    weights, digest = read_weights(path)
    noise = np.random.default_rng(0).integers(0, 256, size=(1, 64, 64, 3), dtype=np.uint8)
    try:
        network = Inception(weights, tap=2048, logits=True)
        walked = dict(network.walk(resize(noise, how="tensorflow2015", device=network.device)))
    except (KeyError, RuntimeError) as fault:
        raise EvaluationError(f"{path}: its weights do not fit the Inception of 2015-12-05 ({fault})") from None
    finite = [tap for tap, found in walked.items() if found.shape[1] == tap and bool(found.isfinite().all())]
    if not finite:
        raise EvaluationError(f"{path}: its weights give no finite features at any tap")
    if config.tap not in ("auto", *finite):
        raise EvaluationError(
            f"evaluation.tap: {config.tap} gives features that are not finite with {path}; "
            f"finite are {', '.join(map(str, finite))}"
        )
    logits = _wants_logits(config)
    if logits and not bool(network.logits(walked[2048]).isfinite().all()):
        raise EvaluationError(
            f"evaluation.metrics: inception_score wants finite logits, and {path} gives NaN instead; "
            f"{how_to_get_weights()}"
        )
    return FeatureSpec(
        "inception",
        str(path),
        digest,
        max(finite) if config.tap == "auto" else config.tap,
        resize_name="tensorflow2015" if config.resize == "auto" else config.resize,
        precision=config.precision,
        logits=logits,
    )


def _refuse_what_only_inception_has(config: EvaluationConfig) -> None:
    if config.resize != "auto":
        named = f"evaluation.resize: {config.resize}"
    elif config.precision != "float32":
        named = f"evaluation.precision: {config.precision}"
    elif _wants_logits(config):
        named = "evaluation.metrics: inception_score"
    else:
        return
    raise EvaluationError(f"{named} is for Inception's features, and here the assessor gives them")


def _wants_logits(config: EvaluationConfig) -> bool:
    """Also where a protocol of the Inception Score is named: `inception_score50k`."""
    return config.metrics != "auto" and any(name.startswith("inception_score") for name in config.metrics)
