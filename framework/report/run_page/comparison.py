"""The parts of the page that compare trials: parameters and scores, importance, last samples, lineage, failures."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from framework.metrics.importance import FEWEST_TRIALS, importances
from framework.report.charts.curves import trial_label
from framework.report.charts.lineage import Copy, Lineage, copies, lineage
from framework.report.charts.parallel import Parallel, parallel
from framework.report.charts.search_keys import SearchedKey, complete, keys_of, value_of
from framework.report.read.pictures import Picture, picture
from framework.report.read.run import Results
from framework.report.read.trials import Trial
from framework.report.text import format as words

_POPULATION = (
    "The importance of the parameters cannot be measured here: in population based training, trials continue from each "
    "other’s checkpoints and change their settings during the training."
)


@dataclass(frozen=True)
class ImportantKey:
    """A row of the table of importance."""

    key: str
    share: float
    p: str
    could_be_chance: bool
    best: str


@dataclass(frozen=True)
class FinalPicture:
    """A trial's last samples and the text below them."""

    trial: Trial
    picture: Picture
    label: str


@dataclass(frozen=True)
class Failure:
    """A trial that failed, and why."""

    trial: Trial
    label: str
    images_seen: int | None
    error: str


@dataclass(frozen=True)
class Comparison:
    """All parts; a part without content is empty or None."""

    parallel_wide: Parallel | None
    parallel_narrow: Parallel | None
    important: list[ImportantKey]
    unjudged: str
    settings: int
    finals: list[FinalPicture]
    latent_sizes: list[str]
    lineage_wide: Lineage | None
    lineage_narrow: Lineage | None
    copies: list[Copy]
    failures: list[Failure]


def comparison_of(results: Results) -> Comparison:
    """Collects all parts from the results of a run."""
    important, unjudged, settings = _importance(results)
    return Comparison(
        parallel_wide=parallel(results, name="parallel-wide", width=1120),
        parallel_narrow=parallel(results, name="parallel-narrow", width=440, least_step=124),
        important=important,
        unjudged=unjudged,
        settings=settings,
        finals=_finals(results),
        latent_sizes=_latent_sizes(results),
        lineage_wide=lineage(results, name="lineage-wide", width=1120),
        lineage_narrow=lineage(results, name="lineage-narrow", width=440),
        copies=copies(results.trials),
        failures=[_failure(trial) for trial in results.trials if trial.failed],
    )


def distinct_settings(keys: Sequence[SearchedKey], trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """One trial for each setting, with the mean score of all trials that repeat the setting with other seeds."""
    groups: dict[tuple[float | str, ...], list[Trial]] = {}
    for trial in complete(keys, trials):
        groups.setdefault(tuple(value_of(key, trial) for key in keys), []).append(trial)
    return [
        (group[0], sum(trial.score for trial in group if trial.score is not None) / len(group))
        for group in groups.values()
    ]


def _importance(results: Results) -> tuple[list[ImportantKey], str, int]:
    """The table of importance, or the reason why there is none, and the number of settings."""
    keys = keys_of(results.experiment, results.trials)
    settings = distinct_settings(keys, results.trials)
    if not keys or len(results.trials) < 2:
        return [], "", len(settings)
    if any(trial.lineage for trial in results.trials):
        return [], _POPULATION, len(settings)
    if len(settings) < FEWEST_TRIALS:
        count = f"{len(settings)} setting{'s have' if len(settings) != 1 else ' has'} a score"
        reason = f"The importance of the parameters is computed from {FEWEST_TRIALS} settings on; {count} so far."
        return [], reason, len(settings)
    scores = [score for _, score in settings]
    columns = {key.key: _column(key, [trial for trial, _ in settings]) for key in keys}
    ordered = sorted(settings, key=lambda pair: -pair[1] if results.higher_is_better else pair[1])
    quarter = [trial for trial, _ in ordered[: max(2, len(ordered) // 4)]]
    by_name = {key.key: key for key in keys}
    rows = [
        ImportantKey(
            importance.key,
            importance.share,
            _p(importance.p),
            importance.could_be_chance,
            _best_values(by_name[importance.key], quarter),
        )
        for importance in importances(columns, scores)
    ]
    unjudged = ""
    if not rows:
        unjudged = (
            "The importance of the parameters cannot be computed: all scores are equal, or each parameter has a single "
            "value or too many categories."
        )
    return rows, unjudged, len(settings)


def _column(key: SearchedKey, trials: Sequence[Trial]) -> list[float | str]:
    """The key's values. Categories that are numbers stay numbers, because their order matters."""
    values = [trial.params[key.key] for trial in trials]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values]
    return [str(value_of(key, trial)) for trial in trials]


def _best_values(key: SearchedKey, quarter: Sequence[Trial]) -> str:
    if key.scale != "category":
        numbers = sorted(float(value_of(key, trial)) for trial in quarter)
        middle = words.setting(float(statistics.median(numbers)))
        return f"{middle}, from {words.setting(numbers[0])} to {words.setting(numbers[-1])}"
    values = [str(value_of(key, trial)) for trial in quarter]
    counted = {name: values.count(name) for name in sorted(set(values), key=lambda name: (-values.count(name), name))}
    return ", ".join(f"{name} ({count} of {len(values)})" for name, count in counted.items())


def _p(p: float) -> str:
    return "under 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def _finals(results: Results) -> list[FinalPicture]:
    found = []
    for final in results.finals:
        alt = f"Last samples of trial {final.trial.id}, after {words.number(final.images_seen, 12)} training images"
        shown = picture(final.webp, alt=alt, caption=words.number(final.images_seen, 12))
        if shown is not None:
            found.append(FinalPicture(final.trial, shown, trial_label(final.trial)))
    return found


def _latent_sizes(results: Results) -> list[str]:
    """The latent sizes of the trials with pictures; empty if all are the same."""
    sizes = {str(final.trial.params.get("model.latent_size", "")) for final in results.finals}
    return sorted(sizes, key=lambda size: (len(size), size)) if len(sizes) > 1 else []


def _failure(trial: Trial) -> Failure:
    seen = trial.images_seen or (int(trial.metrics[-1]["images_seen"]) if trial.metrics else None)
    return Failure(trial, trial_label(trial), seen, trial.error or "No reason was recorded.")
