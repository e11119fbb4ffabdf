"""Fetches Inception's weights for scores that want them: once, and before anything is computed."""

from collections.abc import Callable

from framework.config import EvaluationConfig
from framework.evaluation.features.fetching import Done, FetchError, Published
from framework.evaluation.features.weights import FILE, fetch_weights, find_weights, published_weights
from framework.evaluation.protocols.named import named_protocol
from framework.evaluation.requests.begun import begun_features, implied_features
from framework.runs import RunFolder

_INSTEAD = "scores are on features of EfficientNet-Lite2 instead"


def fetch_missing(
    settings: EvaluationConfig, *, run: RunFolder | None, counter: Callable[[str], Done], say: Callable[[str], None]
) -> None:
    """Fetches the weights if the scores want them and may have them, and says in one line if they are not to be had.

    Args:
        settings: The evaluation settings.
        run: The run that is scored, which keeps the features that it began with; None for two collections of images.
        counter: Starts a progress line.
        say: Called with one-line messages.
    """
    published = to_fetch(settings, run=run)
    if published is None:
        return
    say(
        f"Inception's weights are missing: fetching {published.size:,} bytes from {published.place}, once "
        "(evaluation.weights=none forbids it)"
    )
    try:
        fetch_weights(published, progress=counter(f"{FILE}, bytes"))
    except FetchError as fault:
        instead = f"; {_INSTEAD}" if settings.features == "auto" else ""
        say(f"Inception's weights are not to be had ({fault}){instead}")


def planned_fetch(settings: EvaluationConfig, *, run: RunFolder | None) -> str | None:
    """What `fetch_missing` would do, in one line for --dry-run; None if nothing."""
    published = to_fetch(settings, run=run)
    if published is None:
        return None
    without = f"; without them, {_INSTEAD}, as planned here" if settings.features == "auto" else ""
    return f"Inception's weights are missing; {published.size:,} bytes would be fetched from {published.place}{without}"


def to_fetch(settings: EvaluationConfig, *, run: RunFolder | None) -> Published | None:
    """The weights that are to be fetched; None if they are there, are not wanted, or may not be fetched."""
    if settings.weights is not None or find_weights(None) is not None or not _wants_them(settings, run):
        return None
    return published_weights()


def _wants_them(settings: EvaluationConfig, run: RunFolder | None) -> bool:
    implied = None if run is None else implied_features(run)
    if "inception" in (settings.features, implied):
        return True
    names = () if settings.metrics == "auto" else settings.metrics
    if any(named_protocol(name) is not None for name in names):
        return True
    if settings.features != "auto" or implied is not None:
        return False
    return run is None or begun_features(run) in (None, "inception")
