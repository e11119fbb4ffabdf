"""The state of a run as lines that fit a terminal."""

import textwrap
from typing import Any

from framework.config.schedule import last_name
from framework.report.status import OPEN, SILENT, RunStatus, TrialStatus
from jobs.cli.console import duration
from jobs.cli.tables import Column, clipped, fitted, legend, short_name


def status_lines(status: RunStatus, *, width: int | None = None, height: int | None = None) -> list[str]:
    """The header and the table of a run.

    Args:
        status: The run at one moment.
        width: Maximum number of characters in a line; None for no limit.
        height: Maximum number of lines. Running trials are kept first; a line says how many trials are left out.
    """
    lines = _header(status, width)
    if not status.trials:
        return [clipped(line, width) for line in lines]
    fit = fitted(_columns(status.trials), width)
    foot = [*legend(fit, _searched(status.trials)), *_foot(status)]
    notes = [_notes(trial) for trial in status.trials]
    lines_left = None if height is None else height - len(lines) - 1 - len(foot)
    chosen = _chosen(status.trials, notes, lines_left)
    head, *rows = fit.lines(chosen)
    lines.append(head)
    for index, row in zip(chosen, rows, strict=True):
        lines += [row, *notes[index]]
    if len(chosen) < len(status.trials):
        lines.append(f"… and {len(status.trials) - len(chosen)} more trials (enlarge the window to see them)")
    return [clipped(line, width) for line in [*lines, *foot]][:height]


def _header(status: RunStatus, width: int | None) -> list[str]:
    counts, best = status.counts, status.best
    parts = [f"{counts['ended']} of {counts['trials']} trials ended"]
    parts += [f"{counts[name]} {name}" for name in ("failed", *OPEN) if counts[name]]
    text = f"{status.name}: {', '.join(parts)}" if status.trials else f"{status.name}: no trials yet"
    if best is not None:
        text += f"; best {best.metric} {best.score:.4g} ({best.id} at {_count(best.score_images_seen)} images)"
    return textwrap.wrap(text, width, break_on_hyphens=False) if width else [text]


def _foot(status: RunStatus) -> list[str]:
    if status.working or all(trial.state not in OPEN for trial in status.trials):
        return []
    quiet = duration(status.quiet_seconds or 0.0)
    return [f"No job is running (last change {quiet} ago). Resume with: {status.command}"]


def _notes(trial: TrialStatus) -> list[str]:
    told = {"error": trial.error, "ended": trial.reason, "alarm": trial.alarm}
    return [f"      {kind}: {' '.join(text.split())}" for kind, text in told.items() if text]


def _columns(trials: list[TrialStatus]) -> list[Column]:
    searched = [
        Column(last_name(key), short_name(key), [_setting(trial.params.get(key)) for trial in trials], 1)
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


def _chosen(trials: list[TrialStatus], notes: list[list[str]], lines_left: int | None) -> list[int]:
    """Positions of the trials that fit, in their order; one line is reserved for the number that is left out."""
    positions = list(range(len(trials)))
    if lines_left is None or len(positions) + sum(map(len, notes)) <= lines_left:
        return positions
    chosen, left = [], lines_left - 1
    for index in sorted(positions, key=lambda index: trials[index].state not in ("running", SILENT)):
        needed = 1 + len(notes[index])
        if needed <= left:
            chosen.append(index)
            left -= needed
    return sorted(chosen)


def _searched(trials: list[TrialStatus]) -> list[str]:
    return list(dict.fromkeys(key for trial in trials for key in trial.params))


def _count(value: float | None) -> str:
    """Rounds to three significant digits: 56_016 -> '56k', 1_497_600 -> '1.5M'."""
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
