"""Which way a metric is better."""

import re
from collections.abc import Mapping
from typing import Any

# Distances, losses and errors shrink as images get better; these grow.
_GROWING = re.compile(r"(^|_)(precision|recall|density|coverage|accuracy|auroc|share|inception_score)(_|$)")


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better; a name that is not known counts as a distance, of which less is.

    >>> higher_is_better("fid5k_768"), higher_is_better("assessor_frechet_distance"), higher_is_better("kid5k_2048")
    (False, False, False)
    >>> higher_is_better("precision"), higher_is_better("recall5k_768"), higher_is_better("latent_arithmetic_share")
    (True, True, True)
    """
    return _GROWING.search(re.sub(r"[0-9.]+[km]?(?=_|$)", "", metric)) is not None


def cost(score: Mapping[str, Any]) -> float:
    """A score document's value so that less is better, whatever its metric.

    >>> cost({"metric": "fid5k_768", "value": 2.0}), cost({"metric": "recall5k_768", "value": 0.5})
    (2.0, -0.5)
    """
    value = float(score["value"])
    return -value if higher_is_better(score["metric"]) else value
