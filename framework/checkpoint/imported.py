"""Runs of imported networks, which have one trial with one checkpoint.

Every job accepts such a run like any other. run.json records under `imported` what the networks were imported from.
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
from framework.storage.folder import storage_errors

TRIAL = "imported"
_CHECKPOINT = f"trials/{TRIAL}/checkpoints/{name_at(0)}"


def imported_experiment(
    folder: Folder, overrides: Mapping[str, Any], *, generator: Imported, discriminator: Imported | None
) -> Experiment:
    """The experiment of an imported run: the keys of the networks, the run's location, and the user's overrides.

    Raises:
        ConfigError: An override contradicts the networks or the folder, or the images have an unsupported size.
    """
    model = {**generator.model, **(discriminator.model if discriminator else {})}
    imported = {f"model.{key}": value for key, value in model.items()}
    imported |= {"data.resolution": generator.resolution, "data.channels": generator.channels}
    imported |= {"name": folder.name, "storage.path": folder.parent.location}
    faults = [
        f"{key}: is set by the import ({imported[key]}); remove it"
        for key, value in overrides.items()
        if key in imported and imported[key] != value
    ]
    if faults:
        raise ConfigError(*faults)
    experiment = with_overrides(Experiment(), {**overrides, **imported})
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
    """Writes the run; a failure leaves no partial run."""
    shown: dict[str, Any] = {"resolution": generator.resolution, "channels": generator.channels}
    config = generator_config(experiment.model, **shown, images_seen=0)
    began = now()
    run = {"command": command, "machine": machine(), "versions": versions(), "imported": dict(about)}
    files = {
        EXPERIMENT: to_yaml(experiment).encode(),
        RUN: json_bytes({**run, "started": began, "ended": began, "warnings": []}),
        f"trials/{TRIAL}/{PARAMS}": json_bytes({}),
        f"trials/{TRIAL}/{STATE}": json_bytes({"state": "finished"}),
    }
    with folder.staged(last=EXPERIMENT) as place, storage_errors(folder.location, "written"):
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
    """The path of the imported checkpoint within the run; None if the run was trained."""
    return _CHECKPOINT if run.about.get("imported") else None


def is_imported(folder: Folder, experiment: Experiment, about: Mapping[str, Any]) -> bool:
    """Whether the folder already contains exactly this import, undamaged.

    Raises:
        StorageError: The folder contains anything else.
        CheckpointError: The folder contains this import, but damaged.
    """
    if not folder.exists():
        return False
    if folder.is_local and not Path(folder.location).is_dir():
        raise StorageError(f"{folder.location}: is a file; import into a folder that is empty or does not exist yet")
    if not folder.list():
        return False
    run = RunFolder.open(folder.location) if folder.exists(EXPERIMENT) else None
    if run is None or run.about.get("imported") != about:
        raise StorageError(
            f"{folder.location}: is not empty and contains something else; import into an empty or new folder"
        )
    if run.experiment != experiment:
        raise StorageError(
            f"{folder.location}: contains this import with different settings; pass your settings to the jobs as "
            "key=value, or import into another folder"
        )
    fault = Checkpoint(folder / _CHECKPOINT).fault()
    if fault is not None:
        raise CheckpointError(f"{fault}; import into another folder")
    return True
