"""Figures of a trial as Ray metrics, on the Prometheus endpoint of each node, tagged by experiment and trial.

The names are `latentscape_<figure>`; Ray adds the prefix `ray_`. Each searched key is a tag, with `_` for its dots.
"""

import re
from typing import Any

from pydantic import JsonValue
from ray.util.metrics import Gauge

from framework.config.schedule import in_short

FIGURES = {
    "images_seen": "Images seen",
    "real_images_seen": "Real images seen",
    "images_per_second": "Images seen per second",
    "discriminator_loss": "Loss of the discriminator",
    "generator_loss": "Loss of the generator",
    "accuracy_real": "Share of real images that the discriminator classifies as real",
    "accuracy_fake": "Share of generated images that the discriminator classifies as generated",
    "reconstruction_nats": "Mean log likelihood of training images given their codes",
    "kl_nats": "Mean divergence of the codes' posteriors from the prior",
    "elbo_nats": "Mean evidence lower bound of training images",
    "beta": "Current weight of the divergence",
    "r1_penalty": "Gradient penalty on real images, as weighted in the loss",
    "r2_penalty": "Gradient penalty on generated images, as weighted in the loss",
    "generator_gradient_norm": "Gradient norm of the generator",
    "discriminator_gradient_norm": "Gradient norm of the discriminator",
    "encoder_gradient_norm": "Gradient norm of the encoder",
    "generator_lr": "Current learning rate of the generator",
    "discriminator_lr": "Current learning rate of the discriminator",
    "encoder_lr": "Current learning rate of the encoder",
    "data_wait_share": "Share of the time that workers wait for images",
    "memory_bytes": "Peak memory of all workers of the trial together",
    "sample_spread": "Mean distance between samples, relative to that between real images",
    "score": "Newest score",
    "best_score": "Best score so far",
}


class RayGauges:
    """The gauges of one trial, set by its rank 0.

    Args:
        experiment: The name of the run.
        trial: The name of the trial.
        parameters: The searched keys with their values.
    """

    def __init__(self, *, experiment: str, trial: str, parameters: dict[str, JsonValue]) -> None:
        tags = {"experiment": experiment, "trial": trial}
        tags |= {tag_name(key): _shown(value) for key, value in parameters.items()}
        self._gauges = {}
        for name, text in FIGURES.items():
            self._gauges[name] = Gauge(f"latentscape_{name}", description=text, tag_keys=tuple(tags))
            self._gauges[name].set_default_tags(tags)

    def set(self, figures: dict[str, float]) -> None:
        """Sets the gauges of the figures of one report; figures without a gauge are ignored."""
        for name, gauge in self._gauges.items():
            if name in figures:
                gauge.set(float(figures[name]))


def tag_name(key: str) -> str:
    """A dotted key as a valid Prometheus label name.

    >>> tag_name("optimizer.generator_lr")
    'optimizer_generator_lr'
    """
    return re.sub(r"\W", "_", key)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else in_short(value) or str(value)
