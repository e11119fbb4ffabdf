"""Results as lines: as long as they are in a log, as wide as the terminal for people."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.report.shared.score_table import Column as ScoreColumn
from framework.report.shared.score_table import Row
from framework.runs import RunFolder
from jobs.cli.console import one_line
from jobs.cli.job import Console, shown

_SHOWN = ("rank", "trial", "score", "score_images_seen", "last_score", "images_per_second", "state")
_NAMES = {"score_images_seen": ("at images", "at")}
_SHORT = {"rank": "#", "last_score": "last", "images_per_second": "img/s"}
_LEAVES = {"score_images_seen": 2, "last_score": 3, "images_per_second": 4}
_ENDLESS = 1_000_000  # columns of a page that cuts and wraps nothing


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        head: Its name.
        short: Its name where there is little room.
        cells: One a row.
        leaves: Columns with a higher number leave first where there is too little room; 0 stays.
    """

    head: str
    short: str
    cells: list[str]
    leaves: int = 0


@dataclass(frozen=True)
class Fit:
    """What of a table there is room for.

    Attributes:
        columns: Those that stay.
        heads: Their names, all the long ones or all the short ones.
        gap: Blanks between them.
    """

    columns: list[Column]
    heads: list[str]
    gap: int

    def lines(self, rows: Sequence[int]) -> list[str]:
        """The head, and a line each of some rows."""
        return aligned(self.heads, [[column.cells[row] for column in self.columns] for row in rows], gap=self.gap)


def fitted(columns: list[Column], width: int | None) -> Fit:
    """Takes short names, then lets columns leave, until a line is no longer than the width, if it can be."""
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
    """A head and rows as lines; within a width the longest cells go on below themselves.

    Args:
        heads: Names of the columns.
        rows: Cells, as many as there are heads.
        gap: Blanks between columns.
        width: Columns of the terminal; None: as many as it takes.
        right: Columns that end where their longest cell ends: numbers.
    """
    from rich.console import Console as Page  # here, so that --help does without
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
    """Columns of a terminal that it takes: two for each of 名前."""
    from rich.cells import cell_len

    return cell_len(one_line(text))


def clipped(line: str, width: int | None) -> str:
    """A line that says where it was cut."""
    from rich.cells import set_cell_size

    line = one_line(line)
    return line if width is None or cell_width(line) <= width else f"{set_cell_size(line, width - 1)}…"


def short_name(key: str) -> str:
    """A setting's name for a narrow head: its last word, and the first letter of those before.

    >>> [short_name(key) for key in ("optimizer.generator_lr", "model.latent_size", "training.ema_half_life_images")]
    ['g_lr', 'l_size', 'e_h_l_images']
    """
    *before, last = key.rsplit(".", 1)[-1].split("_")
    return "_".join([*(word[:1] for word in before), last])


def legend(fit: Fit, searched: Sequence[str]) -> list[str]:
    """A line on what shortened names of settings stand for, where there are any."""
    named = {short_name(key): key for key in searched}
    long = {key.rsplit(".", 1)[-1] for key in searched}
    said = [f"{head}: {named[head]}" for head in fit.heads if head in named and head not in long]
    return [f"({', '.join(said)})"] if said else []


def leaderboard_table(rows: list[dict[str, Any]], *, width: int | None = None) -> str:
    """The leaderboard, aligned; searched keys by their last step, an error or a warning under its trial."""
    last_columns = {"score_images_seen", "images_seen", "warnings", "error", *_SHOWN}
    searched = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in last_columns]
    columns = [
        Column(
            head=_NAMES.get(key, (key.rsplit(".", 1)[-1],))[0],
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
        lines += [f"      {name}: {row[name]}" for name in ("warnings", "error") if row.get(name)]
    left_out = [column.head for column in columns if column not in fit.columns]
    if left_out:
        lines.append(f"(no room for {', '.join(left_out)}: leaderboard.csv has all)")
    return "\n".join([*lines, *legend(fit, searched)])


def said_results(run: RunFolder, rows: list[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Says the leaderboard of a run and where it lies; gives the job's document."""
    console.say(leaderboard_table(rows, width=console.width))
    console.say(f"Run: {shown(run.folder.location)}")
    best = run.best()
    scores = [best["score"]] if best else []
    return {"run": run.folder.location, "leaderboard": rows, "best": best, "scores": scores}


def score_value(score: Mapping[str, Any] | None) -> str:
    """A score's value, with its standard deviation over latent seeds where it has one.

    >>> score_value({"value": 0.27951}), score_value({"value": 12.0, "sd": 0.25}), score_value(None)
    ('0.2795', '12 ± 0.25', '-')
    """
    if score is None:
        return "-"
    spread = f" ± {score['sd']:.2g}" if score.get("sd") is not None else ""
    return f"{score['value']:.4g}{spread}"


def comparison_table(rows: list[Row], found: list[ScoreColumn], *, width: int | None = None) -> str:
    """Checkpoints and their scores, a column a protocol; under it what sets protocols of one metric apart."""
    heads = ["", "images seen", *(column.name for column in found)]
    table = [
        [
            row.name,
            f"{row.images_seen:,}",
            *(score_value(column.scores[number]) + " *" * (number in column.best) for column in found),
        ]
        for number, row in enumerate(rows)
    ]
    told = [
        f"{column.name}: " + ", ".join(f"{name} {value}" for name, value in column.differs.items())
        for column in found
        if column.differs
    ]
    best = ["* the best of its column"] if any(column.best for column in found) else []
    return "\n".join([*aligned(heads, table, width=width), *([""] if best or told else []), *best, *told])


def score_lines(scores: list[dict[str, Any]]) -> str:
    """Each score with what makes its protocol."""
    return "\n".join(_score_line(score) for score in scores)


def _score_line(score: dict[str, Any]) -> str:
    protocol = score["protocol"]
    sides = _side(protocol["fake"])
    if "real" in protocol:
        sides += f" against {_side(protocol['real'])} of the reference"
    line = (
        f"{score['metric']} = {score_value(score)}  "
        f"({protocol['features']['name']}, {protocol['tap']} features; {sides})"
    )
    shift = (score.get("detail") or {}).get("shift")
    if shift is None:
        return line
    return (
        f"{line}\n  bfloat16 features: on {shift['images']:,} images of each side {shift['bfloat16']:.5g}, "
        f"where float32 gives {shift['float32']:.5g}"
    )


def _side(side: dict[str, Any]) -> str:
    """How many images, where a file of statistics says so.

    >>> _side({"count": 5000}), _side({"split": "statistics"})
    ('5,000 images', 'the statistics')
    """
    return f"{side['count']:,} images" if "count" in side else "the statistics"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
