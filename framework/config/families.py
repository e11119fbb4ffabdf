"""Which keys have an effect for which model family."""

from collections.abc import Iterator

from framework.config.schedule import in_short
from framework.config.schema import ExperimentKeys

_OF_GANS = (
    *("model.architecture", "model.blocks", "model.dropout", "model.discriminator_layers"),
    *("model.discriminator", "model.feature_network", "model.projection_channels", "model.condition"),
    *("objective.loss", "objective.r1_gamma", "objective.r2_gamma", "objective.r1_every_steps"),
    *("objective.augmentations", "objective.augmentation_probability"),
    *("objective.augmentation_target", "objective.augmentation_speed_images"),
    *("optimizer.discriminator_lr", "training.schedule", "training.start_from"),
    "training.freeze_discriminator",
)
_OF_LIKELIHOODS = ("objective.likelihood", "objective.deviation")
_OF_VAES = ("objective.beta", "objective.beta_warmup_images")
_WITHOUT_EFFECT = {
    "gan": (*_OF_LIKELIHOODS, *_OF_VAES),
    "autoencoder": (*_OF_GANS, *_OF_VAES),
    "vae": _OF_GANS,
}


def family_faults(experiment: ExperimentKeys) -> Iterator[str]:
    """A line for each key that is not at its default and would have no effect."""
    without_effect = dict.fromkeys(_WITHOUT_EFFECT[experiment.model.family], f"model.family={experiment.model.family}")
    if experiment.model.architecture != "residual":
        without_effect.setdefault("model.blocks", f"model.architecture={experiment.model.architecture}")
    if experiment.model.discriminator == "own":
        for name in ("model.feature_network", "model.projection_channels"):
            without_effect.setdefault(name, "model.discriminator=own")
    if experiment.training.on_collapse != "rewind":
        without_effect.setdefault("training.most_rewinds", f"training.on_collapse={experiment.training.on_collapse}")
    if experiment.objective.likelihood == "bernoulli":
        without_effect.setdefault("objective.deviation", "objective.likelihood=bernoulli")
    for dotted, setting in without_effect.items():
        section, _, name = dotted.partition(".")
        values = getattr(experiment, section)
        value = getattr(values, name)
        if value != type(values).model_fields[name].default:
            yield f"{dotted}: {in_short(value) or value} has no effect for {setting}; remove it"
