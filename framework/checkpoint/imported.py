"""A run that was not trained here: networks taken over from elsewhere, as its one trial's one checkpoint.

It is a run as any other, so every job takes it; what it came from stands in run.json under `imported`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.checkpoint.saved import Checkpoint, fill, generator_config, json_bytes, name_at
from framework.config import Experiment, to_yaml, with_overrides
from framework.errors import CheckpointError, ConfigError, StorageError
from framework.models.keras_import import Imported
from framework.runs.folder import EXPERIMENT, RUN, RunFolder, now, refuse_vanishing_storage
from framework.runs.machine import machine, versions
from framework.runs.trial import PARAMS, STATE
from framework.storage import Folder
from framework.storage.folder import told

TRIAL = "imported"
_CHECKPOINT = f"trials/{TRIAL}/checkpoints/{name_at(0)}"


def imported_experiment(
    folder: Folder, overrides: Mapping[str, Any], *, generator: Imported, discriminator: Imported | None
) -> Experiment:
    """The experiment of such a run: the networks' own keys, where it lies, and what its user says beside.

    Raises:
        ConfigError: A key that the networks or the folder say already, or images of a size that no run has.
    """
    model = {**generator.model, **(discriminator.model if discriminator else {})}
    said = {f"model.{key}": value for key, value in model.items()}
    said |= {"data.resolution": generator.resolution, "data.channels": generator.channels}
    said |= {"name": folder.name, "storage.path": folder.parent.location}
    faults = [
        f"{key}: comes with the import ({said[key]}); leave it out"
        for key, value in overrides.items()
        if key in said and said[key] != value
    ]
    if faults:
        raise ConfigError(*faults)
    experiment = with_overrides(Experiment(), {**overrides, **said})
    refuse_vanishing_storage(experiment.storage)
    return experiment


def write_imported(
    folder: Folder,
    experiment: Experiment,
    *,
    generator: Imported,
    discriminator: Imported | None,
    about: Mapping[str, Any],
    command: list[str],
) -> None:
    """Puts the run there, whole or not at all."""
    shown = {"resolution": generator.resolution, "channels": generator.channels}
    config = generator_config(experiment.model, **shown, images_seen=0)
    began = now()
    run = {"command": command, "machine": machine(), "versions": versions(), "imported": dict(about)}
    files = {
        EXPERIMENT: to_yaml(experiment).encode(),
        RUN: json_bytes({**run, "started": began, "ended": began, "warnings": []}),
        f"trials/{TRIAL}/{PARAMS}": json_bytes({}),
        f"trials/{TRIAL}/{STATE}": json_bytes({"state": "finished"}),
    }
    with folder.staged(last=EXPERIMENT) as place, told(folder.location, "written"):
        fill(
            place / _CHECKPOINT,
            parts={"discriminator": discriminator.weights} if discriminator else {},
            info={"images_seen": 0, "imported": dict(about)},
            generator=(generator.weights, config),
            encoder=None,
            header={
                "images_seen": 0,
                "digest": experiment.digest(TRIAL),
                "learned": {"data": TRIAL, **experiment.learned()},
            },
        )
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)


def imported_checkpoint(run: RunFolder) -> str | None:
    """Path within a run of the checkpoint that was imported; None for a run that was trained."""
    return _CHECKPOINT if run.about.get("imported") else None


def is_imported(folder: Folder, experiment: Experiment, about: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very import already, intact.

    Raises:
        StorageError: It holds anything else.
        CheckpointError: It holds this import, damaged.
    """
    if not folder.exists():
        return False
    if folder.is_local and not Path(folder.location).is_dir():
        raise StorageError(f"{folder.location}: is a file; an import wants a folder that is empty or not there yet")
    if not folder.list():
        return False
    run = RunFolder.open(folder.location) if folder.exists(EXPERIMENT) else None
    if run is None or run.about.get("imported") != about:
        raise StorageError(
            f"{folder.location}: is not empty; an import wants a folder that is empty, not there yet, or holds the same"
        )
    if run.experiment != experiment:
        raise StorageError(
            f"{folder.location}: holds this import with other settings; give the jobs yours as key=value, or import "
            "into another folder"
        )
    fault = Checkpoint(folder / _CHECKPOINT).fault()
    if fault is not None:
        raise CheckpointError(f"{fault}; import into another folder")
    return True
