"""Draw and measure latent arithmetic, such as glasses - no_glasses + smiling."""

from typing import Any

from framework.orchestration.studies.arithmetic import arithmetic, arithmetic_ahead
from framework.orchestration.studies.starts import check_starts
from jobs.cli.context import open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown, with_plan

SECTIONS = (*STUDY_KEYS, "latents.arithmetic", "latents.groups", "latents.start")
JOB = Job("arithmetic", __doc__, "CHECKPOINT_OR_RUN | CONFIG", SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be drawn and measured."""
    return forecast_study(arguments, arithmetic_ahead, check=check_starts)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Writes the numbered samples, the picture of the expression and its measured success rate to artifacts/."""
    with open_context(arguments, check=check_starts) as (context, target):
        document = arithmetic(context, target)
        made = "arithmetic.png" if document["expression"] else "sheet.png"
        arguments.console.say(f"Arithmetic: {shown(context.run.artifacts.location)}/{made}")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
