"""Find directions in a generator's latent space (latents.directions.method) and write them to RUN/directions/."""

from typing import Any

from framework.checkpoint.reference import CheckpointRef
from framework.latents.directions.requirements import check_samples
from framework.latents.directions.sorted_samples import read_piles
from framework.orchestration.studies.discover import check_names, discover_directions, discovery_ahead
from framework.runs import RunFolder
from jobs.cli.context import open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown, with_plan

SECTIONS = (
    *STUDY_KEYS,
    "latents.directions",
    "latents.groups",
    "latents.arithmetic.expression",
    "latents.arithmetic.sheet_samples",
)
JOB = Job("discover", __doc__, "CHECKPOINT_OR_RUN | CONFIG", SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be found, and what has been found already."""
    return forecast_study(arguments, discovery_ahead, check=_check)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Finds the directions and writes one file for each."""
    with open_context(arguments, check=_check) as (context, target):
        files = discover_directions(context, target)
        place = shown(context.run.directions.location)
        for file in files:
            arguments.console.say(f"Direction: {place}/{file}")
    return {"directions": files}


def _check(run: RunFolder, _: CheckpointRef) -> None:
    latents = run.experiment.latents
    check_names(latents.directions.attributes or [], latents)
    check_samples(latents)
    sorted_samples = latents.directions.sorted_samples
    if sorted_samples is not None and latents.directions.method in ("compass", "difference"):
        read_piles(sorted_samples, samples=latents.arithmetic.sheet_samples)


if __name__ == "__main__":
    run_job(JOB, body)
