"""The networks that a training starts from (`training.start_from`): those of a run, checkpoint, import or export."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from framework.checkpoint.generator import load_generator
from framework.checkpoint.saved import MANIFEST, STATE, Checkpoint, is_name, model_keys
from framework.config import Experiment, ModelConfig, with_overrides
from framework.errors import CheckpointError, ConfigError, StorageError
from framework.storage import Folder, open_folder

KEY, DIGEST_KEY = "training.start_from", "training.start_digest"
_FREE = ("dropout",)  # may be changed, because no weight's shape depends on it
_OF_DISCRIMINATORS = ("discriminator", "feature_network", "projection_channels")  # free if there is no discriminator


@dataclass(frozen=True)
class Start:
    """The networks to start from.

    Args:
        config: The config of the generator: the section `model`, `resolution` and `channels`.
        averaged: The generator's averaged weights, which make its images.
        generator: The generator's weights that training continues to change.
        discriminator: The discriminator's weights; None if there are none and it is newly initialised.
        digest: sha256 of all weights.
    """

    config: dict[str, Any]
    averaged: dict[str, Tensor]
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None
    digest: str


def open_start(location: str) -> Start:
    """Reads the networks at a location.

    Raises:
        ConfigError: There is no generator, or it is damaged.
    """
    try:
        loaded = load_generator(location)
        if loaded.network is None or "weights_sha256" not in loaded.config:
            raise CheckpointError(f"{location}: contains no weights")
        folder = open_folder(loaded.source)
        averaged = dict(loaded.network.state_dict())
        parts = _parts(Checkpoint(folder.parent)) if _is_checkpoint(folder.parent) else {}
    except (CheckpointError, StorageError) as fault:
        raise ConfigError(f"{KEY}: {fault}") from None
    digest = hashlib.sha256(loaded.digest.encode())
    for name in sorted(parts):
        digest.update(parts[name][1].encode())
    tensors = {name: part for name, (part, _) in parts.items()}
    return Start(
        config=loaded.config,
        averaged=averaged,
        generator=tensors.get("generator", averaged),
        discriminator=tensors.get("discriminator"),
        digest=digest.hexdigest(),
    )


def with_start(experiment: Experiment, overrides: Mapping[str, Any], *, say: Callable[[str], None]) -> Experiment:
    """The experiment with the `model` keys of the networks in `training.start_from`; unchanged if that is null.

    Args:
        experiment: The resolved experiment. Its `model` keys that come from the file are replaced.
        overrides: The overrides of the command line; one that contradicts the networks is an error.
        say: Called with a line about the networks that the training starts from.

    Raises:
        ConfigError: There are no networks to start from, or they do not fit the experiment.
    """
    location = experiment.training.start_from
    if location is None:
        return experiment
    start, data = open_start(location), experiment.data
    side, channels = start.config["resolution"], start.config["channels"]
    if (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"{KEY}: {location} makes images of {side}x{side} with {channels} channels, but data.resolution is "
            f"{data.resolution} and data.channels is {data.channels}"
        )
    free = _FREE if start.discriminator else (*_FREE, *_OF_DISCRIMINATORS)
    model = {key: ModelConfig.model_fields[key].default for key in _OF_DISCRIMINATORS} | model_keys(start.config)
    model = {key: value for key, value in model.items() if start.discriminator or key not in _OF_DISCRIMINATORS}
    model |= {key: overrides[f"model.{key}"] for key in free if f"model.{key}" in overrides}
    faults = [*_contradictions(model, overrides), *_searched_again(experiment, free)]
    if faults:
        raise ConfigError(*faults)
    discriminator = "its discriminator" if start.discriminator else "a new discriminator"
    say(f"Start: {location} ({model['architecture']}, latents of {model['latent_size']}) with {discriminator}")
    origin = {KEY: open_folder(location).location, DIGEST_KEY: start.digest}
    return with_overrides(experiment, {**{f"model.{key}": value for key, value in model.items()}, **origin})


def _contradictions(model: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    for key, value in model.items():
        override = overrides.get(f"model.{key}", value)
        if override != value:
            yield f"model.{key}: {override} does not fit {KEY}, which has {value}"


def _searched_again(experiment: Experiment, free: Iterable[str]) -> Iterator[str]:
    keys = {f"model.{key}" for key in free}
    for key in experiment.search.space:
        if key in (KEY, DIGEST_KEY) or (key.startswith("model.") and key not in keys):
            yield f"search.space: {key} cannot be searched, because {KEY} sets it"


def _is_checkpoint(folder: Folder) -> bool:
    return is_name(folder.name) and folder.exists(MANIFEST)


def _parts(checkpoint: Checkpoint) -> dict[str, tuple[dict[str, Tensor], str]]:
    """Name -> (tensors, sha256) of the networks in a checkpoint's state."""
    files = checkpoint.manifest["files"]
    names = {name: f"{STATE}/{name}.safetensors" for name in ("generator", "discriminator")}
    return {name: (checkpoint.tensors(name), files[file]["sha256"]) for name, file in names.items() if file in files}
