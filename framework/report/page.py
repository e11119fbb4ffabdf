"""The page: what was read, in words, pictures and curves, as one HTML file that needs nothing else."""

import json
import shlex
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from framework.checkpoint import RunFolder
from framework.report import words
from framework.report.figures import curves_of
from framework.report.pictures import Picture, picture
from framework.report.reading import Results, changed_keys, finite, read_results, searched_keys

_HERE = Path(__file__).parent
_FILM_LONGEST = 512  # pixels: a frame is looked at for its progress, the newest samples stand large above it


def write_report(run: RunFolder) -> str:
    """Writes `report.html` into the run from what its files hold by now.

    Returns:
        The report's location.

    Raises:
        StorageError: The folder cannot be read or written.
    """
    run.folder.write_text("report.html", render(read_results(run)))
    return (run.folder / "report.html").location


def render(results: Results) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "number": words.number,
        "score": words.score,
        "share": words.share,
        "plain": words.plain,
        "setting": words.setting,
        "moment": words.moment,
        "tojson_plain": json.dumps,
    }
    return environment.get_template("report.html").render(_content(results))


def _content(results: Results) -> dict[str, Any]:
    about, experiment, best = results.about, results.experiment, results.best_trial
    chosen_by = _score(results.best.get("score")) if results.best else None
    return {
        # Markup: these two are files of ours, not anybody's text.
        "style": Markup((_HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704
        "script": Markup((_HERE / "report.js").read_text(encoding="utf-8")),  # noqa: S704
        "experiment": experiment,
        "results": results,
        "trials": results.trials,
        "best": best,
        "headline": _headline(results, chosen_by),
        "chosen_by": chosen_by,
        "alerts": _alerts(results),
        "notes": _notes(results),
        "keys": searched_keys(results.trials),
        "curves": curves_of(results),
        "film": _film(results),
        "scores": [score for document in results.scores if (score := _score(document))],
        "pictures": _pictures(results),
        "interpolation": results.documents.get("interpolation.json", {}),
        "arithmetic": _arithmetic(results),
        "assessors": _assessors(about.get("assessors")),
        "command": shlex.join(str(part) for part in _list(about.get("command"))),
        "facts": {name: _dict(about.get(name)) for name in ("data", "machine", "versions")},
        "started": about.get("started"),
        "ended": about.get("ended"),
        "lasted": words.duration(about.get("started"), about.get("ended")),
        "changed": changed_keys(experiment),
        "config": results.config,
        "place": shlex.quote(f"{experiment.storage.path.rstrip('/')}/{experiment.name}"),
    }


def _alerts(results: Results) -> list[dict[str, str]]:
    """What asks for attention, said before anything is shown."""
    texts = list(_list(results.about.get("warnings")))
    if results.best_trial is not None:
        texts += [f"The best trial: {text}" for text in results.best_trial.warnings]
    failed = sum(1 for trial in results.trials if trial.error or trial.state == "failed")
    if failed:
        texts.append(f"{failed} of {len(results.trials)} trials failed; the leaderboard says why.")
    return [_note(text) for text in texts]


def _notes(results: Results) -> list[dict[str, str]]:
    """What is good to know, and what a command of the user's would finish."""
    notes = [_note(note) for note in _list(results.about.get("notes"))]
    unfinished = [note for note in _arithmetic_notes(results) if note["command"]]
    return notes + [note for note in unfinished if note not in notes]


def _arithmetic_notes(results: Results) -> list[dict[str, str]]:
    return [_note(note) for note in _list(results.documents.get("arithmetic.json", {}).get("notes"))]


def _note(note: Any) -> dict[str, str]:
    if isinstance(note, dict):
        return {"text": str(note.get("text", "")), "command": str(note.get("command") or "")}
    return {"text": str(note), "command": ""}


def _score(document: Any) -> dict[str, Any] | None:
    """A score document with its names in words; None where it is none."""
    if not isinstance(document, dict) or finite(document.get("value")) is None:
        return None
    own = ("metric", "value", "protocol")
    return {
        "name": words.metric_name(str(document.get("metric", "score"))),
        "metric": str(document.get("metric", "score")),
        "value": document["value"],
        "shown": (words.share if str(document.get("metric")).endswith("_share") else words.score)(document["value"]),
        "words": words.score_in_words(document),
        "counts": words.images_in_words(_dict(document.get("protocol"))),
        "protocol": _dict(document.get("protocol")),
        "more": {key: value for key, value in document.items() if key not in own},
    }


def _headline(results: Results, chosen_by: dict[str, Any] | None) -> dict[str, Any] | None:
    """The best checkpoint's final score: the one it was chosen by is the luckiest of many, and made of fewer images."""
    if results.best is None:
        return None
    final = [
        score
        for score in results.scores
        if score.get("checkpoint") == results.best.get("checkpoint") and words.is_distance(str(score.get("metric")))
    ]
    return next((score for document in reversed(final) if (score := _score(document))), None) or chosen_by


def _film(results: Results) -> list[Picture]:
    frames = [
        picture(
            data,
            alt=f"Samples of the best trial after {words.number(images_seen)} images",
            caption=words.number(images_seen, 12),
            longest=_FILM_LONGEST,
        )
        for images_seen, data in results.film
    ]
    return [frame for frame in frames if frame is not None]


def _pictures(results: Results) -> dict[str, Picture | None]:
    expression = results.documents.get("arithmetic.json", {}).get("expression", "")
    alts = {
        "samples": "A grid of samples from the best checkpoint's generator",
        "interpolation": "Two rows of pictures that change step by step from one sample to another",
        "arithmetic": f"{expression}: each group's members and the image of their mean, and the result".lstrip(": "),
        "sheet": "A contact sheet of numbered samples",
    }
    return {
        name: picture(results.pictures[f"{name}.png"], alt=alt) if f"{name}.png" in results.pictures else None
        for name, alt in alts.items()
    }


def _arithmetic(results: Results) -> dict[str, Any]:
    document = results.documents.get("arithmetic.json", {})
    measured = [
        {
            "name": str(row.get("attribute", "")),
            "share": finite(row.get("share")),
            "random": finite(row.get("random_share")),
            "repeats": row.get("repeats"),
            "interval": _list(row.get("interval")),
            "random_interval": _list(row.get("random_interval")),
        }
        for row in _list(document.get("measured"))
        if isinstance(row, dict)
    ]
    return {"measured": measured, "notes": _arithmetic_notes(results)}


def _assessors(assessors: Any) -> list[dict[str, Any]]:
    """One row a label, with what each of the two assessors reached on held-out images."""
    tables = {name: _dict(_dict(part).get("accuracy")) for name, part in _dict(assessors).items()}
    labels = dict.fromkeys(label for table in tables.values() for label in table)
    rows = []
    for label in labels:
        cells = {name: _dict(table.get(label)) for name, table in tables.items()}
        known = next(iter(cell for cell in cells.values() if cell), {})
        rows.append(
            {"label": label, "metric": str(known.get("metric", "")), "n": known.get("n")}
            | {name: cells.get(name, {}).get("value") for name in ("finder", "measurer")}
        )
    return rows


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
