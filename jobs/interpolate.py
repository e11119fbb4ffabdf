"""Walk between two latents of a checkpoint or a run's best: pictures of the way, linear and spherical."""

from typing import Any

from framework.orchestration.explore import interpolate
from jobs.cli import Arguments, Job, run_job, shown
from jobs.opened import open_study

JOB = Job("interpolate", __doc__, "CHECKPOINT_OR_RUN | CONFIG", ("model.entry", "latents", "storage"))


def body(arguments: Arguments) -> dict[str, Any]:
    """Writes samples.png, interpolation.png and interpolation.json into the run's artifacts."""
    with open_study(arguments) as (study, target):
        document = interpolate(study, target)
        arguments.console.say(f"Interpolation: {shown(study.run.artifacts.location)}/interpolation.png")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
