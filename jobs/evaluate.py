"""Score a checkpoint, or the best one of a run, or one collection of images against another."""

from pathlib import PurePath
from typing import Any

from framework.checkpoint.reference import CheckpointRef, every_target
from framework.config import Experiment
from framework.config.metrics import is_per_class
from framework.errors import ConfigError
from framework.evaluation.requests.missing_weights import fetch_missing
from framework.evaluation.requests.per_class import KEY, dividing_label
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.environment import storage_keys
from framework.orchestration.cluster.nodes import warn_of_missing_keys
from framework.orchestration.context import RunContext
from framework.orchestration.scoring.evaluate import evaluate
from framework.orchestration.scoring.evaluate_pair import evaluate_pair
from framework.report.shared.score_table import Row, columns
from framework.runs import RunFolder
from framework.runs.folder import run_place
from jobs.cli.context import allow_code, code_files, open_context
from jobs.cli.forecast_scores import forecast_pair, forecast_run
from jobs.cli.job import SCORE_KEYS, Arguments, Console, Job, run_job, with_plan
from jobs.cli.tables import comparison_table, score_lines

TAKES = "CHECKPOINT_OR_RUN | CONFIG | A B"
SECTIONS = ("data.path", "model.entry", *SCORE_KEYS, "evaluation.checkpoints", "assessor", "storage")
JOB = Job("evaluate", __doc__, TAKES, SECTIONS, positionals=(1, 2))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints the passes over the images that the scores need."""
    if len(arguments.positionals) == 1:
        return forecast_run(arguments)
    _check_pair(arguments)
    return forecast_pair(arguments)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Computes scores and prints them with their protocol; those of a run are added to its scores.json."""
    console, places = arguments.console, arguments.positionals
    if len(places) == 2:
        _check_pair(arguments)
        experiment = arguments.settings()
        title = arguments.title(" ".join(PurePath(place).name for place in places))
        _fetch_missing(experiment, console)
        code = code_files(arguments, experiment)
        with connect(title, verbose=arguments.verbose, say=console.say, code=code) as cluster:
            keys = dict.fromkeys(name for place in places for name in storage_keys(place))
            warn_of_missing_keys(list(keys), cluster, console.say)
            scores = evaluate_pair(*places, experiment=experiment, cluster=cluster, progress=console)
    else:
        with open_context(arguments, check=lambda run, target: _check_run(run, target, console)) as (context, target):
            if context.experiment.evaluation.checkpoints == "all" and target.entry is None:
                return _every_checkpoint(context, places[0], console)
            scores = evaluate(context, [target])
    console.say(score_lines(scores))
    return {"scores": scores}


def _check_pair(arguments: Arguments) -> None:
    experiment = arguments.settings()
    allow_code(arguments, experiment)
    if experiment.evaluation.per_class is not None:
        raise ConfigError(f"{KEY}: needs a run or a checkpoint; two sets of images have no labels")
    run_place(experiment)  # refuses storage that cannot be opened


def _check_run(run: RunFolder, target: CheckpointRef, console: Console) -> None:
    if run.experiment.evaluation.per_class is not None:
        dividing_label(run.experiment.evaluation.per_class, [target])
    _fetch_missing(run.experiment, console, run=run)


def _fetch_missing(experiment: Experiment, console: Console, *, run: RunFolder | None = None) -> None:
    fetch_missing(experiment.evaluation, run=run, counter=console.counter, say=console.say)


def _every_checkpoint(context: RunContext, place: str, console: Console) -> dict[str, Any]:
    targets = every_target(place)
    scores = evaluate(context, targets)
    rows = [
        Row(target.checkpoint.split("/")[1], target.checkpoint, target.images_seen, _scores_of(target, scores))
        for target in targets
    ]
    console.say(comparison_table(rows, columns(rows), width=console.width))
    if any(is_per_class(score["metric"]) for score in scores):
        console.say(
            "Scores per class: in scores.json, and in the report for the best checkpoint (python -m jobs.report)"
        )
    return {"scores": scores}


def _scores_of(target: CheckpointRef, scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [score for score in scores if score["checkpoint"] == target.checkpoint and not is_per_class(score["metric"])]


if __name__ == "__main__":
    run_job(JOB, body)
