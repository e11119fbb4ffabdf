"""Maps of the latent space of an autoencoder or VAE, or two side by side: held-out images by class, and figures."""

from typing import Any

from framework.checkpoint.reference import Target, find_target
from framework.orchestration.cluster.nodes import check_storage_everywhere
from framework.orchestration.studies.latent_map import DOCUMENT, PICTURE, latent_map
from framework.orchestration.studies.map_subject import check_maps
from framework.runs import RunFolder
from jobs.cli.context import find_study, open_study
from jobs.cli.job import WORKER_KEYS, Arguments, Console, Job, run_job, shown
from jobs.cli.tables import aligned

TAKES = "CHECKPOINT_OR_RUN [CHECKPOINT_OR_RUN]"
SECTIONS = ("data.path", *WORKER_KEYS, "assessor", "latents.maps", "latents.seed", "storage")
JOB = Job("latent_map", __doc__, TAKES, SECTIONS, positionals=(1, 2))


def body(arguments: Arguments) -> dict[str, Any]:
    """Computes, keeps in the first run's artifacts/ and prints it."""
    console = arguments.console
    more = [find_target(place) for place in arguments.positionals[1:]]

    def check(run: RunFolder, target: Target) -> None:
        check_maps(run, [target, *more])

    if arguments.dry_run:
        run, target = find_study(arguments)
        check(run, target)
        console.say(f"{target.checkpoint}: up to {run.experiment.latents.maps.images:,} images encoded")
        return {"checkpoints": [each.checkpoint for each in (target, *more)]}
    with open_study(arguments, check=check) as (study, target):
        for other in more:
            check_storage_everywhere(RunFolder.open(other.run))
        document = latent_map(study, [target, *more])
    say_figures(document, console)
    console.say(f"Written: {shown(study.run.artifacts.location)}/{PICTURE} and {DOCUMENT}")
    return document


def say_figures(document: dict[str, Any], console: Console) -> None:
    """A line a figure, a column a map."""
    protocol, maps = document["protocol"], document["maps"]
    judge = protocol["classifier"]
    console.say(f"{protocol['images']['count']:,} held-out images by {protocol['label']}")
    console.say(f"Classifier: {judge['metric']} {judge['value']:.4f} on {judge['n']:,} held-out images")
    console.say(f"Unsure (below {protocol['sure_from']:g}) of the images: {document['hole_share_of_images']:.3f}")
    rows = [
        [f"{group}, {name}", *(f"{row[group][name]:.3f}" for row in maps)]
        for group in ("knn_purity", "hole_share", "midpoint_confidence")
        for name in maps[0][group]
    ]
    nats = ["none" if row["aggregate_kl_nats"] is None else f"{row['aggregate_kl_nats']:.3f}" for row in maps]
    rows.append(["aggregate_kl_nats", *nats])
    width = None if console.width is None else console.width - 2
    table = aligned(["", *(row["run"] for row in maps)], rows, width=width, right=range(1, len(maps) + 1))
    console.say("\n".join(f"  {line}" for line in table))


if __name__ == "__main__":
    run_job(JOB, body)
