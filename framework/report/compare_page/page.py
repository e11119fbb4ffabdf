"""The page that compares runs, for example of the three model families, as one self-contained HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.report.compare_page.claims import CLEARLY, judged_claims
from framework.report.compare_page.compared_run import ComparedRun, alerts, same_images
from framework.report.compare_page.families import about_group, photo_group, score_group, walk_group
from framework.report.compare_page.latent_metrics import arithmetic_group, compared_maps, likelihood_group, map_group
from framework.report.compare_page.metric_rows import Missing
from framework.report.read.pictures import Picture, picture
from framework.report.shared.score_table import Column
from framework.report.shared.templates import environment, files_of
from framework.runs.documents import reading
from framework.storage import Folder

_STYLES, _SCRIPTS = ("report.css", "latent.css", "families.css"), ("zoom.js",)
# Picture -> heading, description, and the job that draws it.
_PICTURES = {
    "samples.png": ("Samples", "A grid of samples", "interpolate"),
    "interpolation.png": ("Interpolation", "Samples that change step by step into other samples", "interpolate"),
    "arithmetic.png": ("Arithmetic", "Groups of samples, their means and the result", "arithmetic"),
    "projected.png": ("Photographs", "Photographs, each next to the generator’s closest image", "project"),
}
_MAPS = {
    "latent_map.png": "Codes of held-out images, coloured by class",
    "latent_plane.png": "Images decoded from the plane",
}


@dataclass(frozen=True)
class Gallery:
    """One kind of picture for all runs; `pictures` is caption -> picture."""

    title: str
    pictures: dict[str, Picture]
    missing: list[Missing]
    small: bool = False


def write_comparison(folder: Folder, name: str, runs: Sequence[ComparedRun], columns: Sequence[Column]) -> str:
    """Writes the page and returns its location; a failure leaves no partial file.

    Raises:
        StorageError: The file cannot be written.
    """
    with reading(", ".join(run.name for run in runs)):
        page = render_comparison(runs, columns)
    folder.write_text(name, page)
    return (folder / name).location


def render_comparison(runs: Sequence[ComparedRun], columns: Sequence[Column]) -> str:
    """The HTML of the whole page.

    Args:
        columns: Their scores, one column per protocol, each in the order of the runs.
    """
    maps = compared_maps(runs)
    groups = [
        about_group(runs),
        score_group(runs, columns),
        walk_group(runs),
        photo_group(runs),
        arithmetic_group(runs),
        map_group(runs, maps),
        likelihood_group(runs),
    ]
    content: dict[str, Any] = {
        "style": files_of(_STYLES),
        "script": files_of(_SCRIPTS),
        "runs": runs,
        "alerts": alerts(runs),
        "groups": [group for group in groups if group.figures or group.missing],
        "claims": judged_claims(runs, groups, same_data=same_images(runs)),
        "clearly": CLEARLY,
        "galleries": [*_galleries(runs), *([_map_gallery(runs[maps.holder])] if maps else [])],
    }
    return environment().get_template("families.html").render(content)


def _galleries(runs: Sequence[ComparedRun]) -> list[Gallery]:
    found = []
    for name, (title, alt, job) in _PICTURES.items():
        shown = {
            run.name: made
            for run in runs
            if name in run.pictures and (made := picture(run.pictures[name], alt=f"{run.name}: {alt}"))
        }
        missing = [
            Missing(f"{run.name} does not have this picture yet.", f"python -m jobs.{job} {run.typed}")
            for run in runs
            if run.name not in shown
        ]
        found.append(Gallery(title, shown, missing, small=name == "samples.png"))
    return found


def _map_gallery(run: ComparedRun) -> Gallery:
    shown = {
        caption: made
        for name, caption in _MAPS.items()
        if name in run.pictures and (made := picture(run.pictures[name], alt=caption))
    }
    missing = (
        [] if shown else [Missing("The picture of the map does not exist.", f"python -m jobs.latent_map {run.typed}")]
    )
    return Gallery("Latent map", shown, missing)
