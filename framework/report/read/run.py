"""Reads all that the report shows from a run's folder; files that do not exist yet are empty, never an error.

These keys of `run.json` are read, each of which may be missing:

    command      list[str]           the command line
    machine      dict                host, cores, memory, gpu, cluster …: shown as they are, in this order
    versions     dict                python, torch, ray, latentscape …: shown as they are
    data         dict                source, path_name, images, training, held_out, rejected, digest, resolution, labels
    assessors    dict                {"finder": {"accuracy": {label: {"metric", "value", "n"}}, …}, "measurer": {…}}
    started, ended                   ISO 8601 with its zone
    warnings     list                shown as warnings at the top of the page
    notes        list                shown as notes
                 (each a text, or {"text", "command"} if a command solves or completes it)

`artifacts/arithmetic.json`: expression, and measured: a list of {attribute, share, interval, repeats, random_share,
random_interval} (`framework.latents.measured_rows`). `artifacts/effects.json`: a direction's file ->
`framework.latents.steering.effects.Effect.document` and {direction, method, target, generator, assessor}.
`artifacts/projections.json`: photos, a list of {name, pixel_error, random_error, start_errors}, and held_out_generated:
{pixel_error_median, count}. `artifacts/interpolation.json`: path_length, {lerp, slerp, features}.
`artifacts/latent_map.json` and `artifacts/likelihood.json`: what `orchestration/studies/latent_map.py`
and `likelihood.py` write. `artifacts/truncation.json`: checkpoint. `scores.json`: {"scores": [{"metric", "value",
"protocol", …}]}; further keys of a score (checkpoint, subject) are shown below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from framework.config import Experiment, experiment_from_text, known_keys
from framework.config.describe import default_of
from framework.config.metrics import is_per_class
from framework.errors import StorageError
from framework.metrics import higher_is_better
from framework.report.read.directions import DirectionEffect, effects_of
from framework.report.read.films import StripsAndFilms, read_strips_and_films
from framework.report.read.final_images import LastSamples, read_finals
from framework.report.read.json_values import finite
from framework.report.read.trials import Trial, read_trial
from framework.runs import RunFolder, TrialFolder

__all__ = ["PICTURES", "Results", "Trial", "changed_keys", "finite", "more_columns", "read_results", "searched_keys"]

PICTURES = (
    *("samples.png", "interpolation.png", "arithmetic.png", "sheet.png", "nearest.png"),
    *("corners.png", "projected.png", "latent_map.png", "latent_plane.png", "truncation.png"),
)
DOCUMENTS = (
    *("interpolation.json", "arithmetic.json", "effects.json", "projections.json"),
    *("latent_map.json", "likelihood.json", "truncation.json"),
)
_SUFFIX = ".safetensors"  # of the files of directions


@dataclass(frozen=True)
class Results:
    """The results of a run, which need not be finished.

    `scores` are those over all classes, `class_scores` those of single ones. `directions` are the names of all
    directions that were found, `effects` their measurements and `moving` their pictures; `damaged` names the artifacts
    that could not be read.
    """

    experiment: Experiment
    config: str
    about: dict[str, Any]
    trials: list[Trial]
    best: dict[str, Any] | None
    scores: list[dict[str, Any]]
    class_scores: list[dict[str, Any]]
    pictures: dict[str, bytes]
    documents: dict[str, dict[str, Any]]
    film: list[tuple[int, bytes]]
    finals: list[LastSamples]
    directions: list[str]
    effects: list[DirectionEffect]
    moving: StripsAndFilms
    damaged: list[str]

    @property
    def is_trained(self) -> bool:
        """Whether the run trained its generator; False if it was imported or is the user's own code."""
        return not self.about.get("imported") and self.experiment.model.entry is None

    @property
    def metric(self) -> str:
        """The metric by which the trials are ranked; empty before the first score."""
        of_best = [str(self.best["score"].get("metric", ""))] if self.best and self.best.get("score") else []
        return next((name for name in (*of_best, *(trial.metric for trial in self.trials)) if name), "")

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score of the trials is better."""
        return higher_is_better(self.metric)

    @property
    def best_trial(self) -> Trial | None:
        """The trial that best.json names."""
        best_id = self.best.get("trial") if self.best else None
        return next((trial for trial in self.trials if trial.id == best_id), None)


def read_results(run: RunFolder, *, film_frames: int = 10) -> Results:
    """Reads everything that the page shows.

    Args:
        run: The folder of the run.
        film_frames: The maximum number of the best trial's sample grids; early ones are closer together.
    """
    rows = {str(row["trial"]): row for row in run.leaderboard()}
    trials = [read_trial(folder, rows.get(folder.id, {})) for folder in run.trials()]
    trials.sort(key=lambda trial: (trial.rank is None, trial.rank or 0, trial.id))
    best = run.best()
    # Not run.experiment, which has the run's current location: the page shows the configuration as it was written.
    config = run.folder.read_text("experiment.yaml")
    experiment = experiment_from_text(config, source="experiment.yaml", of_run=True)
    documents, damaged = read_documents(run, DOCUMENTS)
    scores = {is_it: [s for s in run.scores() if is_per_class(s["metric"]) == is_it] for is_it in (False, True)}
    effects = effects_of(documents.get("effects.json"))
    return Results(
        experiment=experiment,
        config=config,
        about=run.about,
        trials=trials,
        best=best,
        scores=scores[False],
        class_scores=scores[True],
        pictures={name: run.artifacts.read_bytes(name) for name in PICTURES if run.artifacts.exists(name)},
        documents=documents,
        film=_film(run.trial(best["trial"]), film_frames) if best else [],
        finals=read_finals(run, trials, tile=experiment.data.resolution) if len(trials) > 1 else [],
        directions=[name.removesuffix(_SUFFIX) for name in run.directions.list() if name.endswith(_SUFFIX)],
        effects=effects,
        moving=read_strips_and_films(run.artifacts, effects),
        damaged=damaged,
    )


def read_documents(run: RunFolder, names: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The artifacts' JSON documents by name, and the names of damaged ones, which must not prevent the page."""
    documents, damaged = {}, []
    for name in names:
        if not run.artifacts.exists(name):
            continue
        try:
            document = run.artifacts.read_json(name)
        except (StorageError, RecursionError):
            document = None
        if isinstance(document, dict):
            documents[name] = document
        else:
            damaged.append(f"artifacts/{name}")
    return documents, damaged


def searched_keys(trials: list[Trial]) -> list[str]:
    """The dotted keys of the trials' settings, in the order of their first occurrence."""
    return list(dict.fromkeys(key for trial in trials for key in trial.params))


def more_columns(trials: list[Trial]) -> list[str]:
    """Columns of the leaderboard that are neither known here nor searched, and not empty in every row."""
    extra = dict.fromkeys(key for trial in trials for key, value in trial.extra.items() if value is not None)
    searched = set(searched_keys(trials))
    return [key for key in extra if key not in searched]


def changed_keys(experiment: Experiment) -> list[tuple[str, Any, Any]]:
    """(dotted key, value, default) of each key whose value is not the default."""
    found = []
    for dotted in known_keys():
        value: Any = experiment
        for step in dotted.split("."):
            value = getattr(value, step)
        if value != default_of(dotted) and dotted != "name":
            found.append((dotted, value, default_of(dotted)))
    return found


def chosen(count: int, most: int) -> list[int]:
    """At most `most` of `count` positions: the first, the last, and more early than late ones.

    >>> chosen(3, 10)
    [0, 1, 2]
    >>> chosen(40, 6)
    [0, 3, 10, 18, 28, 39]
    """
    if count <= most:
        return list(range(count))
    return sorted({round((count - 1) * (index / (most - 1)) ** 1.5) for index in range(most)})


def _film(folder: TrialFolder, most: int) -> list[tuple[int, bytes]]:
    clocked = [(int(clock), path) for path in folder.samples() if (clock := PurePosixPath(path).stem).isdigit()]
    return [(clocked[at][0], folder.folder.read_bytes(clocked[at][1])) for at in chosen(len(clocked), most)]
