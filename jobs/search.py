"""Search learning rates, latent sizes or any other keys with Ray Tune. Run it again to resume."""

from typing import Any

from framework.orchestration.context import end_run
from framework.orchestration.search.run import search
from jobs.cli.context import begin_context, training_experiment
from jobs.cli.forecast import forecast
from jobs.cli.job import TRAINING_SECTIONS, Arguments, Job, run_job, with_plan
from jobs.cli.tables import print_results

JOB = Job("search", __doc__, "CONFIG", ("search", *TRAINING_SECTIONS))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be searched."""
    return forecast(training_experiment(arguments), arguments.console)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Prepares images and assessors if necessary, searches, and prints the leaderboard."""
    experiment, console = training_experiment(arguments), arguments.console
    with begin_context(arguments, experiment) as context:
        rows = search(context)
        end_run(context.run)
    return print_results(context.run, rows, console)


if __name__ == "__main__":
    run_job(JOB, body)
