"""Compute a VAE's likelihood of held-out images, in nats: ELBO, its terms, and an importance-weighted bound."""

from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.evaluation.likelihood import check_likelihood
from framework.orchestration.studies.likelihood import DOCUMENT, likelihood
from framework.runs import RunFolder
from jobs.cli.context import find_context, open_context
from jobs.cli.job import WORKER_KEYS, Arguments, Job, run_job, shown
from jobs.cli.tables import aligned

SECTIONS = ("data.path", "evaluation.importance_samples", "evaluation.seed", *WORKER_KEYS, "storage")
JOB = Job("likelihood", __doc__, "CHECKPOINT_OR_RUN", SECTIONS)


def body(arguments: Arguments) -> dict[str, Any]:
    """Computes the likelihood, writes it to artifacts/, and prints it."""
    console = arguments.console

    def check(run: RunFolder, target: CheckpointRef) -> None:  # noqa: ARG001
        check_likelihood(load_generator(target.location))

    if arguments.dry_run:
        run, target = find_context(arguments)
        check(run, target)
        draws = run.experiment.evaluation.importance_samples
        console.say(f"{target.checkpoint}: would draw {draws} latent codes per image")
        return {"checkpoint": target.checkpoint}
    with open_context(arguments, check=check, assessed=False) as (context, target):
        document = likelihood(context, target)
    images = document["protocol"]["images"]["count"]
    console.say(f"{document['checkpoint']}: {images:,} held-out images, nats per image (standard error)")
    errors = document["standard_errors"].items()
    rows = [[name, f"{document[name]:.2f}", "" if error is None else f"({error:.2f})"] for name, error in errors]
    console.say("\n".join(f"  {line}" for line in aligned(["", "", ""], rows, right=(1,))[1:]))
    console.say(f"Written: {shown(context.run.artifacts.location)}/{DOCUMENT}")
    return document


if __name__ == "__main__":
    run_job(JOB, body)
