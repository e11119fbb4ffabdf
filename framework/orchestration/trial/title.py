"""The names of trials in Ray's dashboard."""

from typing import Any

from pydantic import JsonValue

from framework.config.schedule import in_short, last_name

_NAME_CHARACTERS = 120


def trial_title(trial: str, parameters: dict[str, JsonValue]) -> str:
    """A trial with its searched settings; of each key only the part after the last dot.

    >>> trial_title("003-4a79", {"optimizer.generator_lr": 0.0002, "model.latent_size": 64})
    'trial 003-4a79 generator_lr=0.0002 latent_size=64'
    """
    settings = [f"{last_name(key)}={_short(value)}" for key, value in parameters.items()]
    return " ".join([f"trial {trial}", *settings])[:_NAME_CHARACTERS]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else in_short(value) or str(value)
