"""Find the latent of photographs, or of held-out images: RUN/projections/ holds them, for latents.start."""

from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.orchestration.studies.photos import held_out_photos, read_photos
from framework.orchestration.studies.project import FOUND_BACK_LEVELS, features_of, project_photos
from framework.runs import RunFolder
from jobs.cli.context import open_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown

SECTIONS = (*STUDY_KEYS, "latents.projection", "latents.arithmetic.candidates", "evaluation.weights")
JOB = Job("project", __doc__, "CHECKPOINT_OR_RUN [PHOTO…]", SECTIONS, (1, 65))


def body(arguments: Arguments) -> dict[str, Any]:
    """Projects each, and says how well."""
    photos = []

    def check(run: RunFolder, target: Target) -> None:
        features_of(run.experiment, assessed=True)  # whether there is an assessor is not known before it is trained
        photos.extend(read_photos(arguments.positionals[1:], load_generator(target.location)))

    with open_study(arguments, check=check) as (study, target):
        document = project_photos(study, target, photos or held_out_photos(study))
        samples = f"{study.experiment.latents.arithmetic.candidates:,}"
        for row in document["photos"]:
            encoded = "" if row["encoded_error"] is None else f"by the encoder alone by {row['encoded_error']:.1f}, "
            arguments.console.say(
                f"{row['name']}: off by {row['pixel_error']:.1f} of 255, {encoded}the nearest of {samples} samples by "
                f"{row['nearest_random_error']:.1f}, a random one by {row['random_error']:.1f}"
            )
        made = document["held_out_generated"]
        arguments.console.say(
            f"Generated images, for comparison: off by {made['pixel_error_median']:.1f} (median), "
            f"{made['found_back']} of {made['count']} found back to within {FOUND_BACK_LEVELS:g}"
        )
        arguments.console.say(f"Projected: {shown(study.run.artifacts.location)}/projected.png")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
