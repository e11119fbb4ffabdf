"""Which keys mean something to which family of models."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framework.config.schema import Experiment

_OF_GANS = (
    *("model.architecture", "model.dropout", "objective.loss", "objective.r1_gamma", "objective.r1_every_steps"),
    *("objective.augmentations", "optimizer.discriminator_lr", "training.schedule", "training.start_from"),
)
_OF_LIKELIHOODS = ("objective.likelihood", "objective.deviation")
_OF_VAES = ("objective.beta", "objective.beta_warmup_images")
MEANINGLESS = {
    "gan": (*_OF_LIKELIHOODS, *_OF_VAES),
    "autoencoder": (*_OF_GANS, *_OF_VAES),
    "vae": _OF_GANS,
}


def family_faults(experiment: "Experiment") -> Iterator[str]:
    """A line for each key that was set and would do nothing."""
    family = experiment.model.family
    for dotted in MEANINGLESS[family]:
        section, _, name = dotted.partition(".")
        values = getattr(experiment, section)
        value = getattr(values, name)
        if value != type(values).model_fields[name].default:
            yield f"{dotted}: {value} means nothing to model.family {family}; leave it out"
    objective = experiment.objective
    usual = type(objective).model_fields["deviation"].default
    if objective.likelihood == "bernoulli" and objective.deviation != usual:
        yield f"objective.deviation: {objective.deviation} means nothing to a bernoulli likelihood; leave it out"
