"""One compared checkpoint as its run's folder holds it; what is missing or damaged is empty, never an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.checkpoint.foreign import entry_of
from framework.config import Experiment
from framework.errors import StorageError
from framework.models import build_generator, build_partner, count_parameters
from framework.report.read.json_values import as_dict, finite
from framework.report.read.run import read_documents
from framework.report.shared.score_table import Row
from framework.runs import RunFolder

INTERPOLATION, ARITHMETIC, PROJECTIONS = "interpolation.json", "arithmetic.json", "projections.json"
MAP, LIKELIHOOD = "latent_map.json", "likelihood.json"
_DOCUMENTS = (INTERPOLATION, ARITHMETIC, PROJECTIONS, MAP, LIKELIHOOD)
# A picture -> the document that says which checkpoint it is of.
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
        name: The run's; as its user typed it where two runs have the same one.
        typed: What a command calls it.
        row: Its checkpoint and scores.
        experiment: What trained it, the trial's searched values laid over the run's.
        parameters: Of the generator or decoder, and of the discriminator or encoder; None where nobody knows.
        data: What run.json says of the images.
        generator: sha256 of the generator's weights; empty where its checkpoint does not say.
        documents: The artifacts' documents by name, of this checkpoint.
        pictures: The artifacts' pictures by name, of this checkpoint.
        others: Names of documents that are of another checkpoint of the run.
        damaged: Files of which nothing could be read.
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
        """Of the images; empty where the run does not say."""
        return str(self.data.get("digest") or "")

    def document(self, name: str) -> dict[str, Any]:
        """An artifact's document; empty where there is none."""
        return self.documents.get(name, {})


def read_compared_run(name: str, typed: str, row: Row, run: RunFolder) -> ComparedRun:
    """What a run holds of one of its checkpoints.

    Raises:
        LatentscapeError: Its configuration cannot be read.
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
    """A file's object, and its name where it is there and damaged."""
    if not run.folder.exists(name):
        return {}, []
    try:
        document = run.folder.read_json(name)
    except (StorageError, RecursionError):
        document = None
    return (document, []) if isinstance(document, dict) else ({}, [name])


def _is_of(document: dict[str, Any], checkpoint: str, generator: str) -> bool:
    """Whether a document is of this checkpoint, as far as it says; a map's says so in its rows."""
    known = document.get("generator")
    if known and generator:
        return known == generator
    return document.get("checkpoint", checkpoint) == checkpoint


def _parameters(experiment: Experiment) -> tuple[int, int] | None:
    if experiment.model.entry is not None:
        return None
    shape = {"resolution": experiment.data.resolution, "channels": experiment.data.channels, "seed": experiment.seed}
    networks = build_generator(experiment.model, **shape), build_partner(experiment.model, **shape)
    return count_parameters(networks[0]), count_parameters(networks[1])


def same_images(runs: Sequence[ComparedRun]) -> bool:
    """Whether all runs are known to be of the same images."""
    return len({run.digest for run in runs}) == 1 and bool(runs[0].digest) and same_size(runs)


def same_size(runs: Sequence[ComparedRun]) -> bool:
    """Whether all runs' images are of one size."""
    return len({(run.experiment.data.resolution, run.experiment.data.channels) for run in runs}) == 1


def alerts(runs: Sequence[ComparedRun]) -> list[str]:
    """Why rows of the page do not compare, and what could not be read."""
    found = []
    if len({run.digest for run in runs}) > 1 and all(run.digest for run in runs):
        told = "; ".join(f"{run.name}: {run.data.get('source', 'unknown')}, {run.digest[:8]}" for run in runs)
        found.append(f"The runs are of different data ({told}), so their rows do not compare.")
    unknown = [run.name for run in runs if not run.digest]
    if unknown and len(runs) > 1:
        found.append(f"Of which data {', '.join(unknown)} is, is not known, so its rows may not compare.")
    if not same_size(runs):
        told = "; ".join(f"{run.name}: {size_in_words(run)}" for run in runs)
        found.append(f"The runs' images are of different sizes ({told}), so their rows do not compare.")
    found += _unequal(runs)
    damaged = [f"{run.name}: {name}" for run in runs for name in run.damaged]
    return found + [f"{one} is no JSON object; nothing of it is shown." for one in damaged]


def _unequal(runs: Sequence[ComparedRun]) -> list[str]:
    pairs = [run.parameters for run in runs if run.parameters]
    counts = {
        "have seen very unequal numbers of images": [run.row.images_seen for run in runs],
        "have generators (decoders) of very unequal parameters": [pair[0] for pair in pairs],
        "have discriminators (encoders) of very unequal parameters": [pair[1] for pair in pairs],
    }
    return [
        f"The runs {what}, from {min(numbers):,} to {max(numbers):,}, more than {_UNEQUAL:g} times as many, so that a "
        "row may say more of that than of the family."
        for what, numbers in counts.items()
        if numbers and max(numbers) > _UNEQUAL * min(numbers)
    ]


def size_in_words(run: ComparedRun) -> str:
    """Of its images."""
    data = run.experiment.data
    return f"{data.resolution} × {data.resolution}, {'grey' if data.channels == 1 else 'colour'}"


def median(values: Sequence[Any]) -> float | None:
    """Of those that are numbers; None where there are none.

    >>> median([1.0, None, 3.0, "x"]), median([])
    (2.0, None)
    """
    known = sorted(value for one in values if (value := finite(one)) is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
