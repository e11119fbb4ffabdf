"""The curves of the report, and their colours."""

import json
import math
from dataclasses import dataclass
from typing import Any

from framework.config.schedule import in_short, last_name, scheduled
from framework.report.charts.line_chart import Chart, Line, Point, draw
from framework.report.read.json_values import as_list, finite
from framework.report.read.run import Results
from framework.report.read.trials import Trial
from framework.report.text import format as words

# The number of colours that are easy to tell apart; if there are more trials, only the best ones get a colour.
_COLOURS = 8
_COLOURS_IN_A_CROWD = 5
_FIT_UNIT = 100_000  # samples
_POINTS_A_CHART = 12_000  # in all lines of a chart together, so that a page of 200 trials stays small

_Panel = tuple[str, str, str, tuple[float, float] | None]  # the metric, title, caption, vertical range
_PANELS: list[_Panel] = [
    ("generator_loss", "Generator loss", "low: the discriminator takes its images for real", None),
    ("discriminator_loss", "Discriminator loss", "low: it tells real and generated images apart", None),
    ("accuracy_real", "Discriminator accuracy, real", "share of real images recognised as real", (0.0, 1.0)),
    ("accuracy_fake", "Discriminator accuracy, generated", "share of generated images recognised as such", (0.0, 1.0)),
    ("logit_mean_real", "Mean logit, real", "discriminator’s output; above 0 it means real", None),
    ("logit_mean_fake", "Mean logit, generated", "discriminator’s output; below 0 it means generated", None),
    ("r1_penalty", "R1 penalty", "slopes at real images, as weighted in the loss", None),
    ("r2_penalty", "R2 penalty", "slopes at generated images, as weighted in the loss", None),
    ("augmentation_probability", "Augmentation probability", "share of images that get each operation", (0.0, 1.0)),
    ("elbo_nats", "ELBO", "nats per training image: reconstruction minus KL", None),
    ("reconstruction_nats", "Reconstruction", "nats per training image; high: images are rebuilt well", None),
    ("kl_nats", "KL", "nats per image; distance of the codes from the prior", None),
    ("sample_spread", "Spread of the samples", "how much samples differ; near 0 they have collapsed", None),
    ("images_per_second", "Throughput", "training images per second", None),
]

# What is different about the discriminator's logits under other losses than the first two.
_CAPTIONS = {
    "least_squares": {
        "logit_mean_real": "discriminator’s output; 1 means real",
        "logit_mean_fake": "discriminator’s output; 0 means generated",
    },
    "relativistic": {
        "accuracy_real": "share of real images rated above their partner",
        "accuracy_fake": "share of generated images rated below theirs",
        "logit_mean_real": "discriminator’s output; only differences count",
        "logit_mean_fake": "discriminator’s output; only differences count",
    },
}


@dataclass(frozen=True)
class Key:
    """A trial in the legend: its colour, its label and its rank."""

    trial: str
    style: str
    label: str
    rank: int | None = None


@dataclass(frozen=True)
class Curves:
    """The page's curves: the score in a wide and a narrow drawing, everything else in small panels.

    `measures` has one panel for each protocol by which several checkpoints were scored; `fits` has the regression
    lines by which the best checkpoint's distances were extrapolated.
    """

    score_wide: Chart | None
    score_narrow: Chart | None
    panels: list[Chart]
    measures: list[Chart]
    fits: list[Chart]
    legend: list[Key]
    others: int


def curves_of(results: Results) -> Curves:
    """The curves of all trials; the best trial is drawn last, over the others."""
    ranked = [trial for trial in results.trials if trial.metrics]
    best = results.best_trial
    if best in ranked:
        ranked = [best, *(trial for trial in ranked if trial is not best)]
    coloured = _COLOURS if len(ranked) <= _COLOURS else _COLOURS_IN_A_CROWD
    keys = [
        Key(trial.id, f"c{index}" if index < coloured else "c-rest", trial_label(trial), trial.rank)
        for index, trial in enumerate(ranked)
    ]
    pairs = list(zip(ranked, keys, strict=True))[::-1]
    most = max(40, min(240, _POINTS_A_CHART // max(1, len(ranked))))
    captions = _CAPTIONS.get(results.experiment.objective.loss, {})
    panels = [
        draw(name, [_line(key, trial.series(name)) for trial, key in pairs], title=title,
             caption=captions.get(name, caption), fixed=fixed, most_points=most)
        for name, title, caption, fixed in [*_PANELS, *_schedule_panels(results)]
    ]  # fmt: skip
    return Curves(
        score_wide=_score(results, pairs, name="score-wide", size=(1120, 400)),
        score_narrow=_score(results, pairs, name="score-narrow", size=(400, 300)),
        panels=[panel for panel in panels if panel],
        measures=_measures(results, pairs),
        fits=_fits(results),
        legend=keys[:coloured],
        others=len(keys[coloured:]),
    )


def _schedule_panels(results: Results) -> list[_Panel]:
    """A panel for each key that follows a schedule, in the config or in a trial's settings."""
    keys = dict.fromkeys(scheduled(results.experiment))
    keys |= dict.fromkeys(key for trial in results.trials for key, value in trial.params.items() if in_short(value))
    names = {last_name(key): key for key in keys}
    for name, *_ in _PANELS:  # some have a panel anyway
        names.pop(name, None)
    return [(name, f"Schedule of {name.replace('_', ' ')}", key, None) for name, key in names.items()]


def trial_label(trial: Trial) -> str:
    """A trial's settings under their short names, or its id if nothing was searched.

    Short names are enough: the leaderboard's headings contain the dotted keys.
    """
    settings = [f"{last_name(key)} {words.setting(value)}" for key, value in trial.params.items()]
    return ", ".join(settings) or trial.id


def _line(key: Key, points: list[Point]) -> Line:
    return Line(key.trial, key.style, points, key.label)


def _measures(results: Results, pairs: list[tuple[Trial, Key]]) -> list[Chart]:
    """One panel per protocol, for the scores of several checkpoints."""
    found: dict[tuple[str, str], dict[str, list[Point]]] = {}
    for score in results.scores:
        steps = str(score.get("checkpoint", "")).split("/")
        value = finite(score.get("value"))
        if len(steps) != 4 or value is None:  # trials/<id>/checkpoints/<images seen>
            continue
        protocol = str(score.get("metric")), json.dumps(score.get("protocol"), sort_keys=True)
        found.setdefault(protocol, {}).setdefault(steps[1], []).append((float(steps[3]), value))
    charts = [
        draw(f"measure-{number}", [_line(key, sorted(points.get(trial.id, []))) for trial, key in pairs],
             title=words.metric_name(metric), caption=f"{metric}; {words.better(metric)}", dots=True, log_from=4.0)
        for number, ((metric, _), points) in enumerate(found.items())
        if max(len(clocks) for clocks in points.values()) > 1
    ]  # fmt: skip
    return [chart for chart in charts if chart]


def _fits(results: Results) -> list[Chart]:
    """Distances for several numbers of samples over 1/samples, and the line that extrapolates them to infinity."""
    if results.best is None:
        return []
    charts = []
    for score in results.scores:
        detail = score.get("detail") or {}
        if score.get("checkpoint") != results.best.get("checkpoint") or not {"slope", "counts"} <= detail.keys():
            continue
        metric, trial = str(score["metric"]), str(results.best["trial"])
        points = _fitted_points(detail)
        value, slope, explained = (finite(each) for each in (score["value"], detail["slope"], detail.get("r_squared")))
        if not points or value is None or slope is None or explained is None:
            continue
        last = max(x for x, _ in points)
        line = [(0.0, value), (last, value + slope * last / _FIT_UNIT)]
        dots = [dot for x, y in points for dot in ((x, y), (x, math.nan))]  # NaN keeps the dots unconnected
        name = words.metric_name(metric)
        charts.append(
            draw(f"fit-{len(charts)}", [Line(trial, "c-rest", line, "line"), Line(trial, "c0", dots, "measured")],
                 title=f"{name}: extrapolation", size=(560, 240), against="100,000 / samples", log_from=math.inf,
                 references=[(value, f"{name} {words.score(value)}")],
                 caption=f"over 100,000 / samples; 0 stands for infinitely many samples; the line explains "
                 f"{words.number(100 * explained, 3)}% of the variance")
        )  # fmt: skip
    return [chart for chart in charts if chart]


def _fitted_points(detail: dict[str, Any]) -> list[Point]:
    """(100,000 / samples, distance) of each measurement that a line was fitted to; [] if one of them is malformed."""
    counts, distances = as_list(detail["counts"]), as_list(detail.get("distances"))
    pairs = [(finite(count), finite(distance)) for count, distance in zip(counts, distances, strict=False)]
    points = [(_FIT_UNIT / count, value) for count, value in pairs if count and value is not None]
    return points if len(points) == len(counts) == len(distances) else []


def _score(results: Results, pairs: list[tuple[Trial, Key]], *, name: str, size: tuple[int, int]) -> Chart | None:
    best = results.best_trial
    mark = None
    if best is not None and best.score is not None and best.score_images_seen is not None:
        mark = ((float(best.score_images_seen), best.score), words.score(best.score))
    return draw(
        name, [_line(key, trial.scores) for trial, key in pairs], title="Score", size=size, dots=True, mark=mark,
        caption=f"{words.better(results.metric)}; each dot is one evaluation of the generator with averaged weights",
        log_from=4.0,
    )  # fmt: skip
