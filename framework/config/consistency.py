"""Rules between several keys, and others that the bounds of a single key cannot express."""

import math
from collections.abc import Iterator
from typing import Any

from framework.config.code import FUNCTION, entry_of, function_of_features, named_code
from framework.config.families import family_faults
from framework.config.metrics import NETWORKS, WEIGHTS_ENDINGS
from framework.config.recipes import recipe_faults, searched_settings
from framework.config.schedule import schedule_faults
from framework.config.schema import MOST_SEED, DataConfig, ExperimentKeys
from framework.config.secrets import login_fault
from framework.config.words import shown


def cross_field_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """One line per broken rule, which begins with the dotted key."""
    training, latents = experiment.training, experiment.latents
    logins = list(_login_faults(experiment.model_dump()))
    yield from logins
    if logins:  # the lines of other faults show values
        return
    yield from _network_faults(experiment)
    yield from _number_faults(experiment)
    yield from schedule_faults(experiment)
    yield from recipe_faults(experiment)
    yield from family_faults(experiment)
    yield from _mnist_faults(experiment.data)
    yield from _augmentation_faults(experiment)
    halved = training.schedule == "notebook" and experiment.model.family == "gan"
    if halved and training.batch_size % 2:
        yield f"training.batch_size: {training.batch_size} is odd; the notebook schedule splits it into real and fake"
    if experiment.objective.loss == "relativistic" and halved:
        yield "objective.loss: relativistic compares real with generated images; it needs training.schedule=joint"
    smallest = training.batch_size // 2 if halved else training.batch_size
    compute = experiment.compute
    if compute.most_workers > smallest:
        yield (
            f"compute.workers: {compute.most_workers} workers cannot share {smallest} images per pass; "
            f"raise training.batch_size or use at most {smallest}"
        )
    if compute.fewest_workers > compute.most_workers:
        yield f"compute.workers: {compute.workers} has a minimum above its maximum; swap them"
    if compute.is_elastic:
        for name in ("cpus_per_worker", "gpus_per_worker"):
            share = getattr(compute, name)
            if share != "auto" and share != int(share):
                yield f"compute.{name}: {share:g} with a range of workers; must be a whole number"
    if latents.walks.loop_samples == 1:
        yield "latents.walks.loop_samples: must be 0 (no film) or from 2 to 64, not 1"
    sheet_samples = latents.arithmetic.sheet_samples
    for name, members in latents.groups.items():
        if isinstance(members, dict) and set(members) != {"attribute", "at"}:
            yield f"latents.groups.{name}: must be a list of numbers or {{attribute: …, at: …}}, not {members}"
        if isinstance(members, list) and not (members and all(1 <= n <= sheet_samples for n in members)):
            allowed = f"numbers from 1 to {sheet_samples} (latents.arithmetic.sheet_samples)"
            yield f"latents.groups.{name}: must be {allowed}, not {members}"


def _number_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """Numbers that JSON cannot hold or 64 bits not count to, in the keys whose values have no type of their own."""
    free = {
        "model.layers": experiment.model.layers,
        "model.discriminator_layers": experiment.model.discriminator_layers,
        "search.space": experiment.search.space,
        "recipes": experiment.recipes,
    }
    for dotted, value in free.items():
        number = next((each for each in _numbers(value) if not _is_sound(each)), None)
        if number is not None:
            yield f"{dotted}: {shown(number)} is not allowed; numbers must be finite, whole ones at most {MOST_SEED:,}"


def _is_sound(number: float) -> bool:
    return -MOST_SEED <= number <= MOST_SEED if isinstance(number, int) else math.isfinite(number)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _numbers(each)


def _mnist_faults(data: DataConfig) -> Iterator[str]:
    """Settings that MNIST does not allow."""
    if data.source != "mnist":
        return
    if data.channels != 1:
        yield f"data.channels: {data.channels}, but mnist is grey; must be 1"
    if data.resolution not in (28, 32):
        yield f"data.resolution: {data.resolution} for mnist; must be 28 (unchanged) or 32 (with 2 black pixels around)"
    if data.held_out != type(data).model_fields["held_out"].default:
        yield f"data.held_out: {data.held_out} for mnist, whose test split is held out; remove it"


def _augmentation_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """Operations on colours of images that have none."""
    coloured = [name for name in ("hue", "saturation") if name in experiment.objective.augmentations]
    if coloured and experiment.data.channels == 1:
        have = "has" if len(coloured) == 1 else "have"
        yield f"objective.augmentations: {' and '.join(coloured)} {have} no effect on grey images (data.channels=1)"


def _network_faults(experiment: ExperimentKeys) -> Iterator[str]:
    model, start = experiment.model, experiment.training.start_from
    for dotted, value in named_code(experiment).items():
        if not FUNCTION.fullmatch(value):
            yield f"{dotted}: must be package.module:function, not {shown(value)}"
    features = experiment.evaluation.features
    if not (features in NETWORKS or function_of_features(features) or features.endswith(WEIGHTS_ENDINGS)):
        allowed = f"{', '.join(NETWORKS)}, package.module:function or a file of weights ({', '.join(WEIGHTS_ENDINGS)})"
        yield f"evaluation.features: must be {allowed}, not {shown(features)}"
    if start is not None and entry_of(start) is not None:
        what = f"{shown(start)} is Python code, which has no weights"
        yield f"training.start_from: {what}; must be a run, checkpoint or export"
    if "efficientnet-lite2" in discriminator_networks(experiment):
        yield from _ranking_faults(experiment)
    if (model.architecture == "keras") != (model.layers is not None):
        yield "model.architecture: keras needs model.layers and no other has them; jobs.import_keras writes both"
    yield from _condition_faults(experiment)


def _condition_faults(experiment: ExperimentKeys) -> Iterator[str]:
    model, labels = experiment.model, experiment.model.condition
    twice = next((name for name in labels if labels.count(name) > 1), None)
    if twice is not None:
        yield f"model.condition: names {shown(twice)} twice; remove one"
    if "model.condition" not in experiment.search.space:
        for name in experiment.latents.condition:
            if name not in labels:
                yield f"latents.condition: {shown(name)} is not a label of model.condition, {shown(labels)}"
        per_class = experiment.evaluation.per_class
        if per_class is not None and per_class not in labels:
            yield f"evaluation.per_class: {shown(per_class)} is not a label of model.condition, {shown(labels)}"
    fixed = {
        "model.entry": model.entry is not None,
        "model.architecture=keras": model.architecture == "keras",
        "model.discriminator_layers": model.discriminator_layers is not None,
    }
    for setting, is_set in fixed.items():
        if labels and is_set:
            yield f"model.condition: {shown(labels)} does not fit {setting}, whose layers take no condition; remove one"


def discriminator_networks(experiment: ExperimentKeys) -> set[str]:
    """The pretrained networks that the discriminators of an experiment's trials are built on."""
    kinds, names = (
        {getattr(experiment.model, key), *_searched(experiment, f"model.{key}")}
        for key in ("discriminator", "feature_network")
    )
    return names if kinds - {"own"} else set()


def _searched(experiment: ExperimentKeys, dotted: str) -> list[Any]:
    """The values that a search tries for a key that is a word."""
    values = [each for each in experiment.search.space.get(dotted, {}).values() if isinstance(each, list)]
    values.append(searched_settings(experiment).get(dotted, []))
    return [value for each in values for value in each if isinstance(value, str)]


def _ranking_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """Scores by the network that a discriminator is built on flatter its generator, so they rank no trials."""
    metric, features = experiment.search.metric, experiment.evaluation.features
    why = "trials are not ranked by the network of their discriminator (model.feature_network: efficientnet-lite2)"
    if metric == "efficientnet_frechet_distance":
        yield f"search.metric: {metric}, but {why}; must be another metric, such as fid or assessor_frechet_distance"
    elif features == "efficientnet" and metric not in ("fid", "inception_score", "assessor_frechet_distance"):
        yield f"evaluation.features: efficientnet, but {why}; set search.metric to fid or assessor_frechet_distance"


def _login_faults(value: Any, place: str = "") -> Iterator[str]:
    """A line for each text with a login, at any depth."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _login_faults(str(name), place)
            yield from _login_faults(member, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for member in value:
            yield from _login_faults(member, place)
    elif isinstance(value, str) and (fault := login_fault(value)):
        yield f"{place}: {fault}"
