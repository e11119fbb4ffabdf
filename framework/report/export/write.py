"""Exports a generator for sharing: weights, scores, settings, samples and a model card.

The layout is that of a model repository of the Hugging Face Hub, and `framework.load_generator` opens it. The files
contain no paths of this machine, and the same checkpoint always gives the same bytes.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.saved import HUB_WEIGHTS, generator_files, json_bytes
from framework.checkpoint.store import BEST
from framework.config import Experiment, to_yaml, with_overrides
from framework.config.describe import default_of
from framework.errors import StorageError
from framework.images import grid, png_bytes
from framework.report.export.bundle import SAMPLE_COLUMNS, SAMPLE_COUNT, SAMPLE_SEED, SAMPLES, Export
from framework.report.export.model_card import card
from framework.runs import RunFolder, TrialFolder
from framework.runs.documents import TrialBest, read_document, reading
from framework.runs.folder import EXPERIMENT, SCORES
from framework.runs.trial import plain
from framework.storage import Folder
from framework.storage.folder import told

CARD = "README.md"
_SAMPLE_SIDE = 96  # minimum side of a sample in the picture, in pixels
_PLACES = ("data.path", "data.labels", "evaluation.weights", "training.start_from")


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
    searched, about, best = trial.params, run.about, run.best() or {}
    data = dict(about.get("data") or {})
    if data.get("source"):
        data["source"] = _name(str(data["source"]))
    return Export(
        generator=generator,
        checkpoint=checkpoint,
        experiment=portable(run.trained_by(checkpoint)),
        searched=searched,
        trials=len(run.trials()),
        chosen_by=best.get("score") if best.get("checkpoint") == checkpoint else None,
        scores=_scores(run, trial, checkpoint, digest=generator.digest),
        data=data,
        versions=dict(about.get("versions") or {}),
        warnings=list(dict.fromkeys(str(text) for row in trial.metrics() for text in row.get("warnings") or ())),
    )


def portable(experiment: Experiment) -> Experiment:
    """The experiment without paths of this machine: files are reduced to their names, storage to its default."""
    values = {key: _value(experiment, key) for key in _PLACES}
    names = {key: _name(value) for key, value in values.items() if value is not None}
    storage = {key: default_of(key) for key in ("storage.path", "storage.cache_path")}
    return with_overrides(experiment, {**names, **storage})


def export_files(export: Export) -> dict[str, bytes]:
    """Name -> content of each file of the repository."""
    with reading(export.checkpoint):
        text = card(export)
    generator = export.generator
    assert generator.network is not None
    config = {**generator.config, "weights_file": HUB_WEIGHTS}
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
    with target.staged(last=CARD) as place, told(target.location, "written"):
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
    return plain(scores)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["metric"], one["protocol"]) == (other["metric"], other["protocol"])


def _value(experiment: Experiment, dotted: str) -> Any:
    section, _, key = dotted.partition(".")
    return getattr(getattr(experiment, section), key)


def _name(place: str) -> str | None:
    """The last component of a path or URI; None if it has none.

    >>> _name("/home/me/faces/UTKFace.tar"), _name("s3://bucket/faces?region=x"), _name("/")
    ('UTKFace.tar', 'faces', None)
    """
    return PurePosixPath(place.partition("?")[0]).name or None
