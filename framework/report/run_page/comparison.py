"""What compares many trials: parameters and score, their importance, last samples, lineage, failures."""

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
    "Population based training: its trials go on from one another and change their settings on the way, so that how "
    "much a parameter matters cannot be told from their scores."
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
    """A trial's last samples and what to write beneath them."""

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
    """All parts; what there is nothing for is empty."""

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
    """Everything below the curves that has a part for each trial."""
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
    """One trial for each setting with the mean of its scores: repeats with other seeds are no further settings."""
    groups: dict[tuple[float | str, ...], list[Trial]] = {}
    for trial in complete(keys, trials):
        groups.setdefault(tuple(value_of(key, trial) for key in keys), []).append(trial)
    return [
        (group[0], sum(trial.score for trial in group if trial.score is not None) / len(group))
        for group in groups.values()
    ]


def _importance(results: Results) -> tuple[list[ImportantKey], str, int]:
    """The table, or in words why there is none; and of how many settings."""
    keys = keys_of(results.experiment, results.trials)
    settings = distinct_settings(keys, results.trials)
    if not keys or len(results.trials) < 2:
        return [], "", len(settings)
    if any(trial.lineage for trial in results.trials):
        return [], _POPULATION, len(settings)
    if len(settings) < FEWEST_TRIALS:
        have = f"{len(settings)} setting{'s have' if len(settings) != 1 else ' has'} a score"
        return [], f"How much each parameter matters is judged from {FEWEST_TRIALS} settings on; {have}.", len(settings)
    scores = [score for _, score in settings]
    columns = {key.key: _column(key, [trial for trial, _ in settings]) for key in keys}
    ordered = sorted(settings, key=lambda pair: -pair[1] if results.higher_is_better else pair[1])
    quarter = [trial for trial, _ in ordered[: max(2, len(ordered) // 4)]]
    by_name = {key.key: key for key in keys}
    rows = [
        ImportantKey(one.key, one.share, _p(one.p), one.could_be_chance, _best_values(by_name[one.key], quarter))
        for one in importances(columns, scores)
    ]
    unjudged = "" if rows else "The scores, or each parameter's values, are all equal, or too many to compare."
    return rows, unjudged, len(settings)


def _column(key: SearchedKey, trials: Sequence[Trial]) -> list[float | str]:
    """The key's values; categories that are numbers, as numbers, since their order says something."""
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
        alt = f"Last samples of trial {final.trial.id}, after {words.number(final.images_seen, 12)} images"
        shown = picture(final.webp, alt=alt, caption=words.number(final.images_seen, 12))
        if shown is not None:
            found.append(FinalPicture(final.trial, shown, trial_label(final.trial)))
    return found


def _latent_sizes(results: Results) -> list[str]:
    """The latent sizes among the pictures, where there is more than one."""
    sizes = {str(final.trial.params.get("model.latent_size", "")) for final in results.finals}
    return sorted(sizes, key=lambda size: (len(size), size)) if len(sizes) > 1 else []


def _failure(trial: Trial) -> Failure:
    seen = trial.images_seen or (int(trial.metrics[-1]["images_seen"]) if trial.metrics else None)
    return Failure(trial, trial_label(trial), seen, trial.error or "No reason was noted.")
