"""What a training begins with instead of fresh networks: those of a run, a checkpoint, an import or an export."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from framework.checkpoint.generator import load_generator
from framework.checkpoint.saved import MANIFEST, STATE, Checkpoint, is_name, model_keys
from framework.config import Experiment, with_overrides
from framework.errors import CheckpointError, ConfigError, StorageError
from framework.storage import Folder, open_folder

KEY, DIGEST_KEY = "training.start_from", "training.start_digest"
_FREE = ("dropout",)  # of a discriminator, and no weight's shape hangs on it


@dataclass(frozen=True)
class Start:
    """Networks to begin with.

    Args:
        config: Of the generator: the section `model`, `resolution`, `channels`.
        averaged: The generator's weights as it is used.
        generator: Those that go on learning.
        discriminator: Its weights; None where there are none, and it begins fresh.
        digest: sha256 over all of them.
    """

    config: dict[str, Any]
    averaged: dict[str, Tensor]
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None
    digest: str


def open_start(location: str) -> Start:
    """Reads them.

    Raises:
        ConfigError: There is no generator, or it is damaged; the line names training.start_from.
    """
    try:
        loaded = load_generator(location)
        if loaded.network is None or "weights_sha256" not in loaded.config:
            raise CheckpointError(f"{location}: holds no weights")
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
    """The experiment with what `training.start_from` says of the networks laid over it; unchanged where it is null.

    Args:
        experiment: Resolved.
        overrides: As typed: a key among them that says otherwise is refused, where one of the file gives way.
        say: Told what it begins with.

    Raises:
        ConfigError: There is nothing to begin with, or it does not fit the experiment.
    """
    location = experiment.training.start_from
    if location is None:
        return experiment
    start, data = open_start(location), experiment.data
    side, channels = start.config["resolution"], start.config["channels"]
    if (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"{KEY}: {location} makes images of {side}x{side} with {channels} channels, and data.resolution is "
            f"{data.resolution} with data.channels {data.channels}"
        )
    model = model_keys(start.config)
    model |= {key: overrides[f"model.{key}"] for key in _FREE if f"model.{key}" in overrides}
    faults = [*_contradictions(model, overrides), *_searched_again(experiment)]
    if faults:
        raise ConfigError(*faults)
    beside = "its discriminator" if start.discriminator else "a fresh discriminator"
    say(f"Start: {location} ({model['architecture']}, latents of {model['latent_size']}) with {beside}")
    place = {KEY: open_folder(location).location, DIGEST_KEY: start.digest}
    return with_overrides(experiment, {**{f"model.{key}": value for key, value in model.items()}, **place})


def _contradictions(model: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    for key, value in model.items():
        said = overrides.get(f"model.{key}", value)
        if said != value:
            yield f"model.{key}: {said} does not fit {KEY}, which has {value}"


def _searched_again(experiment: Experiment) -> Iterator[str]:
    free = {f"model.{key}" for key in _FREE}
    for key in experiment.search.space:
        if key in (KEY, DIGEST_KEY) or (key.startswith("model.") and key not in free):
            yield f"search.space: {key} is what {KEY} says already"


def _is_checkpoint(folder: Folder) -> bool:
    return is_name(folder.name) and folder.exists(MANIFEST)


def _parts(checkpoint: Checkpoint) -> dict[str, tuple[dict[str, Tensor], str]]:
    """Name -> tensors and sha256, of those parts of a checkpoint's state that are networks."""
    files = checkpoint.manifest["files"]
    names = {name: f"{STATE}/{name}.safetensors" for name in ("generator", "discriminator")}
    return {name: (checkpoint.tensors(name), files[file]["sha256"]) for name, file in names.items() if file in files}
