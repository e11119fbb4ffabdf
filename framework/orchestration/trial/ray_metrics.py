"""A trial's figures as Ray metrics: on each node's Prometheus endpoint while it trains, tagged by experiment and trial.

The names are `latentscape_<figure>`; Ray puts `ray_` before them. A searched key is a tag, its dots as `_`.
"""

import re
from typing import Any

from ray.util.metrics import Gauge

FIGURES = {
    "images_seen": "Images seen",
    "real_images_seen": "Real images seen",
    "images_per_second": "Images seen a second",
    "discriminator_loss": "Loss of the discriminator",
    "generator_loss": "Loss of the generator",
    "accuracy_real": "Share of real images that the discriminator tells",
    "accuracy_fake": "Share of generated images that the discriminator tells",
    "reconstruction_nats": "Mean log likelihood of training images given their codes",
    "kl_nats": "Mean divergence of the codes' posteriors from the prior",
    "elbo_nats": "Mean evidence lower bound of training images",
    "beta": "Weight of the divergence, as in effect",
    "generator_gradient_norm": "Gradient norm of the generator",
    "discriminator_gradient_norm": "Gradient norm of the discriminator",
    "encoder_gradient_norm": "Gradient norm of the encoder",
    "generator_lr": "Learning rate of the generator, as in effect",
    "discriminator_lr": "Learning rate of the discriminator, as in effect",
    "encoder_lr": "Learning rate of the encoder, as in effect",
    "data_wait_share": "Share of the time that workers wait for images",
    "memory_bytes": "Most memory that all workers of the trial have held",
    "sample_spread": "Mutual distance of samples, of the real images' 1",
    "score": "Newest score",
    "best_score": "Best score so far",
}


class RayGauges:
    """Of one trial, set by its rank 0.

    Args:
        experiment: The run's name.
        trial: The trial's.
        parameters: The searched keys with their values.
    """

    def __init__(self, *, experiment: str, trial: str, parameters: dict[str, Any]) -> None:
        tags = {"experiment": experiment, "trial": trial}
        tags |= {tag_name(key): _shown(value) for key, value in parameters.items()}
        self._gauges = {}
        for name, text in FIGURES.items():
            self._gauges[name] = Gauge(f"latentscape_{name}", description=text, tag_keys=tuple(tags))
            self._gauges[name].set_default_tags(tags)

    def set(self, figures: dict[str, float]) -> None:
        """Those of one report that have a gauge."""
        for name, gauge in self._gauges.items():
            if name in figures:
                gauge.set(float(figures[name]))


def tag_name(key: str) -> str:
    """A dotted key as Prometheus takes a label.

    >>> tag_name("optimizer.generator_lr")
    'optimizer_generator_lr'
    """
    return re.sub(r"\W", "_", key)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
