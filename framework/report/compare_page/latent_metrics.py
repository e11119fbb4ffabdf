"""Tables that compare the runs' maps of the latent space, latent arithmetic and likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framework.report.compare_page.compared_run import ARITHMETIC, LIKELIHOOD, MAP, ComparedRun
from framework.report.compare_page.metric_rows import (
    Better,
    MetricRow,
    MetricTable,
    MissingResult,
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

# Key of a map's row -> whether lower or higher is better. The purity of the drawing is left out, because it depends on
# how the codes are drawn. The KL has no better direction: that of an autoencoder is near 0 by construction, because a
# Gaussian was fitted to its codes.
_BETTER: dict[str, Better] = {
    key: "" if key == "aggregate_kl_nats" else "lower" if key.startswith("hole_share") else "higher"
    for key in MAP_FIGURES
    if key != "knn_purity.picture"
}


@dataclass(frozen=True)
class ComparedMaps:
    """Maps of compared runs that were measured by one protocol.

    Attributes:
        holder: Index of the run that has the pictures.
        document: The JSON document of one of the maps.
        rows: Index of a run -> the measurements of its map.
    """

    holder: int
    document: dict[str, Any]
    rows: dict[int, dict[str, Any]]


def compared_maps(runs: Sequence[ComparedRun]) -> ComparedMaps | None:
    """The maps of one protocol that cover the most runs; None if there are no maps."""
    found: list[ComparedMaps] = []
    for holder, run in enumerate(runs):
        document = run.document(MAP)
        rows = {
            number: row
            for row in map(as_dict, as_list(document.get("maps")))
            for number, other in enumerate(runs)
            if _is_of(row, other)
        }
        same = next((maps for maps in found if maps.document.get("protocol") == document.get("protocol")), None)
        if same is not None and len(rows) <= len(same.rows):
            same.rows.update({number: row for number, row in rows.items() if number not in same.rows})
        elif rows:
            found = [maps for maps in found if maps is not same]
            found.append(ComparedMaps(holder, document, {**(same.rows if same else {}), **rows}))
    return max(found, key=lambda maps: len(maps.rows), default=None)


def _is_of(row: dict[str, Any], run: ComparedRun) -> bool:
    return bool(run.generator) and row.get("generator") == run.generator


def map_group(runs: Sequence[ComparedRun], maps: ComparedMaps | None) -> MetricTable:
    """The table of holes and neighbourhoods in the latent spaces."""
    encoders = [number for number, run in enumerate(runs) if run.family != "gan"]
    rows = maps.rows if maps else {}
    figures = [] if maps is None else [_figure(key, [rows.get(n, {}) for n in range(len(runs))]) for key in _BETTER]
    unmapped = [number for number in encoders if number not in rows]
    missing = []
    if unmapped:
        names = " and ".join(runs[number].name for number in unmapped)
        # A map has at most two runs: those without a map come first, then runs to compare them with.
        pair = sorted(encoders, key=lambda number: (number not in unmapped, number))[:2]
        command = " ".join(runs[number].typed for number in sorted(pair))
        missing = [MissingResult(f"There is no map of {names} yet.", f"python -m jobs.latent_map {command}")]
    present = [figure for figure in figures if figure.is_there]
    return MetricTable("latent-space", "Latent space", _hint(maps), present, missing=missing)


def _figure(key: str, rows: list[dict[str, Any]]) -> MetricRow:
    name, note = MAP_FIGURES[key]
    group, _, member = key.partition(".")
    values = [finite(as_dict(row.get(group)).get(member) if member else row.get(group)) for row in rows]
    # All values within a group are shares or probabilities.
    show = percent if member else words.score
    return measured(key, name, values, show=show, note=note, better=_BETTER[key], is_share=bool(member))


def _hint(maps: ComparedMaps | None) -> str:
    if maps is None:
        return "The codes of held-out images, and the latent space between them; only for runs with an encoder."
    protocol = as_dict(maps.document.get("protocol"))
    images, classifier = as_dict(protocol.get("images")), as_dict(protocol.get("classifier"))
    unclear = finite(maps.document.get("hole_share_of_images"))
    of_images = "" if unclear is None else f" Of the images themselves, {percent(unclear)} have no clear class."
    metric, value = words.plain(classifier.get("metric")), words.number(classifier.get("value"))
    return (
        "Only runs with an encoder have these values. The encoder turns an image into a code, a point of the latent "
        f"space; {words.number(images.get('count'), 9)} images that were held out from training were encoded. A hole "
        f"is a point that decodes to an image of no clear class: a classifier ({metric} {value}) gives even the most "
        "probable class less than "
        f"{words.number(protocol.get('sure_from'))}.{of_images} By chance, "
        f"{percent(finite(protocol.get('chance_purity')))} of the neighbours would be of the same class. The prior is "
        "the distribution of random latents; for an autoencoder, it is a Gaussian fitted to its codes, so its KL is "
        "close to 0."
    )


def arithmetic_group(runs: Sequence[ComparedRun]) -> MetricTable:
    """The table of how often results of latent arithmetic have the expected attributes."""
    figures: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number, run in enumerate(runs):
        document = run.document(ARITHMETIC)
        for row in as_list(document.get("measured")):
            key = (str(document.get("expression")), str(as_dict(row).get("attribute")))
            figures.setdefault(key, [{} for _ in runs])[number] = as_dict(row)
    rows = [_arithmetic(expression, attribute, of_runs) for (expression, attribute), of_runs in figures.items()]
    hint = (
        "Latent arithmetic adds and subtracts mean latents of groups of samples, as the expression says. The table "
        "shows the share of the results that an attribute classifier (assessor) recognises as having each attribute, "
        "with its 95% confidence interval, and the same share of random samples. No best value is marked, because a "
        "high share is easy to reach if random samples often have the attribute."
    )
    missing = missing_of(runs, ARITHMETIC, "arithmetic", rows)
    return MetricTable("arithmetic", "Latent arithmetic", hint, rows, missing=missing)


def _arithmetic(expression: str, attribute: str, rows: list[dict[str, Any]]) -> MetricRow:
    more = []
    for row in rows:
        ends = [finite(end) for end in as_list(row.get("interval"))]
        interval = f"95%: {words.share(ends[0])} to {words.share(ends[1])}; " if len(ends) == 2 else ""
        repeats = f"; {words.number(row['repeats'], 9)} repeats" if finite(row.get("repeats")) is not None else ""
        more.append(f"{interval}random samples {words.share(row.get('random_share'))}{repeats}" if row else "")
    values = [finite(row.get("share")) for row in rows]
    about = {"more": more, "note": expression, "is_share": True}
    return measured(f"arithmetic.{expression}.{attribute}", attribute, values, show=words.share, **about)


def likelihood_group(runs: Sequence[ComparedRun]) -> MetricTable:
    """The table of the VAEs' likelihood of held-out images."""
    documents = [run.document(LIKELIHOOD) for run in runs]
    alike, reason = measured_alike(
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
    hint = (
        "How probable a VAE considers images that it was not trained on, in nats (units of the natural "
        "logarithm of a probability) per image, with the standard error of the mean. Only VAEs have a likelihood."
    )
    vaes = [run for run in runs if run.family == "vae"]
    missing = [lacking(run, LIKELIHOOD, "likelihood") for run in vaes if not run.document(LIKELIHOOD)]
    return group_of("likelihood", "Likelihood", hint, figures if vaes else [], reason, missing)
