"""Loads generators from the folders of runs, trials, checkpoints and exports."""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from framework.checkpoint.foreign import open_entry
from framework.checkpoint.loaded import LoadedGenerator
from framework.checkpoint.saved import (
    CONDITION,
    ENCODER_WEIGHTS,
    GENERATOR,
    GENERATOR_CONFIG,
    GENERATOR_WEIGHTS,
    HUB_WEIGHTS,
    condition_in,
    is_name,
    model_keys,
    parse_tensors,
)
from framework.checkpoint.store import BEST
from framework.config import ModelConfig
from framework.config.code import entry_of
from framework.errors import CheckpointError, LatentscapeError, StorageError
from framework.models import build_encoder, build_generator
from framework.runs.documents import Best, TrialBest, read_document
from framework.storage import Folder, open_folder
from framework.storage.json_text import parse_json

CONFIG_KEYS = {"architecture": str, "latent_size": int, "resolution": int, "channels": int}


def load_generator(
    path: str | Path, device: str | torch.device = "cpu", *, warn: Callable[[str], None] = warnings.warn
) -> LoadedGenerator:
    """Loads the generator in a folder. Needs neither Ray nor the experiment.

    Args:
        path: Local path or URI of a run or trial (its best checkpoint, else its newest), of a checkpoint, of the
            folder `generator/` in it, or of an exported copy. `entry:package.module:function` calls a function of
            yours, see `framework.checkpoint.foreign`.
        device: The device on which the generator computes.
        warn: Called with a message for each damaged checkpoint that is skipped.

    Raises:
        CheckpointError: There is no generator, or it is damaged.
        ConfigError: The module or function of an entry does not exist.
        StorageError: The folder cannot be reached.
    """
    entry = entry_of(path)
    if entry is not None:
        return open_entry(entry, device)
    folder = open_folder(path)
    candidates = list(_candidates(folder))
    if not candidates:
        what = "is not a run, trial, checkpoint or generator with weights" if folder.exists() else "does not exist"
        raise CheckpointError(f"{folder.location}: {what}")
    faults: list[str] = []
    for candidate in candidates:
        try:
            loaded = _read(candidate, device=device)
        except (CheckpointError, StorageError) as fault:
            faults.append(str(fault))
            continue
        for fault in faults:
            warn(f"skipped: {fault}")
        return loaded
    raise CheckpointError(faults[0])


def export_generator(path: str | Path, target: str | Path) -> Folder:
    """Copies the generator that `load_generator(path)` loads to the folder `target`, and returns that folder."""
    source = open_folder(load_generator(path).source)
    copy = open_folder(target)
    copy.upload(source.local_copy(), last=GENERATOR_CONFIG)
    return copy


def generator_folder(path: str | Path) -> Folder | None:
    """The folder that `load_generator` would try first; None if there is no generator."""
    return next(_candidates(open_folder(path)), None)


def _candidates(folder: Folder) -> Iterator[Folder]:
    """The generator folders that a path can mean, in order of preference; later ones are used if one is damaged."""
    names = set(folder.list())
    if GENERATOR_CONFIG in names:
        yield folder
    elif GENERATOR in names:
        yield from _candidates(folder / GENERATOR)
    elif "trials" in names:
        yield from _of_run(folder, names)
    elif "checkpoints" in names:
        yield from _of_trial(folder / "checkpoints")
    elif any(is_name(name) for name in names):
        yield from _of_trial(folder)


def _of_run(folder: Folder, names: set[str]) -> Iterator[Folder]:
    if BEST in names:
        # Scores refer to the best checkpoint, so if it is damaged, no other one may replace it silently.
        best = folder / str(read_document(folder, BEST, Best)["checkpoint"])
        if best.exists():
            yield best / GENERATOR
        else:  # the trial has continued since best.json was written, and replaced this checkpoint by a better one
            yield from _of_trial(best.parent)
        return
    newest = [
        (name, trial) for trial in (folder / "trials").list() for name in _names(folder / f"trials/{trial}/checkpoints")
    ]
    for name, trial in sorted(newest, reverse=True):
        yield folder / f"trials/{trial}/checkpoints/{name}/{GENERATOR}"


def _of_trial(checkpoints: Folder) -> Iterator[Folder]:
    names = _names(checkpoints)
    if checkpoints.exists(BEST):
        best = read_document(checkpoints, BEST, TrialBest)["checkpoint"]
        if best is not None:
            yield checkpoints / f"{best}/{GENERATOR}"
            return
    for name in reversed(names):
        yield checkpoints / f"{name}/{GENERATOR}"


def _names(checkpoints: Folder) -> list[str]:
    return [name for name in checkpoints.list() if is_name(name)]


def _read(folder: Folder, *, device: str | torch.device) -> LoadedGenerator:
    place = f"{folder.location}/{GENERATOR_CONFIG}"
    config = _checked_config(folder.read_bytes(GENERATOR_CONFIG), place=place)
    file = config.get("weights_file", GENERATOR_WEIGHTS)
    if file not in (GENERATOR_WEIGHTS, HUB_WEIGHTS):
        raise CheckpointError(f"{place}: weights_file must be {GENERATOR_WEIGHTS} or {HUB_WEIGHTS}, not {file}")
    digest = config.get("weights_sha256")
    weights = _tensors(folder, file, digest)
    encoder, encoder_digest = None, config.get("encoder_sha256")
    encoder_weights = None if encoder_digest is None else _tensors(folder, ENCODER_WEIGHTS, encoder_digest)
    try:
        model = ModelConfig.model_validate(model_keys(config))
        shape: dict[str, Any] = {"resolution": config["resolution"], "channels": config["channels"], "seed": 0}
        condition = condition_in(config)
        if model.condition != ([] if condition is None else condition.names):
            raise ValueError(f"{CONDITION} has other labels than condition")
        network = build_generator(model, **shape, condition=condition)
        network.load_state_dict(weights)
        if encoder_weights is not None:
            encoder = build_encoder(model, **shape)
            encoder.load_state_dict(encoder_weights)
    except (ValueError, RuntimeError, LatentscapeError) as fault:  # ValueError includes pydantic's errors
        reason = " ".join(str(fault).split())[:200]
        raise CheckpointError(f"{folder.location}: the weights do not fit config.json ({reason})") from None
    about = {"config": config, "digest": digest, "source": folder.location, "device": device, "condition": condition}
    return LoadedGenerator(network, encoder=encoder, **about)


def _tensors(folder: Folder, file: str, digest: object) -> dict[str, torch.Tensor]:
    data = folder.read_bytes(file)
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(
            f"{folder.location}/{file}: is damaged (its sha256 differs from the one in {GENERATOR_CONFIG})"
        )
    return parse_tensors(data, place=f"{folder.location}/{file}")


def _checked_config(data: bytes, *, place: str) -> dict[str, Any]:
    try:
        config = parse_json(data, place=place)
    except StorageError as fault:
        raise CheckpointError(str(fault)) from None
    for key, kind in CONFIG_KEYS.items():
        if not (isinstance(config, dict) and isinstance(config.get(key), kind)):
            raise CheckpointError(f"{place}: is not the config of a generator ({key} is missing or of another type)")
    return config
