"""The files of a checkpoint: safetensors and JSON, and a manifest with each file's sha256, which is written last."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from framework.config import ModelConfig
from framework.config.words import shown
from framework.errors import CheckpointError, StorageError, reason_of
from framework.models.condition import Condition
from framework.runs.documents import Manifest, Shape, TrainingInfo, checked_document, read_object
from framework.storage import Folder
from framework.storage.json_text import parse_json

FORMAT = 1
MANIFEST = "manifest.json"
INFO = "info.json"
STATE = "state"
GENERATOR = "generator"
GENERATOR_CONFIG = "config.json"
GENERATOR_WEIGHTS = "weights.safetensors"
ENCODER_WEIGHTS = "encoder.safetensors"
CONDITION = "condition_code"  # key of the generator's config
HUB_WEIGHTS = "model.safetensors"  # the usual name in model repositories


class Checkpoint:
    """A finished checkpoint. Its name is the number of images seen: `000000128000` was written at 128,000."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.name = folder.name
        self.images_seen = int(folder.name)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """`format`, `images_seen`, `digest`, `learned` and `files` ({path: {"sha256", "bytes"}})."""
        document, place = read_object(self.folder, MANIFEST), f"{self.folder.location}/{MANIFEST}"
        if "format" not in document:
            raise CheckpointError(f"{place}: is not the manifest of a checkpoint")
        if document["format"] != FORMAT:
            raise CheckpointError(
                f"{self.folder.location}: has format {shown(document['format'])}; this version reads format {FORMAT}"
            )
        return checked_document(document, Manifest, place=place)

    @property
    def info(self) -> dict[str, Any]:
        """What was saved in addition to the tensors."""
        place = f"{self.folder.location}/{INFO}"
        return checked_document(parse_json(self._read(INFO), place=place), Shape, place=place)

    @property
    def training_info(self) -> dict[str, Any]:
        """The state of the training loop that is not tensors; StorageError if it is incomplete."""
        return checked_document(self.info, TrainingInfo, place=f"{self.folder.location}/{INFO}")

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """The tensors of a part on the CPU, after a check of their sha256; StorageError if the part does not exist."""
        return parse_tensors(self._read(f"{STATE}/{part}.safetensors"), place=f"{self.folder.location}/{STATE}/{part}")

    def fault(self) -> str | None:
        """One line that says what is wrong, with the name of the file; None if the checkpoint is undamaged."""
        try:
            for name in self.manifest["files"]:
                self._read(name)
        except (CheckpointError, StorageError) as fault:
            return str(fault)
        return None

    def _read(self, name: str) -> bytes:
        data = self.folder.read_bytes(name)
        known = self.manifest["files"].get(name)
        if known is None or hashlib.sha256(data).hexdigest() != known["sha256"]:
            raise CheckpointError(
                f"{self.folder.location}/{name}: is damaged (its sha256 differs from the one in {MANIFEST})"
            )
        return data

    def __repr__(self) -> str:
        return f"Checkpoint({self.folder.location!r})"


def is_name(name: str) -> bool:
    """Whether a name is that of a checkpoint: 12 digits.

    >>> is_name(name_at(128_000)), is_name("best.json")
    (True, False)
    """
    return len(name) == 12 and name.isascii() and name.isdigit()


def name_at(images_seen: int) -> str:
    """The name of a checkpoint at this number of images seen; names sort by time."""
    return f"{images_seen:012d}"


def fill(
    place: Path,
    *,
    parts: Mapping[str, Mapping[str, torch.Tensor]],
    info: Mapping[str, Any],
    generator: tuple[Mapping[str, torch.Tensor], Mapping[str, Any]],
    encoder: Mapping[str, torch.Tensor] | None,
    header: Mapping[str, Any],
) -> None:
    """Writes the files of a checkpoint to an empty folder, the manifest last."""
    files = {INFO: json_bytes(info)}
    files |= {f"{STATE}/{part}.safetensors": tensor_bytes(tensors) for part, tensors in parts.items()}
    files |= {f"{GENERATOR}/{name}": data for name, data in generator_files(*generator, encoder).items()}
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    files[MANIFEST] = json_bytes({"format": FORMAT, **header, "files": listed})
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def generator_config(
    model: ModelConfig, *, resolution: int, channels: int, images_seen: int, condition: Condition | None = None
) -> dict[str, Any]:
    """What `load_generator` needs to rebuild a generator: the section `model`, its images' size, its condition."""
    shown = {"resolution": resolution, "channels": channels, "images_seen": images_seen}
    described = {} if condition is None else {CONDITION: condition.document()}
    return {**model.model_dump(mode="json"), **shown, **described}


def condition_in(config: Mapping[str, Any]) -> Condition | None:
    """The condition in a generator's config; None without one. ValueError if it is damaged."""
    return Condition.read(config[CONDITION]) if CONDITION in config else None


def model_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `model` of a generator's config; files of older versions may lack newer keys."""
    return {key: config[key] for key in ModelConfig.model_fields if key in config}


def generator_files(
    weights: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    encoder: Mapping[str, torch.Tensor] | None = None,
    *,
    weights_file: str = GENERATOR_WEIGHTS,
) -> dict[str, bytes]:
    """The files of a generator; its config has the sha256 of its weights and of its encoder's weights."""
    files, document = {weights_file: tensor_bytes(weights)}, dict(config)
    document["weights_sha256"] = hashlib.sha256(files[weights_file]).hexdigest()
    if encoder is not None:
        files[ENCODER_WEIGHTS] = tensor_bytes(encoder)
        document["encoder_sha256"] = hashlib.sha256(files[ENCODER_WEIGHTS]).hexdigest()
    return {**files, GENERATOR_CONFIG: json_bytes(document)}


def tensor_bytes(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Tensors of any layout, device and type as a safetensors file; equal values give equal bytes."""
    # Each tensor is copied, because safetensors refuses tensors that share memory or are in channels_last format.
    plain = torch.contiguous_format
    return save({name: tensor.detach().cpu().clone(memory_format=plain) for name, tensor in tensors.items()})


def parse_tensors(data: bytes, *, place: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; if it cannot be parsed, the CheckpointError names `place`."""
    try:
        return load(data)
    except SafetensorError as fault:
        raise CheckpointError(f"{place}: is not a safetensors file ({reason_of(fault)})") from None


def json_bytes(value: Any) -> bytes:
    """JSON as it is formatted in all files of a checkpoint."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
