"""What no key's own bounds say: faults between keys."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framework.config.schema import Experiment


def cross_field_faults(experiment: "Experiment") -> Iterator[str]:
    """A line each, by the dotted key."""
    training, latents = experiment.training, experiment.latents
    yield from _network_faults(experiment)
    if training.schedule == "notebook" and training.batch_size % 2:
        yield f"training.batch_size: {training.batch_size} is odd; the notebook schedule halves it into real and fake"
    smallest = training.batch_size // 2 if training.schedule == "notebook" else training.batch_size
    compute = experiment.compute
    if compute.most_workers > smallest:
        yield (
            f"compute.workers: {compute.most_workers} workers cannot share {smallest} images a pass; "
            f"raise training.batch_size or use at most {smallest}"
        )
    if compute.fewest_workers > compute.most_workers:
        yield f"compute.workers: {compute.workers} has its ends the wrong way round"
    if compute.is_elastic:
        for name in ("cpus_per_worker", "gpus_per_worker"):
            share = getattr(compute, name)
            if share != "auto" and share != int(share):
                yield f"compute.{name}: {share:g} beside a range of workers; wants whole ones"
    if latents.loop_samples == 1:
        yield "latents.loop_samples: wants 0 (no film) or from 2 to 64, not 1"
    for name, members in latents.groups.items():
        if isinstance(members, dict) and set(members) != {"attribute", "at"}:
            yield f"latents.groups.{name}: wants a list of numbers or {{attribute: …, at: …}}, not {members}"
        if isinstance(members, list) and not (members and all(1 <= n <= latents.sheet_samples for n in members)):
            wanted = f"numbers from 1 to {latents.sheet_samples} (latents.sheet_samples)"
            yield f"latents.groups.{name}: wants {wanted}, not {members}"


def _network_faults(experiment: "Experiment") -> Iterator[str]:
    model = experiment.model
    for dotted, value in (("model.entry", model.entry), ("latents.score", experiment.latents.score)):
        if value is not None and not re.fullmatch(r"\w+(\.\w+)*:\w+", value):
            yield f"{dotted}: wants package.module:function, not {value!r}"
    if (model.architecture == "keras") != (model.layers is not None):
        yield "model.architecture: keras goes with model.layers, and these with it; jobs.import_keras writes both"
