"""Results as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from framework.report.shared.score_table import Column, Row
from framework.runs import RunFolder
from jobs.cli.job import Console, shown

_SHOWN = ("rank", "trial", "score", "score_images_seen", "last_score", "images_per_second", "state")


def leaderboard_table(rows: list[dict[str, Any]]) -> str:
    """The leaderboard, aligned; searched keys by their last step, an error or a warning under its trial."""
    last_columns = {"score_images_seen", "images_seen", "warnings", "error", *_SHOWN}
    searched = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in last_columns]
    columns = [*_SHOWN[:2], *searched, *_SHOWN[2:]]
    heads = {key: key.rsplit(".", 1)[-1] for key in columns} | {"score_images_seen": "at images"}
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    head, *table = aligned([heads[column] for column in columns], cells)
    lines = [head]
    for row, line in zip(rows, table, strict=True):
        lines.append(line)
        lines += [f"      {name}: {row[name]}" for name in ("warnings", "error") if row.get(name)]
    return "\n".join(lines)


def said_results(run: RunFolder, rows: list[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Says the leaderboard of a run and where it lies; gives the job's document."""
    console.say(leaderboard_table(rows))
    console.say(f"Run: {shown(run.folder.location)}")
    best = run.best()
    scores = [best["score"]] if best else []
    return {"run": run.folder.location, "leaderboard": rows, "best": best, "scores": scores}


def aligned(heads: list[str], cells: list[list[str]]) -> list[str]:
    """A head and rows as lines, columns two blanks apart."""
    widths = [max(len(line[index]) for line in (heads, *cells)) for index in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *cells)
    ]


def score_value(score: Mapping[str, Any] | None) -> str:
    """A score's value, with its standard deviation over latent seeds where it has one.

    >>> score_value({"value": 0.27951}), score_value({"value": 12.0, "sd": 0.25}), score_value(None)
    ('0.2795', '12 ± 0.25', '-')
    """
    if score is None:
        return "-"
    spread = f" ± {score['sd']:.2g}" if score.get("sd") is not None else ""
    return f"{score['value']:.4g}{spread}"


def comparison_table(rows: list[Row], found: list[Column]) -> str:
    """Checkpoints and their scores, a column a protocol; under it what sets protocols of one metric apart."""
    heads = ["", "images seen", *(column.name for column in found)]
    cells = [
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
    return "\n".join([*aligned(heads, cells), *([""] if best or told else []), *best, *told])


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
