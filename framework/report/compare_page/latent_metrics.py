"""What runs hold of their latent spaces, maps of them, arithmetic and likelihood, as rows side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.report.compare_page.compared_run import ARITHMETIC, LIKELIHOOD, MAP, ComparedRun
from framework.report.compare_page.metric_rows import (
    Better,
    Figure,
    Group,
    Missing,
    group_of,
    lacking,
    measured,
    measured_alike,
    missing_of,
    percent,
)
from framework.report.read.json_values import as_dict, as_list, finite
from framework.report.text import format as words
from framework.report.text.map_labels import MAP_FIGURES, nats_names

# Key of a map's row -> which way is better. What is only drawn is left out; and the KL of an autoencoder is near 0 by
# construction, since a Gaussian was fitted to its codes.
_BETTER: dict[str, Better] = {
    key: "" if key == "aggregate_kl_nats" else "lower" if key.startswith("hole_share") else "higher"
    for key in MAP_FIGURES
    if key != "knn_purity.picture"
}


@dataclass(frozen=True)
class ComparedMaps:
    """Maps of compared runs that were measured in one way.

    Attributes:
        holder: Number of the run that holds the pictures.
        document: Of one of them.
        rows: Number of a run -> its map's figures.
    """

    holder: int
    document: dict[str, Any]
    rows: dict[int, dict[str, Any]]


def compared_maps(runs: Sequence[ComparedRun]) -> ComparedMaps | None:
    """The maps that show most of the runs, all of one protocol; None where there are none."""
    found: list[ComparedMaps] = []
    for holder, run in enumerate(runs):
        document = run.document(MAP)
        rows = {
            number: row
            for row in map(as_dict, as_list(document.get("maps")))
            for number, other in enumerate(runs)
            if _is_of(row, other)
        }
        same = next((one for one in found if one.document.get("protocol") == document.get("protocol")), None)
        if same is not None and len(rows) <= len(same.rows):
            same.rows.update({number: row for number, row in rows.items() if number not in same.rows})
        elif rows:
            found = [one for one in found if one is not same]
            found.append(ComparedMaps(holder, document, {**(same.rows if same else {}), **rows}))
    return max(found, key=lambda maps: len(maps.rows), default=None)


def _is_of(row: dict[str, Any], run: ComparedRun) -> bool:
    return bool(run.generator) and row.get("generator") == run.generator


def map_group(runs: Sequence[ComparedRun], maps: ComparedMaps | None) -> Group:
    """How whole the latent spaces are."""
    encoders = [number for number, run in enumerate(runs) if run.family != "gan"]
    rows = maps.rows if maps else {}
    figures = [] if maps is None else [_figure(key, [rows.get(n, {}) for n in range(len(runs))]) for key in _BETTER]
    unmapped = [number for number in encoders if number not in rows]
    missing = []
    if unmapped:
        told = " and ".join(runs[number].name for number in unmapped)
        # A map is of two runs at most: those that lack one, and beside them whom they compare with.
        pair = sorted(encoders, key=lambda number: (number not in unmapped, number))[:2]
        command = " ".join(runs[number].typed for number in sorted(pair))
        missing = [Missing(f"{told}: on no map of compared runs.", f"python -m jobs.latent_map {command}")]
    there = [figure for figure in figures if figure.is_there]
    return Group("latent-space", "Latent space", _hint(maps), there, missing=missing)


def _figure(key: str, rows: list[dict[str, Any]]) -> Figure:
    name, note = MAP_FIGURES[key]
    group, _, member = key.partition(".")
    values = [finite(as_dict(row.get(group)).get(member) if member else row.get(group)) for row in rows]
    # All that is in a group is a share or a probability.
    show = percent if member else words.score
    return measured(key, name, values, show=show, note=note, better=_BETTER[key], is_share=bool(member))


def _hint(maps: ComparedMaps | None) -> str:
    if maps is None:
        return "Of encoders only: held-out images as codes, and what is between them."
    protocol = as_dict(maps.document.get("protocol"))
    images, judge = as_dict(protocol.get("images")), as_dict(protocol.get("classifier"))
    unsure = finite(maps.document.get("hole_share_of_images"))
    of_images = "" if unsure is None else f" Of the images themselves {percent(unsure)} are unsure."
    return (
        f"Of encoders only: {words.number(images.get('count'), 9)} held-out images as codes. A hole is a decoded point "
        f"of which the classifier ({words.plain(judge.get('metric'))} {words.number(judge.get('value'))}) is not sure: "
        f"its surest class has less than {words.number(protocol.get('sure_from'))}.{of_images} Neighbours by chance: "
        f"{percent(finite(protocol.get('chance_purity')))}. An autoencoder’s samples are of a Gaussian fitted to its "
        "codes, which brings its KL near 0."
    )


def arithmetic_group(runs: Sequence[ComparedRun]) -> Group:
    """How often a result has what it should have, beside how often a random sample has it."""
    figures: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number, run in enumerate(runs):
        document = run.document(ARITHMETIC)
        for row in as_list(document.get("measured")):
            place = (str(document.get("expression")), str(as_dict(row).get("attribute")))
            figures.setdefault(place, [{} for _ in runs])[number] = as_dict(row)
    rows = [_arithmetic(expression, attribute, found) for (expression, attribute), found in figures.items()]
    hint = (
        "Share of the results that the assessor says have the attributes, with its 95% interval, beside the share of "
        "random samples. No best is marked: where random samples have them often, a high share is easy."
    )
    missing = missing_of(runs, ARITHMETIC, "arithmetic", rows)
    return Group("arithmetic", "Latent arithmetic", hint, rows, missing=missing)


def _arithmetic(expression: str, attribute: str, found: list[dict[str, Any]]) -> Figure:
    more = []
    for row in found:
        ends = [finite(end) for end in as_list(row.get("interval"))]
        interval = f"95%: {words.share(ends[0])} to {words.share(ends[1])}; " if len(ends) == 2 else ""
        repeats = f"; {words.number(row['repeats'], 9)} repeats" if finite(row.get("repeats")) is not None else ""
        more.append(f"{interval}random {words.share(row.get('random_share'))}{repeats}" if row else "")
    values = [finite(row.get("share")) for row in found]
    about = {"more": more, "note": expression, "is_share": True}
    return measured(f"arithmetic.{expression}.{attribute}", attribute, values, show=words.share, **about)


def likelihood_group(runs: Sequence[ComparedRun]) -> Group:
    """Of VAEs: what they say of held-out images, in nats an image."""
    documents = [run.document(LIKELIHOOD) for run in runs]
    alike, told = measured_alike(
        [as_dict(document.get("protocol")) for document in documents], list(map(bool, documents))
    )
    names = nats_names(*dict.fromkeys(key for document in documents for key in document))
    figures = []
    for key, name in names.items():
        errors = [finite(as_dict(document.get("standard_errors")).get(key)) for document in documents]
        more = ["" if error is None else f"± {words.number(error, 2)}" for error in errors]
        better = "" if key in ("reconstruction_nats", "kl_nats") else "higher"
        values = [finite(document.get(key)) for document in documents]
        about = {"more": more, "better": better, "comparable": alike}
        figures.append(measured(f"likelihood.{key}", name, values, **about))
    hint = "Nats a held-out image, with the standard error of the mean. Only a VAE has a likelihood."
    vaes = [run for run in runs if run.family == "vae"]
    missing = [lacking(run, LIKELIHOOD, "likelihood") for run in vaes if not run.document(LIKELIHOOD)]
    return group_of("likelihood", "Likelihood", hint, figures if vaes else [], told, missing)
