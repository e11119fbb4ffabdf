"""What of a run may be published: the settings that are listed here, and of texts only words. Nothing else goes."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from framework.checkpoint.saved import CONDITION
from framework.config import Experiment, with_overrides
from framework.config.code import FUNCTION
from framework.config.metrics import NETWORKS
from framework.config.recipes import RECIPE
from framework.config.schedule import whole_key
from framework.errors import ConfigError
from framework.training.reports.health import WARNINGS

_KEYS = {
    "data": "source resolution channels limit held_out max_rejected horizontal_flip seed",
    "model": "family architecture width blocks latent_size discriminator feature_network projection_channels dropout "
    "condition layers discriminator_layers",
    "objective": "loss likelihood deviation beta beta_warmup_images r1_gamma r2_gamma r1_every_steps augmentations "
    "augmentation_probability augmentation_target augmentation_speed_images",
    "optimizer": "generator_lr discriminator_lr beta1 beta2 epsilon",
    "training": "start_digest freeze_discriminator schedule batch_size total_images budget_minutes "
    "on_collapse most_rewinds ema_half_life_images report_every_images samples_every_images",
    "evaluation": "features tap resize precision metrics engine checkpoints seeds samples trial_samples "
    "importance_samples every_images feature_batch_blocks seed truncation per_class",
    "assessor": "attributes images width low high seed",
    "search": "space trials scheduler metric grace_images reduction_factor generation_images quantile sampler seeds "
    "repeat_best seed",
    "compute": "workers precision images_per_pass deterministic",
}
PORTABLE = ("name", "seed", *(f"{section}.{key}" for section, keys in _KEYS.items() for key in keys.split()))
"""The settings that may be published with their values."""

NAMED = ("data.path", "data.labels", "evaluation.weights", "training.start_from")
"""The settings of which the last part of the path may be published."""

_SCORE = ("metric", "value", "sd", "detail", "protocol", "checkpoint", "generator")
_DATA = ("source", "images", "training", "held_out", "digest")
_CONFIG = (*_KEYS["model"].split(), "resolution", "channels", "images_seen", CONDITION)
# Neither a path nor a login can be written without these.
_WORDS = re.compile(r"[^/\\@~\x00-\x1f\x7f]*")
_LABEL = re.compile(r"[^/\\@~\x00-\x1f\x7f]+(/[^/\\@~\x00-\x1f\x7f]+)?")
_CHECKPOINT = re.compile(r"trials/[\w-]+/checkpoints/\d+")


def portable(experiment: Experiment) -> Experiment:
    """The experiment with the settings that may be published; all others have their defaults."""
    values = {key: value_of(experiment, key) for key in PORTABLE}
    values["search.space"] = portable_settings(experiment.search.space)
    values["recipes"] = {name: portable_settings(settings) for name, settings in experiment.recipes.items()}
    if values["evaluation.features"] not in NETWORKS:  # a path, or the name of the user's code
        values["evaluation.features"] = "auto"
    values["assessor.attributes"] = None if values["assessor.attributes"] is None else _labels(experiment)
    names = {key: name_of(value_of(experiment, key)) for key in NAMED}
    return with_overrides(Experiment(), {**names, **{key: value for key, value in values.items() if _is_plain(value)}})


def portable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a trial or a search space, dotted key -> value, that may be published.

    >>> portable_settings({"optimizer.generator_lr.from": 1e-3, "data.path": "/home/me"})
    {'optimizer.generator_lr.from': 0.001}
    """
    published = (*PORTABLE, RECIPE)
    return {key: value for key, value in settings.items() if whole_key(key) in published and _is_plain(value)}


def portable_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What may be published of a generator's config.json: all that is needed to load it.

    Raises:
        ConfigError: A label that it is conditional on, or a class, has a name that may be a path.
    """
    if not _is_plain(config.get(CONDITION)):
        raise ConfigError("model.condition: names of labels and classes with / \\ @ or ~ cannot be published")
    return {key: config[key] for key in _CONFIG if key in config and _is_plain(config[key])}


def portable_score(score: Mapping[str, Any]) -> dict[str, Any] | None:
    """A score without texts that are not words; None if its metric has no name."""
    if not re.fullmatch(r"\w+", str(score.get("metric"))):
        return None
    place = str(score.get("checkpoint"))
    known = _plain({key: score[key] for key in _SCORE if key in score and key != "checkpoint"})
    features = (known.get("protocol") or {}).get("features")
    if isinstance(features, dict) and FUNCTION.fullmatch(str(features.get("name"))):
        features["name"] = "function"
    return {**known, **({"checkpoint": place} if _CHECKPOINT.fullmatch(place) else {})}


def portable_data(about: Mapping[str, Any]) -> dict[str, Any]:
    """What may be published of the images: their numbers, their digest, the names of their source and labels."""
    known = {key: about[key] for key in _DATA if key in about} | {"source": name_of(about.get("source"))}
    labels = [label for label in about.get("labels") or () if _LABEL.fullmatch(str(label))]
    return {**_plain(known), "labels": labels}


def portable_warnings(texts: list[str]) -> list[str]:
    """The warnings that Latentscape gives, and one line for any others."""
    known = [text for text in texts if text.startswith(WARNINGS) and _is_plain(text)]
    left = len(texts) - len(known)
    return [*known, *([f"{left} more, which only the run itself has"] if left else [])]


def portable_versions(versions: Mapping[str, Any]) -> dict[str, str]:
    """The versions of packages."""
    return {name: text for name, text in versions.items() if re.fullmatch(r"[\w.+-]+", str(text))}


def name_of(place: Any) -> str | None:
    """The last component of a path or URI; None if it has none that may be published.

    >>> name_of("/home/me/faces/UTKFace.tar"), name_of("s3://bucket/faces?region=x"), name_of("/"), name_of("~")
    ('UTKFace.tar', 'faces', None, None)
    """
    name = PurePosixPath(re.split(r"[?#]", str(place or ""), maxsplit=1)[0]).name
    return name if name and _is_plain(name) else None


def value_of(experiment: Experiment, dotted: str) -> Any:
    """The value of a key."""
    section, _, key = dotted.rpartition(".")
    return getattr(getattr(experiment, section) if section else experiment, key)


def _labels(experiment: Experiment) -> list[str]:
    return [name for name in experiment.assessor.attributes or () if _LABEL.fullmatch(name)]


def _is_plain(value: Any) -> bool:
    """Whether all texts in a document are words."""
    if isinstance(value, Mapping):
        return all(_is_plain(key) and _is_plain(member) for key, member in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or _WORDS.fullmatch(value) is not None


def _plain(value: Any) -> Any:
    """The same document without the texts that are not words."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items() if _is_plain(key) and not _is_other_text(member)}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value if not _is_other_text(member)]
    return value


def _is_other_text(value: Any) -> bool:
    return isinstance(value, str) and not _is_plain(value)
