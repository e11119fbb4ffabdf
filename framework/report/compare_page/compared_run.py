"""Reads one compared checkpoint from its run's folder; missing or damaged files are empty, never an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.config import Experiment
from framework.config.code import entry_of
from framework.errors import ConfigError, StorageError
from framework.models import build_companion, build_generator, count_parameters
from framework.report.read.json_values import as_dict, finite
from framework.report.read.run import read_documents
from framework.report.shared.score_table import Row
from framework.runs import RunFolder

INTERPOLATION, ARITHMETIC, PROJECTIONS = "interpolation.json", "arithmetic.json", "projections.json"
MAP, LIKELIHOOD = "latent_map.json", "likelihood.json"
_DOCUMENTS = (INTERPOLATION, ARITHMETIC, PROJECTIONS, MAP, LIKELIHOOD)
# Picture -> the document that says which checkpoint the picture shows.
_PICTURES = {
    "samples.png": INTERPOLATION,
    "interpolation.png": INTERPOLATION,
    "arithmetic.png": ARITHMETIC,
    "projected.png": PROJECTIONS,
    "latent_map.png": MAP,
    "latent_plane.png": MAP,
}
FAMILIES = {"gan": "GAN", "autoencoder": "Autoencoder", "vae": "VAE"}
_UNEQUAL = 1.5


@dataclass(frozen=True)
class ComparedRun:
    """One column of the page.

    Attributes:
        name: The name of the run; its path as typed, if two runs have the same name.
        typed: The run in a command line.
        row: The checkpoint and its scores.
        experiment: The configuration of the training, including the values that the search chose for the trial.
        parameters: Numbers of parameters of the generator (decoder) and the discriminator (encoder); None if unknown.
        data: The facts about the images in run.json.
        generator: sha256 of the generator's weights; empty if the checkpoint does not record it.
        documents: The JSON documents of the artifacts of this checkpoint, by name.
        pictures: The pictures of the artifacts of this checkpoint, by name.
        others: Names of documents that belong to another checkpoint of the run.
        damaged: Names of files that could not be read.
    """

    name: str
    typed: str
    row: Row
    experiment: Experiment
    parameters: tuple[int, int] | None
    data: dict[str, Any]
    generator: str
    documents: dict[str, dict[str, Any]]
    pictures: dict[str, bytes]
    others: list[str]
    damaged: list[str]

    @property
    def family(self) -> str:
        """`gan`, `autoencoder` or `vae`."""
        return self.experiment.model.family

    @property
    def digest(self) -> str:
        """The digest of the images; empty if the run does not record it."""
        return str(self.data.get("digest") or "")

    def document(self, name: str) -> dict[str, Any]:
        """The JSON document of an artifact; empty if there is none."""
        return self.documents.get(name, {})


def read_compared_run(name: str, typed: str, row: Row, run: RunFolder) -> ComparedRun:
    """Reads what a run contains about one of its checkpoints.

    Raises:
        LatentscapeError: The run's configuration cannot be read.
    """
    experiment = run.experiment if entry_of(row.checkpoint) else run.trained_by(row.checkpoint)
    about, damaged = _json(run, "run.json")
    config, _ = _json(run, f"{row.checkpoint}/generator/config.json")
    generator = str(config.get("weights_sha256") or "")
    documents, more = read_documents(run, _DOCUMENTS)
    others = [name for name, document in documents.items() if not _is_of(document, row.checkpoint, generator)]
    shown = [name for name, of in _PICTURES.items() if of not in others and run.artifacts.exists(name)]
    return ComparedRun(
        name=name,
        typed=typed,
        row=row,
        experiment=experiment,
        parameters=_parameters(experiment),
        data=as_dict(about.get("data")),
        generator=generator,
        documents={name: document for name, document in documents.items() if name not in others},
        pictures={name: run.artifacts.read_bytes(name) for name in shown},
        others=others,
        damaged=[*damaged, *more],
    )


def _json(run: RunFolder, name: str) -> tuple[dict[str, Any], list[str]]:
    """The JSON object in a file, and the file's name in a list if it is damaged."""
    if not run.folder.exists(name):
        return {}, []
    try:
        document = run.folder.read_json(name)
    except (StorageError, RecursionError):
        document = None
    return (document, []) if isinstance(document, dict) else ({}, [name])


def _is_of(document: dict[str, Any], checkpoint: str, generator: str) -> bool:
    """Whether a document belongs to this checkpoint; True if it names none (a map does so in its rows)."""
    known = document.get("generator")
    if known and generator:
        return known == generator
    return document.get("checkpoint", checkpoint) == checkpoint


def _parameters(experiment: Experiment) -> tuple[int, int] | None:
    if experiment.model.entry is not None:
        return None
    data = experiment.data
    shape: dict[str, Any] = {"resolution": data.resolution, "channels": data.channels, "seed": experiment.seed}
    try:
        networks = build_generator(experiment.model, **shape), build_companion(experiment.model, **shape)
    except ConfigError:  # a frozen network that is not installed here
        return None
    return count_parameters(networks[0]), count_parameters(networks[1])


def same_images(runs: Sequence[ComparedRun]) -> bool:
    """Whether all runs are known to use the same images."""
    return len({run.digest for run in runs}) == 1 and bool(runs[0].digest) and same_size(runs)


def same_size(runs: Sequence[ComparedRun]) -> bool:
    """Whether the images of all runs have the same size."""
    return len({(run.experiment.data.resolution, run.experiment.data.channels) for run in runs}) == 1


def alerts(runs: Sequence[ComparedRun]) -> list[str]:
    """The warnings at the top of the page: why the runs cannot be compared, and which files could not be read."""
    warnings = []
    if len({run.digest for run in runs}) > 1 and all(run.digest for run in runs):
        sources = "; ".join(f"{run.name}: {run.data.get('source', 'unknown')}, {run.digest[:8]}" for run in runs)
        warnings.append(f"The runs used different data ({sources}), so their values cannot be compared.")
    unknown = [run.name for run in runs if not run.digest]
    if unknown and len(runs) > 1:
        names = ", ".join(unknown)
        warnings.append(f"It is not known which data {names} used, so the values may not be comparable.")
    if not same_size(runs):
        sizes = "; ".join(f"{run.name}: {size_in_words(run)}" for run in runs)
        warnings.append(f"The runs’ images have different sizes ({sizes}), so their values cannot be compared.")
    warnings += _unequal(runs)
    damaged = [f"{run.name}: {name}" for run in runs for name in run.damaged]
    return warnings + [f"{file} is not a JSON object; its results are not shown." for file in damaged]


def _unequal(runs: Sequence[ComparedRun]) -> list[str]:
    pairs = [run.parameters for run in runs if run.parameters]
    counts = {
        "training images seen": [run.row.images_seen for run in runs],
        "parameters of the generator (decoder)": [pair[0] for pair in pairs],
        "parameters of the discriminator (encoder)": [pair[1] for pair in pairs],
    }
    return [
        f"The number of {what} differs by more than a factor of {_UNEQUAL:g} between the runs, from {min(numbers):,} "
        f"to {max(numbers):,}. Differences between the values may be due to that and not to the family."
        for what, numbers in counts.items()
        if numbers and max(numbers) > _UNEQUAL * min(numbers)
    ]


def size_in_words(run: ComparedRun) -> str:
    """The size of a run's images, as text."""
    data = run.experiment.data
    return f"{data.resolution} × {data.resolution}, {'grey' if data.channels == 1 else 'colour'}"


def median(values: Sequence[Any]) -> float | None:
    """The median of the values that are numbers; None if there are none.

    >>> median([1.0, None, 3.0, "x"]), median([])
    (2.0, None)
    """
    known = sorted(number for value in values if (number := finite(value)) is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
