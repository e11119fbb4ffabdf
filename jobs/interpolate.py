"""Draw walks between latents: straight and spherical, a film through many samples, a grid between four."""

from typing import Any

from framework.orchestration.studies.interpolate import interpolate
from jobs.cli.context import open_context
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown

SECTIONS = (*STUDY_KEYS, "latents.walks", "latents.start")
JOB = Job("interpolate", __doc__, "CHECKPOINT_OR_RUN | CONFIG", SECTIONS)


def body(arguments: Arguments) -> dict[str, Any]:
    """Writes samples, interpolation, corners and loop to the run's artifacts/."""
    with open_context(arguments) as (context, target):
        document = interpolate(context, target)
        place = shown(context.run.artifacts.location)
        film = ", loop.gif and loop.mp4" if context.experiment.latents.walks.loop_samples else ""
        arguments.console.say(f"Interpolation: {place}/interpolation.png, corners.png{film}")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
