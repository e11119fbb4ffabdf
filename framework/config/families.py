"""Which keys mean something to which family of models."""

from collections.abc import Iterator

from framework.config.schema import ExperimentKeys

_OF_GANS = (
    *("model.architecture", "model.dropout", "model.discriminator_layers"),
    *("objective.loss", "objective.r1_gamma", "objective.r1_every_steps"),
    *("objective.augmentations", "optimizer.discriminator_lr", "training.schedule", "training.start_from"),
)
_OF_LIKELIHOODS = ("objective.likelihood", "objective.deviation")
_OF_VAES = ("objective.beta", "objective.beta_warmup_images")
_MEANINGLESS = {
    "gan": (*_OF_LIKELIHOODS, *_OF_VAES),
    "autoencoder": (*_OF_GANS, *_OF_VAES),
    "vae": _OF_GANS,
}


def family_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """A line for each key that was set and would do nothing."""
    nothing_to = dict.fromkeys(_MEANINGLESS[experiment.model.family], f"model.family {experiment.model.family}")
    if experiment.objective.likelihood == "bernoulli":
        nothing_to.setdefault("objective.deviation", "a bernoulli likelihood")
    for dotted, what in nothing_to.items():
        section, _, name = dotted.partition(".")
        values = getattr(experiment, section)
        value = getattr(values, name)
        if value != type(values).model_fields[name].default:
            yield f"{dotted}: {value} means nothing to {what}; leave it out"
