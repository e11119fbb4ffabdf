"""How a run stands, as lines that fit a terminal."""

import textwrap
from dataclasses import dataclass
from typing import Any

from framework.report.status import OPEN, SILENT, RunStatus, TrialStatus
from jobs.cli.job import duration


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        head: Its name.
        short: Its name where there is little room.
        cells: One a trial.
        leaves: Columns with a higher number leave first where there is too little room; 0 stays.
    """

    head: str
    short: str
    cells: list[str]
    leaves: int = 0


def status_lines(status: RunStatus, *, width: int | None = None, height: int | None = None) -> list[str]:
    """The run's header and its table.

    Args:
        status: The run at one moment.
        width: Characters a line may have at most; None: as many as it takes.
        height: Lines at most; running trials stay before others, and the last line says how many are left out.
    """
    lines = _header(status, width)
    if not status.trials:
        return lines
    blocks, legend = _table(status.trials, width)
    foot = ([f"({legend})"] if legend else []) + _foot(status)
    room = None if height is None else height - len(lines) - 1 - len(foot)
    chosen = _chosen(status.trials, blocks[1:], room)
    lines += [*blocks[0], *(line for index in chosen for line in blocks[1 + index])]
    if len(chosen) < len(status.trials):
        lines.append(f"… and {len(status.trials) - len(chosen)} more trials, which a taller window shows")
    return [_clipped(line, width) for line in [*lines, *foot]][:height]


def _header(status: RunStatus, width: int | None) -> list[str]:
    counts, best = status.counts, status.best
    said = [f"{counts['ended']} of {counts['trials']} trials ended"]
    said += [f"{counts[name]} {name}" for name in ("failed", *OPEN) if counts[name]]
    text = f"{status.name}: {', '.join(said)}" if status.trials else f"{status.name}: no trial yet"
    if best is not None:
        text += f"; best {best.metric} {best.score:.4g} ({best.id} at {_count(best.score_images_seen)} images)"
    return textwrap.wrap(text, width, break_on_hyphens=False) if width else [text]


def _foot(status: RunStatus) -> list[str]:
    if status.working or all(trial.state not in OPEN for trial in status.trials):
        return []
    return [f"No job works on it (nothing new for {duration(status.quiet_seconds or 0.0)}); to go on: {status.command}"]


def _table(trials: list[TrialStatus], width: int | None) -> tuple[list[list[str]], str]:
    """The head and each trial's lines, and what shortened names stand for."""
    columns = _columns(trials)
    kept, short, gap = _fitted(columns, width)
    heads = [column.short if short else column.head for column in kept]
    widths = [max(map(len, [head, *column.cells])) for head, column in zip(heads, kept, strict=True)]
    rows = [heads, *([column.cells[index] for column in kept] for index in range(len(trials)))]
    blocks = [
        [(" " * gap).join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()] for row in rows
    ]
    for block, trial in zip(blocks[1:], trials, strict=True):
        if trial.error:
            block.append(f"      error: {' '.join(trial.error.split())}")
    named = {short_name(key): key for key in _searched(trials)}
    return blocks, ", ".join(f"{head}: {named[head]}" for head in heads if short and head in named)


def _columns(trials: list[TrialStatus]) -> list[Column]:
    searched = [
        Column(key.rsplit(".", 1)[-1], short_name(key), [_setting(trial.params.get(key)) for trial in trials], 1)
        for key in _searched(trials)
    ]
    return [
        Column("rank", "#", [str(trial.rank or "-") for trial in trials]),
        Column("trial", "trial", [trial.id for trial in trials]),
        *searched,
        Column("state", "state", [trial.state for trial in trials]),
        Column("images seen", "images", [f"{_count(t.images_seen)}/{_count(t.total_images)}" for t in trials]),
        Column("best score", "best", [_score(trial.score) for trial in trials]),
        Column("at images", "at", [_count(trial.score_images_seen) for trial in trials], 2),
        Column("last score", "last", [_score(trial.last_score) for trial in trials], 3),
        Column("images/s", "img/s", [_count(trial.images_per_second) for trial in trials], 4),
        Column("last report", "heard", [_age(trial.report_age_seconds) for trial in trials], 1),
    ]


def _fitted(columns: list[Column], width: int | None) -> tuple[list[Column], bool, int]:
    """The columns that fit, whether their names are the short ones, and the spaces between them."""
    kept = list(columns)
    while True:
        for short, gap in ((False, 2), (True, 2), (True, 1)):
            needed = sum(max(map(len, [c.short if short else c.head, *c.cells])) + gap for c in kept) - gap
            if width is None or needed <= width:
                return kept, short, gap
        leaving = [column for column in kept if column.leaves]
        if not leaving:
            return kept, True, 1
        most = max(column.leaves for column in leaving)
        kept.remove(next(column for column in reversed(leaving) if column.leaves == most))


def _chosen(trials: list[TrialStatus], blocks: list[list[str]], room: int | None) -> list[int]:
    """Which trials are shown in so many lines, as they are ranked; a line is kept for what is left out."""
    every = list(range(len(trials)))
    if room is None or sum(map(len, blocks)) <= room:
        return every
    chosen, left = [], room - 1
    for index in sorted(every, key=lambda index: trials[index].state not in ("running", SILENT)):
        if len(blocks[index]) <= left:
            chosen.append(index)
            left -= len(blocks[index])
    return sorted(chosen)


def short_name(key: str) -> str:
    """A setting's name for a narrow head: its last word, and the first letter of those before.

    >>> [short_name(key) for key in ("optimizer.generator_lr", "model.latent_size", "training.ema_half_life_images")]
    ['g_lr', 'l_size', 'e_h_l_images']
    """
    *before, last = key.rsplit(".", 1)[-1].split("_")
    return "_".join([*(word[:1] for word in before), last])


def _searched(trials: list[TrialStatus]) -> list[str]:
    return list(dict.fromkeys(key for trial in trials for key in trial.params))


def _count(value: float | None) -> str:
    """Three digits that matter: 56_016 -> '56k', 1_497_600 -> '1.5M'."""
    if value is None:
        return "-"
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.0f}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _setting(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    mantissa, _, power = f"{value:.2e}".partition("e")
    return min(f"{value:.3g}", f"{float(mantissa):g}e{int(power)}", key=len)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _clipped(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"
