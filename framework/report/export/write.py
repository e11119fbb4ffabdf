"""Exports a generator for sharing: weights, scores, settings, samples and a model card.

The layout is that of a model repository of the Hugging Face Hub, and `framework.load_generator` opens it. The files
contain only what `portable` lets pass, so no path and no login, and the same checkpoint always gives the same bytes.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.saved import HUB_WEIGHTS, generator_files, json_bytes
from framework.checkpoint.store import BEST
from framework.config import to_yaml
from framework.errors import StorageError
from framework.images import grid, png_bytes
from framework.report.export.bundle import SAMPLE_COLUMNS, SAMPLE_COUNT, SAMPLE_SEED, SAMPLES, Export
from framework.report.export.model_card import card
from framework.report.export.portable import (
    portable,
    portable_config,
    portable_data,
    portable_score,
    portable_settings,
    portable_versions,
    portable_warnings,
)
from framework.runs import RunFolder, TrialFolder
from framework.runs.documents import TrialBest, read_document, reading
from framework.runs.folder import EXPERIMENT, SCORES
from framework.runs.trial import plain, warnings_in
from framework.storage import Folder
from framework.storage.folder import storage_errors

CARD = "README.md"
_SAMPLE_SIDE = 96  # minimum side of a sample in the picture, in pixels


def read_export(run: RunFolder, checkpoint: str) -> Export:
    """Reads a checkpoint and all that its run records about it.

    Args:
        run: The folder of the run.
        checkpoint: The path within the run: `trials/<id>/checkpoints/<name>`.

    Raises:
        CheckpointError: The generator is missing or damaged.
        StorageError: The run cannot be read.
    """
    generator = load_generator((run.folder / checkpoint).location)
    trial = run.trial(PurePosixPath(checkpoint).parts[1])
    about, best = run.about, run.best() or {}
    return Export(
        generator=generator,
        checkpoint=checkpoint,
        experiment=portable(run.trained_by(checkpoint)),
        searched=portable_settings(trial.params),
        trials=len(run.trials()),
        chosen_by=portable_score(best.get("score") or {}) if best.get("checkpoint") == checkpoint else None,
        scores=_scores(run, trial, checkpoint, digest=generator.digest),
        data=portable_data(about.get("data") or {}),
        versions=portable_versions(about.get("versions") or {}),
        warnings=portable_warnings(list(dict.fromkeys(warnings_in(trial.metrics())))),
    )


def export_files(export: Export) -> dict[str, bytes]:
    """Name -> content of each file of the repository."""
    with reading(export.checkpoint):
        text = card(export)
    generator = export.generator
    assert generator.network is not None
    config = {**portable_config(generator.config), "weights_file": HUB_WEIGHTS}
    encoder = None if generator.encoder is None else generator.encoder.state_dict()
    return {
        CARD: text.encode(),
        **generator_files(generator.network.state_dict(), config, encoder, weights_file=HUB_WEIGHTS),
        SCORES: json_bytes({"scores": export.scores}),
        EXPERIMENT: to_yaml(export.experiment).encode(),
        SAMPLES: png_bytes(_samples(export.generator)),
    }


def write_export(files: dict[str, bytes], target: Folder) -> None:
    """Writes the files all at once; behind a URI the card is written last and marks the export as complete.

    Raises:
        StorageError: The target is not empty, or cannot be written.
    """
    refuse_occupied(target)
    with target.staged(last=CARD) as place, storage_errors(target.location, "written"):
        for name, data in files.items():
            (place / name).write_bytes(data)


def refuse_occupied(target: Folder) -> None:
    """Raises StorageError if the target is a file or a folder that is not empty."""
    if not target.exists():
        return
    if target.is_local and not Path(target.location).is_dir():
        raise StorageError(f"{target.location}: is a file; export to a folder that is empty or does not exist yet")
    if target.list():
        raise StorageError(f"{target.location}: is not empty; export to a folder that is empty or does not exist yet")


def _samples(generator: LoadedGenerator) -> np.ndarray:
    images = generator.images(generator.sample_latents(SAMPLE_COUNT, SAMPLE_SEED))
    return grid(images, columns=SAMPLE_COLUMNS, scale=max(1, _SAMPLE_SIDE // generator.resolution))


def _scores(run: RunFolder, trial: TrialFolder, checkpoint: str, *, digest: str) -> list[dict[str, Any]]:
    """The final scores of this checkpoint's current weights, then the score that was measured during its training."""
    scores = [
        score
        for score in run.scores()
        if score.get("checkpoint") == checkpoint and score.get("generator", digest) == digest
    ]
    has_best = trial.checkpoints.exists(BEST)
    best = read_document(trial.checkpoints, BEST, TrialBest) if has_best else {}
    entry = best.get("scores", {}).get(PurePosixPath(checkpoint).name)
    if entry is not None and not any(_same(entry["score"], score) for score in scores):
        scores.append({**entry["score"], "checkpoint": checkpoint})
    return plain([known for score in scores if (known := portable_score(score))])


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["metric"], one["protocol"]) == (other["metric"], other["protocol"])
