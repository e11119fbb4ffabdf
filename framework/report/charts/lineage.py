"""Which trial continued from whose checkpoint in population based training: one line per trial, one arrow per copy."""

from collections.abc import Sequence
from dataclasses import dataclass

from framework.config.schedule import last_name
from framework.report.charts.line_chart import Axis
from framework.report.read.run import Results
from framework.report.read.trials import Ancestry, Trial
from framework.report.text import format as words

_LABEL, _TOP, _FOOT = 92.0, 10.0, 30.0
_ALL_ROWS = 1_400.0  # height in drawing units
_LEAN = 26.0  # horizontal extent of an arrow
_LABELLED_FROM = 12.0  # if rows are closer than this, only the ancestors of the best checkpoint are labelled


@dataclass(frozen=True)
class LineageRow:
    """A trial's line. Its spans are (from, to, whether the best checkpoint descends from it), in drawing units."""

    trial: str
    label: str
    y: float
    spans: list[tuple[float, float, bool]]
    labelled: bool


@dataclass(frozen=True)
class Arrow:
    """An arrow from the line of the copied trial to the line of the trial that continued from its checkpoint."""

    trial: str
    start: tuple[float, float]
    path: str
    best: bool
    text: str


@dataclass(frozen=True)
class Lineage:
    """The drawing, as `lineage.html` needs it."""

    name: str
    width: float
    height: float
    left: float
    foot: float
    ticks: list[tuple[float, str]]
    rows: list[LineageRow]
    arrows: list[Arrow]


@dataclass(frozen=True)
class Copy:
    """A row of the table below the drawing."""

    trial: str
    ancestry: Ancestry
    changed: str


def copies(trials: Sequence[Trial]) -> list[Copy]:
    """All copies of checkpoints, in the order of images seen."""
    found = [Copy(trial.id, ancestry, changes(ancestry)) for trial in trials for ancestry in trial.lineage]
    return sorted(found, key=lambda copy: (copy.ancestry.images_seen, copy.trial))


def changes(ancestry: Ancestry) -> str:
    """The settings that the trial changed when it continued, as text.

    >>> changes(Ancestry(100, "a", 100, {"optimizer.generator_lr": (2e-4, 1.6e-4)}))
    'generator_lr 2e−4 → 1.6e−4'
    """
    return ", ".join(
        f"{last_name(key)} {words.setting(old)} → {words.setting(new)}" for key, (old, new) in ancestry.changed.items()
    )


def ancestry_of_best(trials: Sequence[Trial], best: Trial | None) -> dict[str, list[tuple[int, int]]]:
    """Trial -> the spans (from, to) of images seen that the best checkpoint was trained in, in any trial."""
    by_id = {trial.id: trial for trial in trials}
    found: dict[str, list[tuple[int, int]]] = {}
    trial, until = best, (best.score_images_seen or best.images_seen or 0) if best else 0
    while trial is not None:
        # A score at the same number of images as a copy was measured by the trial itself, before the copy.
        earlier = [ancestry for ancestry in trial.lineage if ancestry.images_seen < until]
        last = earlier[-1] if earlier else None
        found.setdefault(trial.id, []).append((last.images_seen if last else 0, until))
        # A record that does not go back in time would make this loop endless.
        back = last is not None and last.from_images_seen < until
        trial, until = (by_id.get(last.from_trial), last.from_images_seen) if last and back else (None, 0)
    return found


def lineage(results: Results, *, name: str, width: float) -> Lineage | None:
    """The drawing; None if no trial continued from another one's checkpoint.

    Args:
        results: The results of the run.
        name: Part of the element ids on the page.
        width: In drawing units, about CSS pixels.
    """
    trials = results.trials
    if not any(trial.lineage for trial in trials):
        return None
    step = min(24.0, max(6.0, _ALL_ROWS / len(trials)))
    foot = _TOP + step * len(trials)
    clocks = [ancestry.images_seen for trial in trials for ancestry in trial.lineage]
    axis = Axis(0.0, float(max([*clocks, *(_end(trial) for trial in trials)])), _LABEL, width - 20)
    bold = ancestry_of_best(trials, results.best_trial)
    heights = {trial.id: round(_TOP + step * (index + 0.5), 1) for index, trial in enumerate(trials)}
    rows = [
        LineageRow(
            trial.id,
            words.shortened(trial.id, 13),
            heights[trial.id],
            spans=[
                (_place(axis, start), _place(axis, end), best)
                for start, end, best in [(0, _end(trial), False), *((*span, True) for span in bold.get(trial.id, []))]
            ],
            labelled=step >= _LABELLED_FROM or trial.id in bold,
        )
        for trial in trials
    ]
    begins = {(trial, start) for trial, spans in bold.items() for start, _ in spans}
    arrows = [
        _arrow(trial, ancestry, axis, heights, best=(trial.id, ancestry.images_seen) in begins)
        for trial in trials
        for ancestry in trial.lineage
        if ancestry.from_trial in heights
    ]
    arrows.sort(key=lambda arrow: arrow.best)
    return Lineage(name, width, foot + _FOOT, _LABEL, foot, axis.ticks(4 if width < 500 else 8), rows, arrows)


def _arrow(trial: Trial, ancestry: Ancestry, axis: Axis, heights: dict[str, float], *, best: bool) -> Arrow:
    changed = changes(ancestry)
    text = f"{trial.id} continues from {ancestry.from_trial} at {words.number(ancestry.images_seen, 12)} images"
    start = (_place(axis, ancestry.from_images_seen), heights[ancestry.from_trial])
    end = (_place(axis, ancestry.images_seen), heights[trial.id])
    # Starts a little earlier, so that copies made at the same time do not cover each other.
    start = (round(max(axis.start, start[0] - _LEAN), 1), start[1])
    path = f"M{start[0]} {start[1]}C{end[0]} {start[1]} {start[0]} {end[1]} {end[0]} {end[1]}"
    return Arrow(trial.id, start, path, best, f"{text}: {changed}" if changed else text)


def _end(trial: Trial) -> int:
    return max([trial.images_seen or 0, *(ancestry.images_seen for ancestry in trial.lineage)])


def _place(axis: Axis, images_seen: int) -> float:
    return round(axis.place(float(images_seen)), 1)
