"""Compare the scores of runs or checkpoints in a table; with output=FILE.html, write a page that compares them."""

import shlex
import shutil
from typing import Any

from framework.checkpoint.reference import CheckpointRef, find_target
from framework.config.describe import KeyHelp
from framework.errors import ConfigError
from framework.report.compare_page.compared_run import ComparedRun, read_compared_run
from framework.report.compare_page.page import write_comparison
from framework.report.shared.score_table import Column, Row, columns, read_row
from framework.runs import RunFolder
from framework.storage import Folder
from jobs.cli.console import obeys, print_lines
from jobs.cli.job import Arguments, Job, run_job, shown, with_plan
from jobs.cli.places import file_place
from jobs.cli.tables import comparison_table

OWN = (KeyHelp("output", "", "", "a file", "the .html page to write, which compares the runs in detail"),)
JOB = Job("compare", __doc__, "CHECKPOINT_OR_RUN CHECKPOINT_OR_RUN ...", (), positionals=(1, 1000), own=OWN)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints the table and where the page would be."""
    return _compare(arguments, write=False)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Reads the scores of each run's best checkpoint, or of the named ones, from scores.json; computes nothing."""
    return _compare(arguments, write=True)


def _compare(arguments: Arguments, *, write: bool) -> dict[str, Any]:
    page = file_place(arguments.own["output"], key="output", ending=".html", example="families.html")
    targets = [find_target(place) for place in arguments.positionals]
    rows = [
        read_row(shown(place.rstrip("/")), RunFolder.open(target.run), target.checkpoint)
        for place, target in zip(arguments.positionals, targets, strict=True)
    ]
    score_columns = columns(rows)
    if not score_columns and page is None:
        raise ConfigError(f"{', '.join(arguments.positionals)}: no scores yet; python -m jobs.evaluate computes them")
    document = _document(rows, score_columns)
    if page is not None:
        document |= {"page": _write_page(*page, arguments, targets, rows, score_columns, write=write)}
    if not arguments.json and score_columns:
        out = arguments.stdout
        width = shutil.get_terminal_size().columns if obeys(out) else None
        print_lines(comparison_table(rows, score_columns, width=width), out)
    return document


def _document(rows: list[Row], score_columns: list[Column]) -> dict[str, Any]:
    return {
        "rows": [{"name": row.name, "checkpoint": row.checkpoint, "images_seen": row.images_seen} for row in rows],
        "columns": [
            {"name": column.name, "protocol": column.protocol, "scores": column.scores, "best": column.best}
            for column in score_columns
        ],
    }


def _write_page(
    folder: Folder,
    name: str,
    arguments: Arguments,
    targets: list[CheckpointRef],
    rows: list[Row],
    score_columns: list[Column],
    *,
    write: bool,
) -> str:
    compared = _compared_runs(arguments.positionals, targets, rows)
    location = (folder / name).location
    if write:
        write_comparison(folder, name, compared, score_columns)
    arguments.console.say(f"{'Written' if write else 'Would write'}: {shown(location)}")
    return location


def _compared_runs(places: list[str], targets: list[CheckpointRef], rows: list[Row]) -> list[ComparedRun]:
    """Reads each run. It goes by its folder's name, or by the typed path if two runs have the same name."""
    runs = [RunFolder.open(target.run) for target in targets]
    names = [run.folder.name for run in runs]
    return [
        read_compared_run(name if names.count(name) == 1 else row.name, shlex.quote(place), row, run)
        for name, run, place, row in zip(names, runs, places, rows, strict=True)
    ]


if __name__ == "__main__":
    run_job(JOB, body)
