"""Whether higher or lower values of a metric are better."""

import re

from framework.config.metrics import METRICS

# Metrics that grow as images get better; distances, losses and errors shrink.
_NAMES = [
    *(metric.name for metric in METRICS.values() if metric.higher_is_better),
    "accuracy",
    "auroc",
    "obeyed",
    "share",
]
_GROWING = re.compile(rf"(^|_)({'|'.join(_NAMES)})(_|$)")

_NAMED = re.compile(r"^(function|file)_[a-z0-9]+_")  # how scores on features of the user's begin


def higher_is_better(metric: str) -> bool:
    """Whether higher values of a metric are better; unknown names count as distances, for which lower is better.

    >>> higher_is_better("fid5k_768"), higher_is_better("assessor_frechet_distance"), higher_is_better("kid5k_2048")
    (False, False, False)
    >>> higher_is_better("precision"), higher_is_better("recall5k_768"), higher_is_better("latent_arithmetic_share")
    (True, True, True)
    >>> higher_is_better("obeyed_per_class"), higher_is_better("recall500_768_per_class")
    (True, True)
    >>> higher_is_better("function_recall_frechet_distance"), higher_is_better("function_embed_recall")
    (False, True)
    >>> higher_is_better("clean_diversity5k_768"), higher_is_better("memorisation5k_768")
    (True, False)
    """
    plain = _NAMED.sub("", metric)  # a function may be called anything
    return _GROWING.search(re.sub(r"[0-9.]+[km]?(?=_|$)", "", plain)) is not None


def cost(metric: str, value: float) -> float:
    """A score with the sign that makes lower values better for every metric.

    >>> cost("fid5k_768", 2.0), cost("recall5k_768", 0.5)
    (2.0, -0.5)
    """
    return -value if higher_is_better(metric) else value
