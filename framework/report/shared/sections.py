"""The content of the page's simpler sections: warnings, scores, pictures, arithmetic, assessors."""

from typing import Any

from framework.report.read.json_values import as_dict, as_interval, as_list, finite
from framework.report.read.pictures import Picture, picture
from framework.report.read.run import Results
from framework.report.shared.class_table import ClassTable, class_tables
from framework.report.text import format as words

_FILM_LONGEST = 512  # pixels; enough to see the progress, since the final samples are shown larger


def alerts(results: Results) -> list[dict[str, str]]:
    """The warnings at the top of the page."""
    texts = list(as_list(results.about.get("warnings")))
    if results.best_trial is not None:
        texts += [f"The best trial: {text}" for text in results.best_trial.warnings]
    failed = sum(trial.failed for trial in results.trials)
    if failed:
        texts.append(f"{failed} of {len(results.trials)} trials failed; the section Failures states why.")
    texts += [f"{name} is not a JSON object, so its results are not shown." for name in results.damaged]
    return [_note(text) for text in texts]


def notes(results: Results) -> list[dict[str, str]]:
    """The notes at the top of the page, including those of unfinished arithmetic with the command to finish it."""
    noted = [_note(note) for note in as_list(results.about.get("notes"))]
    unfinished = [note for note in _arithmetic_notes(results) if note["command"]]
    return noted + [note for note in unfinished if note not in noted]


def _arithmetic_notes(results: Results) -> list[dict[str, str]]:
    return [_note(note) for note in as_list(results.documents.get("arithmetic.json", {}).get("notes"))]


def _note(note: Any) -> dict[str, str]:
    if isinstance(note, dict):
        return {"text": str(note.get("text", "")), "command": str(note.get("command") or "")}
    return {"text": str(note), "command": ""}


def shown_score(document: Any) -> dict[str, Any] | None:
    """A score document with texts for the page; None if it is not a score."""
    if not isinstance(document, dict) or finite(document.get("value")) is None:
        return None
    known = ("metric", "value", "protocol", "sd")
    return {
        "name": words.metric_name(str(document.get("metric", "score"))),
        "metric": str(document.get("metric", "score")),
        "value": document["value"],
        "shown": _shown(document),
        "words": words.score_in_words(document),
        "counts": words.images_in_words(as_dict(document.get("protocol"))),
        "protocol": as_dict(document.get("protocol")),
        "more": {key: value for key, value in document.items() if key not in known},
    }


def _shown(document: dict[str, Any]) -> str:
    """The value, with its standard deviation if the score has one."""
    value = (words.share if str(document.get("metric")).endswith("_share") else words.score)(document["value"])
    deviation = finite(document.get("sd"))
    return value if deviation is None else f"{value} ± {words.number(deviation, 2)}"


def final_scores(results: Results, *, truncated: bool = False) -> list[dict[str, Any]]:
    """The scores of the best checkpoint; all scores if there is no best checkpoint yet.

    Args:
        truncated: Whether those of samples with a truncation other than 1 are given, or the others.
    """
    best = results.best.get("checkpoint") if results.best else None
    documents = [score for score in results.scores if best is None or score.get("checkpoint", best) == best]
    shown = [shown for document in documents if (shown := shown_score(document))]
    return [
        score for score in shown if (as_dict(score["protocol"].get("fake")).get("truncation") is not None) == truncated
    ]


def classes(results: Results) -> list[ClassTable]:
    """The tables of the best checkpoint's scores per class."""
    best = results.best.get("checkpoint") if results.best else None
    return class_tables([score for score in results.class_scores if best is None or score.get("checkpoint") == best])


def headline(results: Results, chosen_by: dict[str, Any] | None) -> dict[str, Any] | None:
    """The best checkpoint's final score. The score it was chosen for is the luckiest of many, on fewer images."""
    if results.best is None and results.is_trained:
        return None
    final = [
        score
        for score in results.scores
        if (results.best is None or score.get("checkpoint") == results.best.get("checkpoint"))
        and _judges(score, results)
    ]
    return next((score for document in reversed(final) if (score := shown_score(document))), None) or chosen_by


def _judges(score: dict[str, Any], results: Results) -> bool:
    """Whether a score measures the quality of the images, like the one by which trials are ranked."""
    metric = str(score.get("metric"))
    return (words.is_frechet_distance(metric) or metric == results.metric) and words.truncation_of(metric) is None


def film(results: Results) -> list[Picture]:
    """The best trial's sample grids in the order of time."""
    frames = [
        picture(
            data,
            alt=f"Samples of the best trial after {words.number(images_seen)} training images",
            caption=words.number(images_seen, 12),
            longest=_FILM_LONGEST,
        )
        for images_seen, data in results.film
    ]
    return [frame for frame in frames if frame is not None]


def pictures(results: Results) -> dict[str, Picture | None]:
    """The pictures of the best checkpoint; None if a picture does not exist or is damaged."""
    expression = results.documents.get("arithmetic.json", {}).get("expression", "")
    alts = {
        "samples": "A grid of samples from the best checkpoint's generator",
        "interpolation": "Two rows of pictures that change step by step from one sample to another",
        "arithmetic": f"{expression}: each group's members and the image of their mean, and the result".lstrip(": "),
        "sheet": "A contact sheet of numbered samples",
        "truncation": "Precision against recall, and the Fréchet distance, for samples of several truncations",
        "nearest": "The samples closest to a training image, each next to that image",
        "corners": "A grid of images between four samples, which are in its corners",
        "projected": "Photographs, each next to the generator's image that is closest to it",
    }
    return {
        name: picture(results.pictures[f"{name}.png"], alt=alt) if f"{name}.png" in results.pictures else None
        for name, alt in alts.items()
    }


def arithmetic(results: Results) -> dict[str, Any]:
    """The measurements of the latent arithmetic, and its notes."""
    document = results.documents.get("arithmetic.json", {})
    measured = [
        {
            "name": str(row.get("attribute", "")),
            "share": finite(row.get("share")),
            "random": finite(row.get("random_share")),
            "repeats": row.get("repeats"),
            "interval": as_interval(row.get("interval")),
            "random_interval": as_interval(row.get("random_interval")),
        }
        for row in as_list(document.get("measured"))
        if isinstance(row, dict)
    ]
    return {"measured": measured, "notes": _arithmetic_notes(results)}


def assessors(noted: Any) -> list[dict[str, Any]]:
    """One row per label, with the accuracy of both assessors on held-out images."""
    tables = {name: as_dict(as_dict(part).get("accuracy")) for name, part in as_dict(noted).items()}
    labels = dict.fromkeys(label for table in tables.values() for label in table)
    rows = []
    for label in labels:
        cells = {name: as_dict(table.get(label)) for name, table in tables.items()}
        known = next(iter(cell for cell in cells.values() if cell), {})
        rows.append(
            {"label": label, "metric": str(known.get("metric", "")), "n": known.get("n")}
            | {name: cells.get(name, {}).get("value") for name in ("finder", "measurer")}
        )
    return rows
