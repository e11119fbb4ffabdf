"""The features that a run began with: `evaluation.features: auto` keeps them, so that its scores stay comparable."""

from collections.abc import Iterator
from typing import Any

from framework.config import EvaluationConfig
from framework.config.code import FUNCTION
from framework.config.consistency import discriminator_networks
from framework.config.metrics import NetworkName
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import NAMES
from framework.evaluation.features.weights import find_weights
from framework.runs import RunFolder
from framework.runs.folder import EXPERIMENT

# The features that a search metric implies.
_OF_METRICS: dict[str, NetworkName] = {
    "fid": "inception",
    "inception_score": "inception",
    "efficientnet_frechet_distance": "efficientnet",
    "assessor_frechet_distance": "assessor",
}


def trial_settings(run: RunFolder) -> EvaluationConfig:
    """The evaluation settings that trials are scored with.

    The features are those that `search.metric` implies, else `evaluation.features`; `auto` keeps those of the scores
    that the trials have, because a search ranks its trials by one metric.
    """
    settings = run.experiment.evaluation
    kind = implied_features(run)
    if kind is None and settings.features == "auto":
        kind = begun_features(run)
        if kind in (None, "efficientnet"):
            kind = _instead_of_the_discriminators(run) or kind
    return settings if kind is None else settings.model_copy(update={"features": kind})


def implied_features(run: RunFolder) -> NetworkName | None:
    """The features that `search.metric` implies; None if it goes with any."""
    return _OF_METRICS.get(run.experiment.search.metric)


def final_settings(run: RunFolder) -> EvaluationConfig:
    """The evaluation settings of a run's scores.

    Without Inception's weights, `auto` is the assessor in a run that began with it: older versions took it there.
    """
    settings = run.experiment.evaluation
    instead = _instead_of_the_discriminators(run) if settings.features == "auto" else None
    if instead is not None:
        return settings.model_copy(update={"features": instead})
    if settings.features != "auto" or find_weights(settings.weights) or begun_features(run) != "assessor":
        return settings
    return settings.model_copy(update={"features": "assessor"})


def judged_in_training(run: RunFolder, features: str) -> bool:
    """Whether a discriminator of the run is built on the network of these features, by its name in protocols."""
    return features in discriminator_networks(run.experiment)


def _instead_of_the_discriminators(run: RunFolder) -> NetworkName | None:
    """What `auto` means where a discriminator is built on the network that it would take without Inception's weights.

    None if there is no such discriminator.
    """
    if not judged_in_training(run, NAMES["efficientnet"]):
        return None
    return "inception" if find_weights(run.experiment.evaluation.weights) else "assessor"


def begun_features(run: RunFolder) -> NetworkName | None:
    """The kind of features of the run's first scores, those of trials before others; None without a score.

    Raises:
        EvaluationError: They are features of something that no word names, such as a function.
    """
    if not run.folder.exists(EXPERIMENT):
        return None
    kinds: dict[str, NetworkName] = {name: kind for kind, name in NAMES.items()}
    for score in _scores(run):
        features = score["protocol"].get("features")
        if isinstance(features, dict) and features.get("name") in kinds:
            return kinds[features["name"]]
        if isinstance(features, dict) and isinstance(name := features.get("name"), str):
            raise EvaluationError(
                f"evaluation.features: auto, but this run's scores are on features of {name}; name them: "
                f"evaluation.features={name if FUNCTION.fullmatch(name) else 'FILE'}"
            )
    return None


def _scores(run: RunFolder) -> Iterator[dict[str, Any]]:
    best = run.best()
    if best is not None and best.get("score"):
        yield best["score"]
    for trial in run.trials():
        yield from (row["score"] for row in trial.metrics() if row.get("score"))
    yield from run.scores()
