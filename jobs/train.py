"""Train one setting with DDP under Ray Train: a run of one trial. The same command again goes on."""

from typing import Any

from framework.orchestration.cluster import connect
from framework.orchestration.search import fit_one
from framework.orchestration.study import Study, begin_run, prepare_images, train_assessors
from jobs.cli import Arguments, Job, run_job, shown
from jobs.forecast import forecast
from jobs.tables import leaderboard_table

SECTIONS = (
    *("data", "model", "objective", "optimizer", "training", "evaluation", "assessor"),
    *("checkpoint", "storage", "compute"),
)
JOB = Job("train", __doc__, "CONFIG", SECTIONS)


def body(arguments: Arguments) -> dict[str, Any]:
    """Prepares what is missing, trains, and prints the trial's line."""
    experiment, console = arguments.experiment(), arguments.console
    if arguments.dry_run:
        return forecast(experiment, console, trials=1)
    images = prepare_images(experiment, console)
    with begin_run(experiment, images, arguments.command, console) as run:
        assessors = train_assessors(run, images, console)
        with connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say) as cluster:
            rows = fit_one(Study(run, images, assessors, cluster, console))
    console.say(leaderboard_table(rows))
    console.say(f"Run: {shown(run.folder.location)}")
    best = run.best()
    scores = [best["score"]] if best else []
    return {"run": run.folder.location, "leaderboard": rows, "best": best, "scores": scores}


if __name__ == "__main__":
    run_job(JOB, body)
