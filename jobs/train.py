"""Train one setting with DDP under Ray Train: a run with one trial. Run it again to resume."""

from typing import Any

from framework.orchestration.context import end_run
from framework.orchestration.search.run import train_single
from jobs.cli.context import begin_context, training_experiment
from jobs.cli.forecast import forecast
from jobs.cli.job import TRAINING_SECTIONS, Arguments, Job, run_job, with_plan
from jobs.cli.tables import print_results

JOB = Job("train", __doc__, "CONFIG", TRAINING_SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be trained."""
    return forecast(training_experiment(arguments), arguments.console, trials=1)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Prepares images and assessors if necessary, trains, and prints the trial's row of the leaderboard."""
    experiment, console = training_experiment(arguments), arguments.console
    with begin_context(arguments, experiment) as context:
        rows = train_single(context)
        end_run(context.run)
    return print_results(context.run, rows, console)


if __name__ == "__main__":
    run_job(JOB, body)
