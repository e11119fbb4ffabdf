"""Results as aligned lines: of any length in a log, and no wider than the window on a terminal."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.config.metrics import is_per_class
from framework.config.schedule import in_short, last_name
from framework.report.shared.class_table import ClassTable, class_tables
from framework.report.shared.score_table import Column as ScoreColumn
from framework.report.shared.score_table import Row
from framework.runs import RunFolder
from jobs.cli.console import one_line
from jobs.cli.job import Console, shown

_SHOWN = ("rank", "trial", "score", "score_images_seen", "last_score", "images_per_second", "state")
_NAMES = {"score_images_seen": ("at images", "at")}
_SHORT = {"rank": "#", "last_score": "last", "images_per_second": "img/s"}
_LEAVES = {"score_images_seen": 2, "last_score": 3, "images_per_second": 4}
_ENDLESS = 1_000_000  # so many columns that rich neither cuts nor wraps a line


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        short: The heading to use if there is little room.
        cells: One text per row.
        leaves: If the table is too wide, columns with a higher number are dropped first; 0 is never dropped.
    """

    head: str
    short: str
    cells: list[str]
    leaves: int = 0


@dataclass(frozen=True)
class Fit:
    """The part of a table that fits the width.

    Attributes:
        columns: The columns that are kept.
        heads: Their headings, either all long or all short.
        gap: Number of blanks between columns.
    """

    columns: list[Column]
    heads: list[str]
    gap: int

    def lines(self, rows: Sequence[int]) -> list[str]:
        """The heading, then one line for each of these rows."""
        return aligned(self.heads, [[column.cells[row] for column in self.columns] for row in rows], gap=self.gap)


def fitted(columns: list[Column], width: int | None) -> Fit:
    """Shortens headings, then drops columns, until the lines fit the width or nothing more can be dropped."""
    kept = list(columns)
    while True:
        for short, gap in ((False, 2), (True, 2), (True, 1)):
            heads = [column.short if short else column.head for column in kept]
            widths = [max(map(cell_width, (head, *column.cells))) for head, column in zip(heads, kept, strict=True)]
            if width is None or sum(widths) + gap * (len(widths) - 1) <= width:
                return Fit(kept, heads, gap)
        leaving = [column for column in kept if column.leaves]
        if not leaving:
            return Fit(kept, [column.short for column in kept], 1)
        most = max(column.leaves for column in leaving)
        kept.remove(next(column for column in reversed(leaving) if column.leaves == most))


def aligned(
    heads: list[str],
    rows: list[list[str]],
    *,
    gap: int = 2,
    width: int | None = None,
    right: Sequence[int] = (),
) -> list[str]:
    """A heading and rows as aligned lines; if the width is limited, the longest cells are wrapped.

    Args:
        heads: The headings of the columns.
        rows: The cells of each row, one per heading.
        gap: Number of blanks between columns.
        width: Maximum width in characters; None for no limit.
        right: Indexes of right-aligned columns.
    """
    from rich.console import Console as Page  # imported here because --help does not need rich
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(
            Text(one_line(head)), overflow="fold", no_wrap=width is None, justify="right" if number in right else "left"
        )
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    page = Page(file=io.StringIO(), width=width or _ENDLESS, color_system=None, force_jupyter=False)
    return ["".join(part.text for part in line).rstrip() for line in page.render_lines(table, pad=False)]


def cell_width(text: str) -> int:
    """The width of a text on a terminal; characters such as 名前 take two columns each."""
    from rich.cells import cell_len

    return cell_len(one_line(text))


def clipped(line: str, width: int | None) -> str:
    """The line, cut to the width and marked with … where it was cut."""
    from rich.cells import set_cell_size

    line = one_line(line)
    return line if width is None or cell_width(line) <= width else f"{set_cell_size(line, width - 1)}…"


def short_name(key: str) -> str:
    """A setting's name for a narrow heading: its last word, and the first letters of the words before it.

    >>> [short_name(key) for key in ("optimizer.generator_lr", "model.latent_size", "training.ema_half_life_images")]
    ['g_lr', 'l_size', 'e_h_l_images']
    """
    *before, last = last_name(key).split("_")
    return "_".join([*(word[:1] for word in before), last])


def legend(fit: Fit, searched: Sequence[str]) -> list[str]:
    """A line that explains the shortened names of settings; empty if no name is shortened."""
    named = {short_name(key): key for key in searched}
    long = {last_name(key) for key in searched}
    shortened = [f"{head}: {named[head]}" for head in fit.heads if head in named and head not in long]
    return [f"({', '.join(shortened)})"] if shortened else []


def leaderboard_table(rows: list[dict[str, Any]], *, width: int | None = None) -> str:
    """The leaderboard as an aligned table, with warnings and errors below their trial."""
    last_columns = {"score_images_seen", "images_seen", "warnings", "reason", "error", *_SHOWN}
    searched = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in last_columns]
    columns = [
        Column(
            head=_NAMES.get(key, (last_name(key),))[0],
            short=short_name(key) if key in searched else _NAMES.get(key, ("", _SHORT.get(key, key)))[1],
            cells=[_cell(row.get(key)) for row in rows],
            leaves=1 if key in searched else _LEAVES.get(key, 0),
        )
        for key in [*_SHOWN[:2], *searched, *_SHOWN[2:]]
    ]
    fit = fitted(columns, width)
    head, *table = fit.lines(range(len(rows)))
    lines = [head]
    for row, line in zip(rows, table, strict=True):
        lines.append(line)
        lines += [f"      {name}: {row[name]}" for name in ("warnings", "reason", "error") if row.get(name)]
    left_out = [column.head for column in columns if column not in fit.columns]
    if left_out:
        lines.append(f"(columns left out for lack of room: {', '.join(left_out)}; leaderboard.csv has all of them)")
    return "\n".join([*lines, *legend(fit, searched)])


def print_results(run: RunFolder, rows: list[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Prints the leaderboard and the location of a run; returns the job's JSON document."""
    console.say(leaderboard_table(rows, width=console.width))
    console.say(f"Run: {shown(run.folder.location)}")
    best = run.best()
    scores = [best["score"]] if best else []
    return {"run": run.folder.location, "leaderboard": rows, "best": best, "scores": scores}


def score_value(score: Mapping[str, Any] | None) -> str:
    """A score's value, with its standard deviation over latent seeds if it was computed for several seeds.

    >>> score_value({"value": 0.27951}), score_value({"value": 12.0, "sd": 0.25}), score_value(None)
    ('0.2795', '12 ± 0.25', '-')
    """
    if score is None:
        return "-"
    spread = f" ± {score['sd']:.2g}" if score.get("sd") is not None else ""
    return f"{score['value']:.4g}{spread}"


def comparison_table(rows: list[Row], columns: list[ScoreColumn], *, width: int | None = None) -> str:
    """Checkpoints and their scores, one column per protocol, then how the protocols of one metric differ."""
    heads = ["", "images seen", *(column.name for column in columns)]
    table = [
        [
            row.name,
            f"{row.images_seen:,}",
            *(score_value(column.scores[number]) + " *" * (number in column.best) for column in columns),
        ]
        for number, row in enumerate(rows)
    ]
    differences = [
        f"{column.name}: " + ", ".join(f"{name} {value}" for name, value in column.differs.items())
        for column in columns
        if column.differs
    ]
    notes = ["* the best of its column"] if any(column.best for column in columns) else []
    notes += differences
    return "\n".join([*aligned(heads, table, width=width), *([""] if notes else []), *notes])


def score_lines(scores: list[dict[str, Any]]) -> str:
    """One line per score, with the main facts of its protocol, then a table of the scores of each class."""
    lines = [_score_line(score) for score in scores if not is_per_class(score["metric"])]
    return "\n".join([*lines, *(line for table in class_tables(scores) for line in _class_lines(table))])


def _class_lines(table: ClassTable) -> list[str]:
    truncation = "" if table.truncation == 1.0 else f", ψ {table.truncation:g}"
    features = f" ({table.features})" if table.features else ""
    about = f"Classes of {table.label}, as many generated as real images of each{features}{truncation}"
    rows = [
        [
            row.value,
            f"{row.images:,}",
            *(score_value(row.scores.get(family)) for family in table.metrics),
            _share(row.obeyed),
            f"{_share(row.real_obeyed)} of {row.held_out:,}" if row.held_out else "-",
        ]
        for row in table.rows
    ]
    heads = [table.label, "images", *table.metrics, "obeyed", "held-out real"]
    return [
        "",
        f"{about}; distances of other numbers of images do not compare:",
        *aligned(heads, rows),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _score_line(score: dict[str, Any]) -> str:
    protocol = score["protocol"]
    compared = _image_count(protocol["fake"])
    if "real" in protocol:
        compared += f" against {_image_count(protocol['real'])} of the reference"
    if "features" not in protocol:  # of a classifier of its own
        return f"{score['metric']} = {score_value(score)}  ({compared})"
    line = (
        f"{score['metric']} = {score_value(score)}  "
        f"({protocol['features']['name']}, {protocol['tap']} features; {compared})"
    )
    shift = (score.get("detail") or {}).get("shift")
    if shift is None:
        return line
    return (
        f"{line}\n  bfloat16 features: {shift['bfloat16']:.5g} on {shift['images']:,} images of each set; "
        f"float32 gives {shift['float32']:.5g}"
    )


def _image_count(image_set: dict[str, Any]) -> str:
    """The number of images of a set; a file of statistics need not say it.

    >>> _image_count({"count": 5000}), _image_count({"split": "statistics"})
    ('5,000 images', 'the statistics')
    """
    return f"{image_set['count']:,} images" if "count" in image_set else "the statistics"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else in_short(value) or str(value)
