"""The page of one run: its results in words, pictures and curves, as one self-contained HTML file."""

import shlex
from typing import Any

from framework.config.secrets import without_logins
from framework.report.charts.curves import curves_of
from framework.report.read.json_values import as_dict, as_list
from framework.report.read.run import Results, changed_keys, more_columns, read_results
from framework.report.run_page.comparison import comparison_of
from framework.report.run_page.latent import latent_of, path_lengths
from framework.report.run_page.leaderboard import leaderboard_of
from framework.report.run_page.maps import maps_of
from framework.report.shared import sections
from framework.report.shared.templates import environment, files_of
from framework.report.text import format as words
from framework.runs import RunFolder
from framework.runs.documents import reading

_STYLES = ("report.css", "compare.css", "latent.css")
# report.js comes first, because the others use what it defines.
_SCRIPTS = ("report.js", "zoom.js", "charts.js", "tables.js", "leaderboard.js", "parallel.js")


def write_report(run: RunFolder) -> str:
    """Writes `report.html` into the run's folder, from the current state of its files.

    Returns:
        The location of the report.

    Raises:
        StorageError: The folder cannot be read or written.
    """
    with reading(run.folder.location):
        page = render(read_results(run))
    run.folder.write_text("report.html", page)
    return (run.folder / "report.html").location


def render(results: Results) -> str:
    """The HTML of the whole page."""
    return environment().get_template("report.html").render(_content(results))


def _content(results: Results) -> dict[str, Any]:
    about, experiment = results.about, results.experiment
    chosen_by = sections.shown_score(results.best.get("score")) if results.best else None
    curves = curves_of(results)
    return {
        "style": files_of(_STYLES),
        "script": files_of(_SCRIPTS),
        "experiment": experiment,
        "results": results,
        "trials": results.trials,
        "best": results.best_trial,
        "headline": sections.headline(results, chosen_by),
        "chosen_by": chosen_by,
        "alerts": sections.alerts(results),
        "notes": sections.notes(results),
        "leaderboard": leaderboard_of(results),
        "curves": curves,
        "swatches": {key.trial: key.style for key in curves.legend},
        "comparison": comparison_of(results),
        "better": words.better(results.metric),
        "ranked_by": f"{words.metric_name(results.metric)} ({words.better(results.metric)})" if results.metric else "",
        "repeated": "score_sd" in more_columns(results.trials),
        "film": sections.film(results),
        "scores": sections.final_scores(results),
        "classes": sections.classes(results),
        "truncated": sections.final_scores(results, truncated=True),
        "truncated_of": results.documents.get("truncation.json", {}).get("checkpoint"),
        "pictures": sections.pictures(results),
        "lengths": path_lengths(results.documents.get("interpolation.json", {})),
        "arithmetic": sections.arithmetic(results),
        "latent": latent_of(results),
        "maps": maps_of(results),
        "assessors": sections.assessors(about.get("assessors")),
        "command": shlex.join(without_logins(str(part)) for part in as_list(about.get("command"))),
        "facts": {name: as_dict(about.get(name)) for name in ("data", "machine", "versions")},
        "started": about.get("started"),
        "ended": about.get("ended"),
        "lasted": words.duration(about.get("started"), about.get("ended")),
        "changed": changed_keys(experiment),
        "config": results.config,
        "place": shlex.quote(f"{experiment.storage.path.rstrip('/')}/{experiment.name}"),
    }
