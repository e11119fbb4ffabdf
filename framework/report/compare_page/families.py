"""Tables that compare what the runs are, their scores, walks and photographs."""

from collections.abc import Sequence
from typing import Any

from framework.metrics import higher_is_better
from framework.report.compare_page.compared_run import (
    FAMILIES,
    INTERPOLATION,
    PROJECTIONS,
    ComparedRun,
    median,
    same_images,
    same_size,
    size_in_words,
)
from framework.report.compare_page.metric_rows import (
    MetricRow,
    MetricTable,
    MissingResult,
    group_of,
    measured,
    measured_alike,
    missing_of,
)
from framework.report.read.json_values import as_dict, as_list, finite
from framework.report.shared.score_table import Column
from framework.report.shared.sections import shown_score
from framework.report.text import format as words

_WALKS = {"lerp": "straight (lerp)", "slerp": "along the sphere (slerp)"}
_SHARES = ("precision", "recall", "coverage")
_PHOTO_FIGURES = {
    "pixel_error": ("Closest image, found by gradient descent", "lower"),
    "encoded_error": ("Reconstruction by the encoder alone", "lower"),
    "nearest_random_error": ("Closest of many random samples", ""),
    "random_error": ("Median random sample", ""),
}


def about_group(runs: Sequence[ComparedRun]) -> MetricTable:
    """The table of facts about the runs."""
    models = [run.experiment.model for run in runs]
    pairs = [run.parameters or (None, None) for run in runs]
    families = [FAMILIES[run.family] for run in runs]
    kinds = [model.architecture if model.family == "gan" else "" for model in models]
    images = [f"{words.number(run.data.get('training'), 9)} training images" if run.data else "" for run in runs]
    digests = [run.digest[:12] or "unknown" for run in runs]
    figures = [
        MetricRow("family", "Family", families, more=kinds),
        MetricRow("latent_size", "Latent size", [words.number(model.latent_size, 9) for model in models]),
        MetricRow(
            "generator", "Generator or decoder", [words.number(pair[0], 12) for pair in pairs], note="parameters"
        ),
        MetricRow(
            "partner", "Discriminator or encoder", [words.number(pair[1], 12) for pair in pairs], note="parameters"
        ),
        MetricRow("images_seen", "Images seen", [words.number(run.row.images_seen, 12) for run in runs]),
        MetricRow("size", "Image size", [size_in_words(run) for run in runs], note="pixels"),
        MetricRow("data", "Data", [str(run.data.get("source") or "–") for run in runs], more=images),
        MetricRow("digest", "Digest of the data", digests, note="first digits of the sha256"),
    ]
    return MetricTable("about", "The runs", figures=figures)


def score_group(runs: Sequence[ComparedRun], columns: Sequence[Column]) -> MetricTable:
    """The table of scores, one row per protocol: scores of different protocols cannot be compared."""
    missing = [
        MissingResult(f"{run.name} has no score yet.", f"python -m jobs.evaluate {run.typed}")
        for run in runs
        if not run.row.scores
    ]
    hint = (
        "Each row has the scores of one protocol. The protocol records how a score was computed (features, images, "
        "seed); only scores with the same protocol can be compared. Features are the activations of a classifier "
        "network for an image. The assessor is an attribute classifier that was trained on the labels of the data."
    )
    return MetricTable("scores", "Scores", hint, [_score(column) for column in columns], missing=missing)


def _score(column: Column) -> MetricRow:
    """One row of scores. Its key has the kind of the score, by which the claims find distances and shares."""
    shown = [shown_score(score) for score in column.scores]
    known = next((score for score in shown if score), {"words": "", "counts": ""})
    family, features = str(column.protocol.get("family")), as_dict(column.protocol.get("features"))
    kind = "distance" if words.is_frechet_distance(column.metric) else "share" if family in _SHARES else "other"
    kind = kind if words.truncation_of(column.metric) is None else "truncated"
    facts = [str(features.get("name") or ""), known["counts"]]
    facts += [f"{name}: {words.plain(value)}" for name, value in column.differs.items()]
    return MetricRow(
        key=f"score.{kind}.{column.name}",
        name=f"{words.metric_name(column.metric)}{column.name.removeprefix(column.metric)}",
        shown=[score["shown"] if score else "–" for score in shown],
        values=[finite(score["value"]) if score else None for score in shown],
        note="; ".join(fact for fact in facts if fact),
        better="higher" if higher_is_better(column.metric) else "lower",
        is_share=family in _SHARES,
        protocol={"metric": column.metric, **column.protocol},
        protocol_text=known["words"],
    )


def walk_group(runs: Sequence[ComparedRun]) -> MetricTable:
    """The table that measures how straight and even walks between two samples are."""
    paths = [as_dict(run.document(INTERPOLATION).get("paths")) for run in runs]
    conditions = [
        {"assessor": run.document(INTERPOLATION).get("assessor")}
        | {key: path.get(key) for key in ("features", "steps", "pairs")}
        for run, path in zip(runs, paths, strict=True)
    ]
    alike, reason = measured_alike(conditions, [bool(path) for path in paths])
    if alike and not same_images(runs):
        alike, reason = False, "the runs used different data"
    figures = []
    for walk, name in _WALKS.items():
        of_walk = [as_dict(path.get(walk)) for path in paths]
        for key, what in (("ratio", "Length / straight distance"), ("largest_step", "Longest step / mean step")):
            values = [finite(path.get(key)) for path in of_walk]
            row = measured(f"paths.{walk}.{key}", what, values, note=name, better="lower", comparable=alike)
            figures.append(row)
    hint = (
        "How the images change on a walk between two samples: the length of the walk divided by the distance between "
        "its first and last image (1 means the straightest possible change), and the longest step divided by the mean "
        f"step (1 means an even change, a high value means jumps){_how(paths)}."
    )
    return group_of(
        "walks", "Walks between samples", hint, figures, reason, missing_of(runs, INTERPOLATION, "interpolate", figures)
    )


def _how(paths: Sequence[dict[str, Any]]) -> str:
    """How the walks were measured, according to the first run that measured them."""
    known = next((path for path in paths if path), None)
    if known is None:
        return ""
    features = "the assessor’s features" if known.get("features") == "measurer" else words.plain(known.get("features"))
    pairs, steps = (words.number(known.get(key), 9) for key in ("pairs", "steps"))
    return f"; means over {pairs} pairs of samples, with {steps} images per walk, measured in {features}"


def photo_group(runs: Sequence[ComparedRun]) -> MetricTable:
    """The table that measures how close the generators come to images that they were not trained on."""
    rows = [[as_dict(row) for row in as_list(run.document(PROJECTIONS).get("photos"))] for run in runs]
    names = [sorted(str(row.get("name")) for row in photos) for photos in rows]
    how = [{key: run.document(PROJECTIONS).get(key) for key in ("features", "starts", "steps")} for run in runs]
    conditions = [{"photographs": name, **settings} for name, settings in zip(names, how, strict=True)]
    alike, reason = measured_alike(conditions, [bool(photos) for photos in rows])
    held_out = any(name.startswith("held_out_") for several in names for name in several)
    if alike and not (same_images(runs) if held_out else same_size(runs)):
        alike, reason = False, "the runs used different data"
    figures = []
    for key, (name, better) in _PHOTO_FIGURES.items():
        errors = [[finite(row.get(key)) for row in photos] for photos in rows]
        counts = [sum(value is not None for value in values) for values in errors]
        whole = all(count in (0, len(photos)) for count, photos in zip(counts, rows, strict=True))
        more = [f"median of {count}" if count else "" for count in counts]
        about = {"more": more, "better": better, "comparable": alike and whole}
        figures.append(measured(f"photos.{key}", name, [median(values) for values in errors], **about))
    hint = (
        "Each run’s closest image to each photograph, found in different ways. The values are the errors: the root "
        "mean square difference of the pixels on their scale from 0 to 255, as the median over all photographs. Random "
        "samples show the error of a generator that knows nothing about the photograph. A GAN has no encoder."
    )
    missing = missing_of(runs, PROJECTIONS, "project", figures[:1])
    missing += [
        MissingResult(
            f"{run.name} has no reconstruction error of its encoder yet.", f"python -m jobs.project {run.typed}"
        )
        for number, run in enumerate(runs)
        if run.family != "gan" and rows[number] and figures[1].values[number] is None
    ]
    return group_of("photographs", "Reconstructed photographs", hint, figures, reason, missing)
