"""What no key's own bounds say: faults between keys."""

import re
from collections.abc import Iterator

from framework.config.families import family_faults
from framework.config.schema import DataConfig, ExperimentKeys


def cross_field_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """A line each, by the dotted key."""
    training, latents = experiment.training, experiment.latents
    yield from _network_faults(experiment)
    yield from family_faults(experiment)
    yield from _mnist_faults(experiment.data)
    halved = training.schedule == "notebook" and experiment.model.family == "gan"
    if halved and training.batch_size % 2:
        yield f"training.batch_size: {training.batch_size} is odd; the notebook schedule halves it into real and fake"
    smallest = training.batch_size // 2 if halved else training.batch_size
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


def _mnist_faults(data: DataConfig) -> Iterator[str]:
    """What digits cannot be."""
    if data.source != "mnist":
        return
    if data.channels != 1:
        yield f"data.channels: {data.channels}, and mnist is grey; wants 1"
    if data.resolution not in (28, 32):
        yield f"data.resolution: {data.resolution} for mnist; wants 28 (as it is) or 32 (framed by 2 black pixels)"
    if data.held_out != type(data).model_fields["held_out"].default:
        yield f"data.held_out: {data.held_out} for mnist, which holds out its own test split; leave it out"


def _network_faults(experiment: ExperimentKeys) -> Iterator[str]:
    model = experiment.model
    for dotted, value in (("model.entry", model.entry), ("latents.score", experiment.latents.score)):
        if value is not None and not re.fullmatch(r"\w+(\.\w+)*:\w+", value):
            yield f"{dotted}: wants package.module:function, not {value!r}"
    if (model.architecture == "keras") != (model.layers is not None):
        yield "model.architecture: keras goes with model.layers, and these with it; jobs.import_keras writes both"
