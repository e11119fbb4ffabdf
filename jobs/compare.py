"""One table of the scores of several runs or checkpoints; scores of unlike protocol never share a column."""

from typing import Any

from framework.checkpoint import RunFolder
from framework.errors import ConfigError
from framework.orchestration.target import find_target
from framework.report.score_table import columns, read_row
from jobs.cli import Arguments, Job, run_job, shown
from jobs.tables import comparison_table

JOB = Job("compare", __doc__, "CHECKPOINT_OR_RUN CHECKPOINT_OR_RUN ...", (), positionals=(1, 1000))


def body(arguments: Arguments) -> dict[str, Any]:
    """Of a run the best checkpoint, as scores.json has it; computes nothing."""
    rows = []
    for place in arguments.positionals:
        target = find_target(place)
        rows.append(read_row(shown(place.rstrip("/")), RunFolder.open(target.run), target.checkpoint))
    found = columns(rows)
    if not found:
        raise ConfigError(f"{', '.join(arguments.positionals)}: no scores yet; python -m jobs.evaluate makes them")
    if not arguments.json:
        print(comparison_table(rows, found), file=arguments.stdout, flush=True)
    return {
        "rows": [{"name": row.name, "checkpoint": row.checkpoint, "images_seen": row.images_seen} for row in rows],
        "columns": [
            {"name": column.name, "protocol": column.protocol, "scores": column.scores, "best": column.best}
            for column in found
        ],
    }


if __name__ == "__main__":
    run_job(JOB, body)
