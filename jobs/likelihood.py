"""The likelihood of held-out images under a VAE, in nats: ELBO, its two terms, and an importance-weighted bound."""

from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.evaluation.likelihood import check_likelihood
from framework.orchestration.studies.likelihood import DOCUMENT, likelihood
from framework.runs import RunFolder
from jobs.cli.context import find_study, open_study
from jobs.cli.job import WORKER_KEYS, Arguments, Job, run_job, shown
from jobs.cli.tables import aligned

SECTIONS = ("data.path", "evaluation.importance_samples", "evaluation.seed", *WORKER_KEYS, "storage")
JOB = Job("likelihood", __doc__, "CHECKPOINT_OR_RUN", SECTIONS)


def body(arguments: Arguments) -> dict[str, Any]:
    """Computes, keeps in artifacts/ and prints it."""
    console = arguments.console

    def check(run: RunFolder, target: Target) -> None:  # noqa: ARG001
        check_likelihood(load_generator(target.location))

    if arguments.dry_run:
        run, target = find_study(arguments)
        check(run, target)
        console.say(f"{target.checkpoint}: {run.experiment.evaluation.importance_samples} draws of a code an image")
        return {"checkpoint": target.checkpoint}
    with open_study(arguments, check=check, assessed=False) as (study, target):
        document = likelihood(study, target)
    images = document["protocol"]["images"]["count"]
    console.say(f"{document['checkpoint']}: {images:,} held-out images, nats an image (standard error)")
    errors = document["standard_errors"].items()
    rows = [[name, f"{document[name]:.2f}", "" if error is None else f"({error:.2f})"] for name, error in errors]
    console.say("\n".join(f"  {line}" for line in aligned(["", "", ""], rows, right=(1,))[1:]))
    console.say(f"Written: {shown(study.run.artifacts.location)}/{DOCUMENT}")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
