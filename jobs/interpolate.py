"""Draw walks between latents: straight and spherical, a film through many samples, a grid between four."""

from typing import Any

from framework.orchestration.studies.interpolate import interpolate, interpolation_ahead
from framework.orchestration.studies.starts import check_starts
from jobs.cli.context import open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown, with_plan

SECTIONS = (*STUDY_KEYS, "latents.walks", "latents.start")
JOB = Job("interpolate", __doc__, "CHECKPOINT_OR_RUN | CONFIG", SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be drawn and measured."""
    return forecast_study(arguments, interpolation_ahead, check=check_starts)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Writes samples, interpolation, corners and loop to the run's artifacts/."""
    with open_context(arguments, check=check_starts) as (context, target):
        document = interpolate(context, target)
        place = shown(context.run.artifacts.location)
        film = ", loop.gif and loop.mp4" if context.experiment.latents.walks.loop_samples else ""
        arguments.console.say(f"Interpolation: {place}/interpolation.png, corners.png{film}")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
