"""The networks that a training starts from (`training.start_from`): those of a run, checkpoint, import or export."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from framework.checkpoint.generator import load_generator
from framework.checkpoint.saved import CONDITION, MANIFEST, STATE, Checkpoint, condition_in, is_name, model_keys
from framework.config import Experiment, ModelConfig, with_overrides
from framework.config.recipes import searched_settings
from framework.errors import CheckpointError, ConfigError, StorageError
from framework.models import DiscriminatorNetwork, GeneratorNetwork, build_discriminator, build_generator
from framework.models.transfer import FREEZE_KEY, freeze, matching, weights_of
from framework.storage import Folder, open_folder

KEY, DIGEST_KEY = "training.start_from", "training.start_digest"
_FREE = ("dropout",)  # may be changed, because no weight's shape depends on it
_SIZES = ("width", "blocks", "latent_size")  # may be changed on the command line; what no longer fits begins fresh
_OF_DISCRIMINATORS = ("discriminator", "feature_network", "projection_channels")  # free if there is no discriminator


@dataclass(frozen=True)
class Taken:
    """What networks begin with, by its names in these networks; what they have besides begins fresh.

    Args:
        line: What was taken, in words.
        is_whole: Whether that is all there is.
    """

    generator: dict[str, Tensor]
    averaged: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    line: str
    is_whole: bool


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

    def taken(self, generator: nn.Module, discriminator: nn.Module) -> Taken:
        """What these networks, which may be on torch's meta device, begin with: layers of the same name and shape.

        Those of discriminators are named by the size of their maps (see `matching`).
        """
        judged, config = self.discriminator or {}, self.config
        if self.discriminator is None:  # its kind may need weights that are not installed
            config = {key: value for key, value in config.items() if key not in _OF_DISCRIMINATORS}
        old_generator, old_discriminator = _networks(config)
        taken = matching(generator, old_generator, self.generator, from_image=False)
        averaged = matching(generator, old_generator, self.averaged, from_image=False)
        trained = matching(discriminator, old_discriminator, judged, from_image=True)
        line, is_whole = _share(taken, generator, "generator")
        if self.discriminator is None:
            return Taken(taken, averaged, trained, f"{line}, a new discriminator", is_whole)
        other, is_other_whole = _share(trained, discriminator, "discriminator")
        return Taken(taken, averaged, trained, f"{line}, {other}", is_whole and is_other_whole)


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
        if experiment.training.freeze_discriminator:
            raise ConfigError(f"{FREEZE_KEY}: freezes layers of {KEY}, which is null; set it, or remove this")
        return experiment
    start, data = open_start(location), experiment.data
    side, channels = start.config["resolution"], start.config["channels"]
    is_fixed = start.config["architecture"] == "keras"
    if is_fixed and (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"{KEY}: {location} makes images of {side}x{side} with {channels} channels, but data.resolution is "
            f"{data.resolution} and data.channels is {data.channels}"
        )
    free = _FREE if start.discriminator else (*_FREE, *_OF_DISCRIMINATORS)
    named = free if is_fixed else (*free, *_SIZES)
    model = {key: ModelConfig.model_fields[key].default for key in _OF_DISCRIMINATORS} | model_keys(start.config)
    model = {key: value for key, value in model.items() if start.discriminator or key not in _OF_DISCRIMINATORS}
    model |= {key: overrides[f"model.{key}"] for key in named if f"model.{key}" in overrides}
    faults = [*_contradictions(model, overrides), *_searched_again(experiment, free)]
    if faults:
        raise ConfigError(*faults)
    origin = {KEY: open_folder(location).location, DIGEST_KEY: start.digest}
    started = with_overrides(experiment, {**{f"model.{key}": value for key, value in model.items()}, **origin})
    shape = {"resolution": data.resolution, "channels": data.channels}
    condition = {key: start.config[key] for key in (CONDITION,) if key in start.config}
    generator, discriminator = _networks({**started.model.model_dump(mode="json"), **shape, **condition})
    taken = start.taken(generator, discriminator)
    if not taken.generator:
        raise ConfigError(
            f"{KEY}: no layer of the generator in {location} ({_size(start.config)}) has the name and shape of one "
            f"here ({_size({**started.model.model_dump(), **shape})})"
        )
    _check_frozen(started, discriminator, taken)
    fits = f"with {'its discriminator' if start.discriminator else 'a new discriminator'}"
    if not taken.is_whole or (side, channels) != (data.resolution, data.channels):
        fits = f"of {side}x{side}, of which this training takes {taken.line}"
    say(f"Start: {location} ({model['architecture']}, latents of {model['latent_size']}) {fits}")
    return started


def _networks(config: Mapping[str, Any]) -> tuple[GeneratorNetwork, DiscriminatorNetwork]:
    """The networks of a generator's config, without their numbers."""
    model = with_overrides(Experiment(), {f"model.{key}": value for key, value in model_keys(config).items()}).model
    shape: dict[str, Any] = {"resolution": config["resolution"], "channels": config["channels"], "seed": 0}
    shape["condition"] = condition_in(config)
    with torch.device("meta"):
        return build_generator(model, **shape), build_discriminator(model, **shape)


def _share(taken: Mapping[str, Tensor], network: nn.Module, name: str) -> tuple[str, bool]:
    """How many of a network's tensors are taken, in words, and whether all are."""
    count, whole = len(weights_of(taken)), len(weights_of(network.state_dict()))
    return f"{count} of {whole} tensors of the {name}", count == whole


def _size(config: Mapping[str, Any]) -> str:
    """The size of the networks of a config, in words."""
    blocks = f", {config['blocks']} blocks" if config["architecture"] == "residual" else ""
    return f"{config['resolution']} px, width {config['width']}, latents of {config['latent_size']}{blocks}"


def _check_frozen(experiment: Experiment, discriminator: DiscriminatorNetwork, taken: Taken) -> None:
    """Raises a ConfigError if a frozen layer does not exist, or is not one of those that training starts from."""
    spec = experiment.search.space.get(FREEZE_KEY, {})
    searched = [value - (kind == "randint") for kind, values in spec.items() for value in values]
    count = max([experiment.training.freeze_discriminator, *searched])
    new = next((name for name in freeze(discriminator, count) if name not in taken.discriminator), None)
    if new is not None:
        raise ConfigError(
            f"{FREEZE_KEY}: {count} layers include {new}, which is new and has learned nothing; of {KEY} this training "
            f"takes {taken.line}"
        )


def _contradictions(model: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    for key, value in model.items():
        override = overrides.get(f"model.{key}", value)
        if override != value:
            yield f"model.{key}: {override} does not fit {KEY}, which has {value}"


def _searched_again(experiment: Experiment, free: Iterable[str]) -> Iterator[str]:
    keys = {f"model.{key}" for key in free}
    for key in (*experiment.search.space, *searched_settings(experiment)):
        if key in (KEY, DIGEST_KEY) or (key.startswith("model.") and key not in keys):
            yield f"search.space: {key} cannot be searched, because {KEY} sets it"


def _is_checkpoint(folder: Folder) -> bool:
    return is_name(folder.name) and folder.exists(MANIFEST)


def _parts(checkpoint: Checkpoint) -> dict[str, tuple[dict[str, Tensor], str]]:
    """Name -> (tensors, sha256) of the networks in a checkpoint's state."""
    files = checkpoint.manifest["files"]
    names = {name: f"{STATE}/{name}.safetensors" for name in ("generator", "discriminator")}
    return {name: (checkpoint.tensors(name), files[file]["sha256"]) for name, file in names.items() if file in files}
