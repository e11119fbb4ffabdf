"""Run everything: images, assessors, search, scores, latent studies, report. Run it again to resume."""

from typing import Any

from framework.checkpoint.reference import best_target
from framework.latents.arithmetic.plan import plan_of
from framework.orchestration.context import end_run
from framework.orchestration.scoring.evaluate import evaluate
from framework.orchestration.search.run import search
from framework.orchestration.studies.arithmetic import arithmetic, arithmetic_of, say_notes
from framework.orchestration.studies.interpolate import interpolate, walks_of
from framework.orchestration.studies.starts import check_new_starts
from framework.report import write_report
from framework.runs import RunFolder
from framework.runs.folder import run_place
from jobs.cli.context import begin_context, training_experiment
from jobs.cli.forecast import forecast
from jobs.cli.forecast_studies import say_steps
from jobs.cli.job import SCORE_KEYS, TRAINING_SECTIONS, Arguments, Job, run_job, shown, with_plan
from jobs.cli.tables import leaderboard_table, score_lines

LATENTS = (
    "latents.groups",
    "latents.seed",
    "latents.truncation",
    "latents.condition",
    "latents.start",
    "latents.walks",
    "latents.arithmetic",
)
JOB = Job("pipeline", __doc__, "CONFIG", ("search", *LATENTS, *SCORE_KEYS, *TRAINING_SECTIONS))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be packed, trained and drawn."""
    experiment, console = training_experiment(arguments), arguments.console
    document = forecast(experiment, console)
    check_new_starts(RunFolder(run_place(experiment), experiment))
    walks = walks_of(experiment.latents, measured=True)
    assessed = document["assessors"]
    if not assessed:
        say_notes(plan_of(experiment.latents, {}, target=experiment.name).notes, console)
    steps = [*walks, *arithmetic_of(experiment.latents, assessed=assessed)]
    return document | {"studies": say_steps(steps, experiment, console)}


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Runs every step in order; a step that is already done is not repeated."""
    experiment, console = training_experiment(arguments), arguments.console
    with begin_context(arguments, experiment) as context:
        run = context.run
        rows = search(context)
        best = best_target(run)
        scores = evaluate(context, [best])
        interpolate(context, best)
        arithmetic(context, best)
        end_run(run)
        report = write_report(run)
    console.say(leaderboard_table(rows, width=console.width))
    console.say(score_lines(scores))
    console.say(f"Report: {shown(report)}")
    return {"run": run.folder.location, "leaderboard": rows, "best": run.best(), "scores": scores, "report": report}


if __name__ == "__main__":
    run_job(JOB, body)
