"""Map the latent space of one or two autoencoders or VAEs, and measure the holes in it."""

from typing import Any

from framework.checkpoint.reference import CheckpointRef, find_target
from framework.orchestration.cluster.nodes import check_storage_everywhere
from framework.orchestration.studies.latent_map import DOCUMENT, PICTURE, latent_map, maps_ahead
from framework.orchestration.studies.map_subject import check_maps
from framework.runs import RunFolder
from jobs.cli.context import Check, open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import WORKER_KEYS, Arguments, Console, Job, run_job, shown, with_plan
from jobs.cli.tables import aligned

TAKES = "CHECKPOINT_OR_RUN [CHECKPOINT_OR_RUN]"
SECTIONS = ("data.path", *WORKER_KEYS, "assessor", "latents.maps", "latents.seed", "storage")
JOB = Job("latent_map", __doc__, TAKES, SECTIONS, positionals=(1, 2))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be encoded, decoded and judged."""
    others, check = _others(arguments)
    document = forecast_study(arguments, lambda ahead: maps_ahead(ahead, [ahead.target, *others]), check=check)
    return document | {"checkpoints": [document["checkpoint"], *(each.checkpoint for each in others)]}


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Computes the maps and their measurements, writes them to the first run's artifacts/, and prints them."""
    console = arguments.console
    others, check = _others(arguments)
    with open_context(arguments, check=check) as (context, target):
        for other in others:
            check_storage_everywhere(RunFolder.open(other.run), context.cluster, console.say)
        document = latent_map(context, [target, *others])
    say_figures(document, console)
    console.say(f"Written: {shown(context.run.artifacts.location)}/{PICTURE} and {DOCUMENT}")
    return document


def _others(arguments: Arguments) -> tuple[list[CheckpointRef], Check]:
    """The checkpoints besides the first one, and the check of all."""
    others = [find_target(place) for place in arguments.positionals[1:]]
    return others, lambda run, target: check_maps(run, [target, *others])


def say_figures(document: dict[str, Any], console: Console) -> None:
    """Prints one line per measurement, with one column per map."""
    protocol, maps = document["protocol"], document["maps"]
    classifier, confident = protocol["classifier"], protocol["sure_from"]
    console.say(f"{protocol['images']['count']:,} held-out images by {protocol['label']}")
    console.say(f"Classifier: {classifier['metric']} {classifier['value']:.4f} on {classifier['n']:,} held-out images")
    console.say(
        f"Share of these images with a classifier confidence below {confident:g}: "
        f"{document['hole_share_of_images']:.3f}"
    )
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
