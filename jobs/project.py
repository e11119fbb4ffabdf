"""Find the latents of photographs, or of held-out images, which the other latent jobs can start from."""

from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.orchestration.studies.ahead import Ahead, Step
from framework.orchestration.studies.features import projection_features
from framework.orchestration.studies.photos import Photo, held_out_photos, read_photos
from framework.orchestration.studies.project import FOUND_BACK_LEVELS, project_photos, projection_ahead
from framework.runs import RunFolder
from jobs.cli.context import Check, open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown, with_plan

SECTIONS = (*STUDY_KEYS, "latents.projection", "latents.arithmetic.candidates", "evaluation.weights")
JOB = Job("project", __doc__, "CHECKPOINT_OR_RUN [PHOTO…]", SECTIONS, (1, 65))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be projected."""
    photos: list[Photo] = []

    def steps(ahead: Ahead) -> list[Step]:
        projection_features(ahead.run.experiment, assessed=ahead.assessed)
        if not photos and ahead.context is not None:
            held_out_photos(ahead.context)
        return projection_ahead(ahead, len(photos))

    return forecast_study(arguments, steps, check=_reading(arguments, photos))


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Projects each photograph and prints how close the generator came to it."""
    photos: list[Photo] = []
    check = _reading(arguments, photos)
    with open_context(arguments, check=check) as (context, target):
        document = project_photos(context, target, photos or held_out_photos(context))
        samples = f"{context.experiment.latents.arithmetic.candidates:,}"
        for row in document["photos"]:
            encoded = "" if row["encoded_error"] is None else f"encoder alone {row['encoded_error']:.1f}, "
            arguments.console.say(
                f"{row['name']}: error {row['pixel_error']:.1f} of 255; for comparison: {encoded}"
                f"nearest of {samples} samples {row['nearest_random_error']:.1f}, "
                f"random sample {row['random_error']:.1f}"
            )
        control = document["held_out_generated"]
        arguments.console.say(
            f"Generated images, as a control: median error {control['pixel_error_median']:.1f}, "
            f"{control['found_back']} of {control['count']} recovered with an error of at most {FOUND_BACK_LEVELS:g}"
        )
        arguments.console.say(f"Projected: {shown(context.run.artifacts.location)}/projected.png")
    return document


def _reading(arguments: Arguments, photos: list[Photo]) -> Check:
    """A check that reads the photographs into the list."""

    def check(run: RunFolder, target: CheckpointRef) -> None:
        projection_features(run.experiment, assessed=True)  # assumes an assessor: before its training, nobody knows
        rules = run.experiment.data.rules
        photos.extend(read_photos(arguments.positionals[1:], load_generator(target.location), rules=rules))

    return check


if __name__ == "__main__":
    run_job(JOB, body)
