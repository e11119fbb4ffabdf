"""One table of the scores of several runs or checkpoints; with output=FILE.html all that they hold, side by side."""

import shlex
import shutil
from pathlib import Path
from typing import Any

from framework.checkpoint.reference import Target, find_target
from framework.config.describe import KeyHelp
from framework.errors import ConfigError
from framework.report.compare_page.compared_run import Side, read_side
from framework.report.compare_page.page import write_comparison
from framework.report.shared.score_table import Column, Row, columns, read_row
from framework.runs import RunFolder
from framework.storage import Folder, is_uri, open_folder
from jobs.cli.console import obeys
from jobs.cli.job import Arguments, Job, run_job, shown
from jobs.cli.tables import comparison_table

OWN = (KeyHelp("output", "", "", "a file", "an .html file that lays the runs side by side, to be opened in a browser"),)
JOB = Job("compare", __doc__, "CHECKPOINT_OR_RUN CHECKPOINT_OR_RUN ...", (), positionals=(1, 1000), own=OWN)


def body(arguments: Arguments) -> dict[str, Any]:
    """Of a run the best checkpoint, as scores.json has it; computes nothing."""
    page = _page_place(arguments.own["output"])
    targets = [find_target(place) for place in arguments.positionals]
    rows = [
        read_row(shown(place.rstrip("/")), RunFolder.open(target.run), target.checkpoint)
        for place, target in zip(arguments.positionals, targets, strict=True)
    ]
    found = columns(rows)
    if not found and page is None:
        raise ConfigError(f"{', '.join(arguments.positionals)}: no scores yet; python -m jobs.evaluate makes them")
    document = _document(rows, found)
    if page is not None:
        document |= {"page": _write_page(*page, arguments, targets, rows, found)}
    if not arguments.json and found:
        out = arguments.stdout
        width = shutil.get_terminal_size().columns if obeys(out) else None
        print(comparison_table(rows, found, width=width), file=out, flush=True)
    return document


def _document(rows: list[Row], found: list[Column]) -> dict[str, Any]:
    return {
        "rows": [{"name": row.name, "checkpoint": row.checkpoint, "images_seen": row.images_seen} for row in rows],
        "columns": [
            {"name": column.name, "protocol": column.protocol, "scores": column.scores, "best": column.best}
            for column in found
        ],
    }


def _page_place(output: str) -> tuple[Folder, str] | None:
    """The folder and the name of the page; None where none is asked for.

    Raises:
        ConfigError: There can be no such file.
    """
    if not output:
        return None
    if is_uri(output):
        raise ConfigError(f"output: {output}: wants a file on this machine")
    place = Path(output).expanduser().absolute()
    if place.is_dir():
        raise ConfigError(f"output: {output}: is a folder; wants a file in it, as {output.rstrip('/')}/families.html")
    if place.suffix.lower() != ".html":
        raise ConfigError(f"output: {output}: wants a name that ends in .html")
    if not place.parent.is_dir():
        raise ConfigError(f"output: {output}: its folder {place.parent} is not there")
    return open_folder(place.parent), place.name


def _write_page(
    folder: Folder, name: str, arguments: Arguments, targets: list[Target], rows: list[Row], found: list[Column]
) -> str:
    sides = _sides(arguments.positionals, targets, rows)
    where = (folder / name).location
    if not arguments.dry_run:
        write_comparison(folder, name, sides, found)
    arguments.console.say(f"{'Would be written' if arguments.dry_run else 'Written'}: {shown(where)}")
    return where


def _sides(places: list[str], targets: list[Target], rows: list[Row]) -> list[Side]:
    """Each under its run's name; under what was typed where that is another's too."""
    runs = [RunFolder.open(target.run) for target in targets]
    names = [run.folder.name for run in runs]
    return [
        read_side(run.folder.name if names.count(run.folder.name) == 1 else row.name, shlex.quote(place), row, run)
        for run, place, row in zip(runs, places, rows, strict=True)
    ]


if __name__ == "__main__":
    run_job(JOB, body)
