"""What the report shows, read from a run's folder; whatever is not there yet is empty, never an error.

`run.json` is read by these keys, each of which may be missing:

    command      list[str]           as typed
    machine      dict                host, cores, memory, gpu, cluster …: shown as it is, in its order
    versions     dict                python, torch, ray, latentscape …: shown as it is
    data         dict                source, path_name, images, training, held_out, rejected, digest, resolution, labels
    assessors    dict                {"finder": {"accuracy": {label: {"metric", "value", "n"}}, …}, "measurer": {…}}
    started, ended                   ISO 8601 with its zone
    warnings     list                what asks for attention
    notes        list                what is good to know
                 (each a text, or {"text", "command"} where a command mends or finishes it)

`artifacts/arithmetic.json`: expression, and measured: a list of {attribute, share, interval, repeats, random_share,
random_interval} (`framework.latents.measured_rows`). `artifacts/effects.json`: a direction's file ->
`framework.latents.steering.effects.Effect.document` and {direction, method, target, generator, assessor}.
`artifacts/projections.json`: photos, a list of {name, pixel_error, random_error, start_errors}, and held_out_generated:
{pixel_error_median, count}. `artifacts/interpolation.json`: path_length, {lerp, slerp, features}.
`artifacts/latent_map.json` and `artifacts/likelihood.json`: what `orchestration/studies/latent_map.py`
and `likelihood.py` write. `scores.json`: {"scores": [{"metric", "value", "protocol", …}]}; further keys of a score
(checkpoint, subject) are shown beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from framework.config import Experiment, experiment_from_text, known_keys
from framework.config.describe import default_of
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
    *("corners.png", "projected.png", "latent_map.png", "latent_plane.png"),
)
DOCUMENTS = (
    *("interpolation.json", "arithmetic.json", "effects.json", "projections.json"),
    *("latent_map.json", "likelihood.json"),
)
_SUFFIX = ".safetensors"  # of a direction's file


@dataclass(frozen=True)
class Results:
    """A run as far as it has come.

    `directions` names those that were found, `effects` says what they do, `moving` has their pictures; `damaged` says
    of which artifacts nothing could be read.
    """

    experiment: Experiment
    config: str
    about: dict[str, Any]
    trials: list[Trial]
    best: dict[str, Any] | None
    scores: list[dict[str, Any]]
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
        """Whether trainings of its own make its generator: not where it was imported or is code of a user's."""
        return not self.about.get("imported") and self.experiment.model.entry is None

    @property
    def metric(self) -> str:
        """What the trials were judged by; empty before the first score."""
        found = [str(self.best["score"].get("metric", ""))] if self.best and self.best.get("score") else []
        return next((name for name in (*found, *(trial.metric for trial in self.trials)) if name), "")

    @property
    def higher_is_better(self) -> bool:
        """Which way the trials' scores are better."""
        return higher_is_better(self.metric)

    @property
    def best_trial(self) -> Trial | None:
        """The trial that best.json names."""
        wanted = self.best.get("trial") if self.best else None
        return next((trial for trial in self.trials if trial.id == wanted), None)


def read_results(run: RunFolder, *, film_frames: int = 10) -> Results:
    """Everything the page shows.

    Args:
        run: The run.
        film_frames: At most so many of the best trial's sample grids, closer together at the beginning.
    """
    rows = {str(row["trial"]): row for row in run.leaderboard()}
    trials = [read_trial(folder, rows.get(folder.id, {})) for folder in run.trials()]
    trials.sort(key=lambda trial: (trial.rank is None, trial.rank or 0, trial.id))
    best = run.best()
    # Not run.experiment: that one names where the run lies now, this one what was typed.
    config = run.folder.read_text("experiment.yaml")
    experiment = experiment_from_text(config, source="experiment.yaml")
    documents, damaged = read_documents(run, DOCUMENTS)
    effects = effects_of(documents.get("effects.json"))
    return Results(
        experiment=experiment,
        config=config,
        about=run.about,
        trials=trials,
        best=best,
        scores=run.scores(),
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
    """The artifacts' documents by name, and which of them are damaged: each is somebody's file, none ends the page."""
    found, damaged = {}, []
    for name in names:
        if not run.artifacts.exists(name):
            continue
        try:
            document = run.artifacts.read_json(name)
        except (StorageError, RecursionError):
            document = None
        if isinstance(document, dict):
            found[name] = document
        else:
            damaged.append(f"artifacts/{name}")
    return found, damaged


def searched_keys(trials: list[Trial]) -> list[str]:
    """The dotted keys that the trials' settings name, in the order in which they first come."""
    return list(dict.fromkeys(key for trial in trials for key in trial.params))


def more_columns(trials: list[Trial]) -> list[str]:
    """Columns of the leaderboard that are neither known here nor searched, where any trial has something in them."""
    every = dict.fromkeys(key for trial in trials for key, value in trial.extra.items() if value is not None)
    searched = set(searched_keys(trials))
    return [key for key in every if key not in searched]


def changed_keys(experiment: Experiment) -> list[tuple[str, Any, Any]]:
    """(dotted key, value, default) of each key that is not at its default."""
    found = []
    for dotted in known_keys():
        value: Any = experiment
        for step in dotted.split("."):
            value = getattr(value, step)
        if value != default_of(dotted) and dotted != "name":
            found.append((dotted, value, default_of(dotted)))
    return found


def chosen(count: int, most: int) -> list[int]:
    """At most `most` of `count` positions: the first, the last, and more of the early ones, where most happens.

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
