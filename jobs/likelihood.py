"""Compute a VAE's likelihood of held-out images, in nats: ELBO, its terms, and an importance-weighted bound."""

from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.evaluation.likelihood import check_likelihood
from framework.orchestration.studies.likelihood import DOCUMENT, likelihood, likelihood_ahead
from framework.runs import RunFolder
from jobs.cli.context import open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import WORKER_KEYS, Arguments, Job, run_job, shown, with_plan
from jobs.cli.tables import aligned

SECTIONS = ("data.path", "evaluation.importance_samples", "evaluation.seed", *WORKER_KEYS, "storage")
JOB = Job("likelihood", __doc__, "CHECKPOINT_OR_RUN", SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be encoded and decoded."""
    return forecast_study(arguments, likelihood_ahead, check=_check, assessed=False)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Computes the likelihood, writes it to artifacts/, and prints it."""
    console = arguments.console
    with open_context(arguments, check=_check, assessed=False) as (context, target):
        document = likelihood(context, target)
    images = document["protocol"]["images"]["count"]
    console.say(f"{document['checkpoint']}: {images:,} held-out images, nats per image (standard error)")
    errors = document["standard_errors"].items()
    rows = [[name, f"{document[name]:.2f}", "" if error is None else f"({error:.2f})"] for name, error in errors]
    console.say("\n".join(f"  {line}" for line in aligned(["", "", ""], rows, right=(1,))[1:]))
    console.say(f"Written: {shown(context.run.artifacts.location)}/{DOCUMENT}")
    return document


def _check(_: RunFolder, target: CheckpointRef) -> None:
    check_likelihood(load_generator(target.location))


if __name__ == "__main__":
    run_job(JOB, body)
