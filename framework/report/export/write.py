"""A generator to give away: weights, scores, settings, samples and a card, laid out as a repository of a model.

The layout is the Hugging Face Hub's, and `framework.load_generator` opens it. Nothing in it names a place of the
machine that it was made on, and the same checkpoint gives the same bytes.
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
from framework.runs.folder import EXPERIMENT, SCORES
from framework.runs.trial import plain
from framework.storage import Folder
from framework.storage.folder import told

CARD = "README.md"
_SAMPLE_SIDE = 96  # pixels, at least, of a sample in the picture
_PLACES = ("data.path", "data.labels", "evaluation.weights", "training.start_from")


def read_export(run: RunFolder, checkpoint: str) -> Export:
    """Reads a checkpoint of a run with what its run says of it.

    Args:
        run: The run.
        checkpoint: Path within it: `trials/<id>/checkpoints/<name>`.

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
    """The same without a place of this machine: files by their name alone, storage at its default."""
    values = {key: _value(experiment, key) for key in _PLACES}
    names = {key: _name(value) for key, value in values.items() if value is not None}
    storage = {key: default_of(key) for key in ("storage.path", "storage.cache_path")}
    return with_overrides(experiment, {**names, **storage})


def export_files(export: Export) -> dict[str, bytes]:
    """Name -> content of each file of the repository."""
    generator = export.generator
    assert generator.network is not None
    config = {**generator.config, "weights_file": HUB_WEIGHTS}
    encoder = None if generator.encoder is None else generator.encoder.state_dict()
    return {
        CARD: card(export).encode(),
        **generator_files(generator.network.state_dict(), config, encoder, weights_file=HUB_WEIGHTS),
        SCORES: json_bytes({"scores": export.scores}),
        EXPERIMENT: to_yaml(export.experiment).encode(),
        SAMPLES: png_bytes(_samples(export.generator)),
    }


def write_export(files: dict[str, bytes], target: Folder) -> None:
    """Puts the files there, all at once (behind a URI the card last, so that it says that the others are there).

    Raises:
        StorageError: The target holds something, or cannot be written.
    """
    refuse_occupied(target)
    with target.staged(last=CARD) as place, told(target.location, "written"):
        for name, data in files.items():
            (place / name).write_bytes(data)


def refuse_occupied(target: Folder) -> None:
    """Raises StorageError for a target that is a file or a folder with something in it."""
    if not target.exists():
        return
    if target.is_local and not Path(target.location).is_dir():
        raise StorageError(f"{target.location}: is a file; an export wants a folder that is empty or not there yet")
    if target.list():
        raise StorageError(f"{target.location}: is not empty; an export wants a folder that is empty or not there yet")


def _samples(generator: LoadedGenerator) -> np.ndarray:
    images = generator.images(generator.sample_latents(SAMPLE_COUNT, SAMPLE_SEED))
    return grid(images, columns=SAMPLE_COLUMNS, scale=max(1, _SAMPLE_SIDE // generator.resolution))


def _scores(run: RunFolder, trial: TrialFolder, checkpoint: str, *, digest: str) -> list[dict[str, Any]]:
    """Of this checkpoint, as long as it holds the generator that was scored; then the one made while it trained."""
    found = [
        score
        for score in run.scores()
        if score.get("checkpoint") == checkpoint and score.get("generator", digest) == digest
    ]
    noted = trial.checkpoints.read_json(BEST) if trial.checkpoints.exists(BEST) else {}
    entry = noted.get("scores", {}).get(PurePosixPath(checkpoint).name)
    if entry is not None and not any(_same(entry["score"], score) for score in found):
        found.append({**entry["score"], "checkpoint": checkpoint})
    return plain(found)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["metric"], one["protocol"]) == (other["metric"], other["protocol"])


def _value(experiment: Experiment, dotted: str) -> Any:
    section, _, key = dotted.partition(".")
    return getattr(getattr(experiment, section), key)


def _name(place: str) -> str | None:
    """The last step of a path or URI; None where it has none.

    >>> _name("/home/me/faces/UTKFace.tar"), _name("s3://bucket/faces?region=x"), _name("/")
    ('UTKFace.tar', 'faces', None)
    """
    return PurePosixPath(place.partition("?")[0]).name or None
