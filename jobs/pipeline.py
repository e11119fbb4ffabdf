"""Run everything: images, assessors, search, scores, latent studies, report. Run it again to resume."""

from typing import Any

from framework.checkpoint.reference import best_target
from framework.orchestration.context import end_run
from framework.orchestration.scoring.evaluate import evaluate
from framework.orchestration.search.run import search
from framework.orchestration.studies.arithmetic import arithmetic
from framework.orchestration.studies.interpolate import interpolate
from framework.report import write_report
from jobs.cli.context import begin_context
from jobs.cli.forecast import forecast
from jobs.cli.job import SCORE_KEYS, TRAINING_SECTIONS, Arguments, Job, run_job, shown
from jobs.cli.tables import leaderboard_table, score_lines

LATENTS = ("latents.groups", "latents.seed", "latents.start", "latents.walks", "latents.arithmetic")
JOB = Job("pipeline", __doc__, "CONFIG", ("search", *LATENTS, *SCORE_KEYS, *TRAINING_SECTIONS))


def body(arguments: Arguments) -> dict[str, Any]:
    """Runs every step in order; a step that is already done is not repeated."""
    experiment, console = arguments.experiment_to_train(), arguments.console
    if arguments.dry_run:
        return forecast(experiment, console)
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
