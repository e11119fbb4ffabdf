"""Resolves a configuration to the features that this machine can compute."""

from pathlib import Path

import numpy as np
import torch

from framework.config import EvaluationConfig
from framework.config.code import function_of_features
from framework.config.metrics import WEIGHTS_ENDINGS
from framework.errors import EvaluationError, reason_of
from framework.evaluation.features.extractor import FeatureSpec, load_assessor
from framework.evaluation.features.function import try_function
from framework.evaluation.features.inception import Inception
from framework.evaluation.features.resizing import resize
from framework.evaluation.features.transformer import VisionTransformer
from framework.evaluation.features.weights import (
    EFFICIENTNET,
    efficientnet_file,
    features_file,
    find_weights,
    how_to_get_weights,
    read_efficientnet,
    read_transformer,
    read_weights,
)

# Ranks damaged faces as FID-768 does (Spearman's correlation 0.96, benchmarks/feature_agreement.py); early taps do not.
EFFICIENTNET_TAP = 1280


def resolve_features(config: EvaluationConfig, *, assessor_folder: str | Path | None) -> FeatureSpec:
    """The features that `evaluation.features` and its related keys select on this machine.

    Args:
        assessor_folder: The folder of the measurer; None without one.

    Raises:
        EvaluationError: The features are not available, are not finite, or cannot be computed by an assessor.
    """
    function = function_of_features(config.features)
    if function is not None:
        _refuse_what_only_inception_has(config, instead="your function", taps=True)
        tap, digest = try_function(function)
        return FeatureSpec("function", function, digest, tap, resize_name="none")
    if config.features.endswith(WEIGHTS_ENDINGS):
        return _file_spec(features_file(config.features), config)
    if config.features in ("auto", "inception"):
        weights = find_weights(config.weights)
        if weights is not None:
            return _inception_spec(weights, config)
        if config.features == "inception":
            raise EvaluationError(
                f"evaluation.features: inception, but the weights are missing; {how_to_get_weights()}"
            )
    if config.features != "assessor":
        _refuse_what_only_inception_has(config, instead="EfficientNet", allowed=("clean",), taps=True)
        file = efficientnet_file()
        read_efficientnet(file)
        return FeatureSpec("efficientnet", str(file), EFFICIENTNET.sha256, EFFICIENTNET_TAP, resize_name="clean")
    if assessor_folder is None:
        raise EvaluationError(
            "evaluation.features: assessor, but there is no assessor; it needs images with labels (data.labels). "
            "evaluation.features=efficientnet needs none"
        )
    _refuse_what_only_inception_has(config, instead="the assessor")
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
        raise EvaluationError(
            f"{path}: its weights do not fit the Inception of 2015-12-05 ({reason_of(fault)})"
        ) from None
    finite = [tap for tap, values in walked.items() if values.shape[1] == tap and bool(values.isfinite().all())]
    if not finite:
        raise EvaluationError(f"{path}: its weights give no finite features at any tap")
    if config.tap not in ("auto", *finite):
        raise EvaluationError(
            f"evaluation.tap: {config.tap} gives features that are not finite with {path}; "
            f"taps with finite features are {', '.join(map(str, finite))}"
        )
    logits = _needs_logits(config)
    if logits and not bool(network.logits(walked[2048]).isfinite().all()):
        raise EvaluationError(
            f"evaluation.metrics: inception_score needs finite logits, but those of {path} are not finite; "
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


def _file_spec(path: Path, config: EvaluationConfig) -> FeatureSpec:
    """The features of a network that the user's file holds."""
    _refuse_what_only_inception_has(config, instead="the file", allowed=("clean", "tensorflow2015"), taps=True)
    weights, digest = read_transformer(path)
    try:
        network = VisionTransformer(weights)
        side = network.architecture.side
        noise = np.random.default_rng(0).integers(0, 256, size=(1, side, side, 3)).astype(np.float32)
        features = network(torch.from_numpy(noise))
    except ValueError as fault:
        raise EvaluationError(f"evaluation.features: {path}: {reason_of(fault)}") from None
    if not bool(features.isfinite().all()):
        raise EvaluationError(f"evaluation.features: {path}: its weights give no finite features")
    return FeatureSpec(
        "file",
        str(path),
        digest,
        features.shape[1],
        resize_name="clean" if config.resize == "auto" else config.resize,
        network=network.architecture.name,
        side=side,
    )


def _refuse_what_only_inception_has(
    config: EvaluationConfig, *, instead: str, allowed: tuple[str, ...] = (), taps: bool = False
) -> None:
    """Refuses settings that the network `instead` cannot follow.

    Args:
        allowed: The resizes that it can do.
        taps: Whether it refuses a tap; an assessor has always ignored it.
    """
    if config.resize not in ("auto", *allowed):
        setting = f"evaluation.resize: {config.resize}"
    elif config.precision != "float32":
        setting = f"evaluation.precision: {config.precision}"
    elif taps and config.tap != "auto":
        setting = f"evaluation.tap: {config.tap}"
    elif _needs_logits(config):
        setting = "evaluation.metrics: inception_score"
    else:
        return
    lacking = "" if config.features != "auto" else f"; {how_to_get_weights()}"
    raise EvaluationError(f"{setting} needs features of Inception, but here {instead} computes the features{lacking}")


def _needs_logits(config: EvaluationConfig) -> bool:
    """Whether a metric or a named protocol such as `inception_score50k` needs logits."""
    return config.metrics != "auto" and any(name.startswith("inception_score") for name in config.metrics)
