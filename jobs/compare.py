"""One table of the scores of several runs or checkpoints; scores of unlike protocol never share a column."""

from typing import Any

from framework.checkpoint import RunFolder
from framework.errors import ConfigError
from framework.orchestration.target import find_target
from framework.report.score_table import Column, Row, columns, read_row
from jobs.cli import Arguments, Job, run_job
from jobs.tables import aligned, score_value

JOB = Job("compare", __doc__, "CHECKPOINT_OR_RUN CHECKPOINT_OR_RUN ...", (), positionals=(1, 1000))


def body(arguments: Arguments) -> dict[str, Any]:
    """Of a run the best checkpoint, as scores.json has it; computes nothing."""
    rows = []
    for place in arguments.positionals:
        target = find_target(place)
        rows.append(read_row(place.rstrip("/"), RunFolder.open(target.run), target.checkpoint))
    found = columns(rows)
    if not found:
        raise ConfigError(f"{', '.join(arguments.positionals)}: no scores yet; python -m jobs.evaluate makes them")
    print(*_lines(rows, found), sep="\n", file=arguments.stdout, flush=True) if not arguments.json else None
    return {
        "rows": [{"name": row.name, "checkpoint": row.checkpoint, "images_seen": row.images_seen} for row in rows],
        "columns": [
            {"name": column.name, "protocol": column.protocol, "scores": column.scores, "best": column.best}
            for column in found
        ],
    }


def _lines(rows: list[Row], found: list[Column]) -> list[str]:
    heads = ["", "images seen", *(column.name for column in found)]
    table = [
        [
            row.name,
            f"{row.images_seen:,}",
            *(score_value(column.scores[number]) + " *" * (number in column.best) for column in found),
        ]
        for number, row in enumerate(rows)
    ]
    apart = [column for column in found if column.differs]
    told = [
        f"{column.name}: " + ", ".join(f"{name} {value}" for name, value in column.differs.items()) for column in apart
    ]
    return [*aligned(heads, table), "", "* the best of its column", *told]


if __name__ == "__main__":
    run_job(JOB, body)
