"""Search over learning rates, latent sizes or any other key: Ray Tune over DDP trainings. Again goes on."""

from typing import Any

from framework.orchestration.cluster import connect
from framework.orchestration.search import search
from framework.orchestration.study import Study, begin_run, prepare_images, train_assessors
from jobs.cli import Arguments, Job, run_job, shown
from jobs.forecast import forecast
from jobs.tables import leaderboard_table
from jobs.train import SECTIONS

JOB = Job("search", __doc__, "CONFIG", ("search", *SECTIONS))


def body(arguments: Arguments) -> dict[str, Any]:
    """Prepares what is missing, searches, and prints the leaderboard."""
    experiment, console = arguments.experiment(), arguments.console
    if arguments.dry_run:
        return forecast(experiment, console)
    images = prepare_images(experiment, console)
    with begin_run(experiment, images, arguments.command, console) as run:
        assessors = train_assessors(run, images, console)
        with connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say) as cluster:
            rows = search(Study(run, images, assessors, cluster, console))
    console.say(leaderboard_table(rows))
    console.say(f"Run: {shown(run.folder.location)}")
    best = run.best()
    scores = [best["score"]] if best else []
    return {"run": run.folder.location, "leaderboard": rows, "best": best, "scores": scores}


if __name__ == "__main__":
    run_job(JOB, body)
