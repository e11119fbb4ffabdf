"""The page's section on maps of the latent space, and on the likelihood of held-out images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from framework.report.read.json_values import as_dict, as_list, as_text, finite
from framework.report.read.pictures import Picture, picture
from framework.report.read.run import Results
from framework.report.text import format as words
from framework.report.text.map_labels import MAP_FIGURES, nats_names

_ALTS = {
    "latent_map.png": "Codes of held-out images as dots, coloured by class, with one panel per generator",
    "latent_plane.png": "Images decoded from the square from −3 to 3 in the plane of the two latents",
}


@dataclass(frozen=True)
class Column:
    """A map's heading: the name of the run, and the family and latent size of its generator."""

    run: str
    note: str


@dataclass(frozen=True)
class Row:
    """A measurement: its name, its explanation, its key in the file, and one cell per map."""

    name: str
    note: str
    key: str
    cells: list[str]


@dataclass(frozen=True)
class Maps:
    """The content of the section; a part is empty if its file does not exist.

    Attributes:
        picture: The codes of held-out images, coloured by class.
        plane: The images decoded from a square of the latent plane.
        columns: The headings, one per map.
        explanations: Sentences on the images, the classifier and the measurements.
        nats: The values of the likelihood, one cell each.
        nats_text: Sentences on how the likelihood was computed.
    """

    picture: Picture | None
    plane: Picture | None
    columns: list[Column]
    rows: list[Row]
    explanations: list[str]
    nats: list[Row]
    nats_text: str

    @property
    def is_there(self) -> bool:
        """Whether there is anything to show."""
        return any((self.picture, self.plane, self.rows, self.nats))


def maps_of(results: Results) -> Maps:
    """Collects the section's content from the results of a run."""
    document = results.documents.get("latent_map.json", {})
    likelihood = results.documents.get("likelihood.json", {})
    maps = [row for row in as_list(document.get("maps")) if isinstance(row, dict)]
    rows = list(_rows(maps))
    nats = list(_nats(likelihood))
    found = {name: picture(results.pictures[name], alt=alt) for name, alt in _ALTS.items() if name in results.pictures}
    return Maps(
        picture=found.get("latent_map.png"),
        plane=found.get("latent_plane.png"),
        columns=[_column(row, number) for number, row in enumerate(maps, start=1)] if rows else [],
        rows=rows,
        explanations=list(_explanations(document)) if rows else [],
        nats=nats,
        nats_text=_nats_text(likelihood) if nats else "",
    )


def _column(row: dict[str, Any], number: int) -> Column:
    size = finite(row.get("latent_size"))
    parts = [as_text(row.get("family")), f"{words.number(size, 9)} latent dimensions" if size is not None else ""]
    return Column(as_text(row.get("run")) or f"map {number}", ", ".join(part for part in parts if part))


def _rows(maps: list[dict[str, Any]]) -> Iterator[Row]:
    for key, (name, note) in MAP_FIGURES.items():
        group, _, kind = key.partition(".")
        values = [finite(as_dict(row.get(group)).get(kind) if kind else row.get(group)) for row in maps]
        if any(value is not None for value in values):
            yield Row(name, note, key.replace(".", ", "), [_figure(value) for value in values])


def _figure(value: float | None) -> str:
    """A number with three decimals, so that the numbers of a column line up."""
    return f"{value:.3f}".replace("-", "−") if value is not None and abs(value) < 1e4 else words.number(value)


def _explanations(document: dict[str, Any]) -> Iterator[str]:
    """Explains the measurements; a sentence is left out if the file does not have its numbers."""
    protocol = as_dict(document.get("protocol"))
    count, label = finite(as_dict(protocol.get("images")).get("count")), as_text(protocol.get("label"))
    if count is not None:
        classes = f"; their classes are the label “{label}”" if label else ""
        yield f"Measured on {words.number(count, 9)} held-out images{classes}."
    classifier = as_dict(protocol.get("classifier"))
    value, tested = finite(classifier.get("value")), finite(classifier.get("n"))
    if value is not None:
        on = "" if tested is None else f" on {words.number(tested, 9)} held-out images"
        metric = as_text(classifier.get("metric")) or "accuracy"
        yield f"A classifier, which was trained on real images, judges the decoded images ({metric} {value:.4f}{on})."
    chance, confident = finite(protocol.get("chance_purity")), finite(protocol.get("sure_from"))
    if chance is not None:
        yield f"By chance, {words.number(chance, 3)} of a code’s neighbours would be of its own class."
    if confident is not None:
        images = finite(document.get("hole_share_of_images"))
        of_images = "" if images is None else f", compared with {words.number(images, 3)} of the images themselves"
        yield (
            "A hole is a place that decodes to an image of no clear class: the classifier gives even the most probable "
            f"class less than {words.number(confident, 3)}. The rows on holes show the share of such images{of_images}."
        )
        yield "Confidence is the mean probability of the most probable class."


def _nats(document: dict[str, Any]) -> Iterator[Row]:
    errors = as_dict(document.get("standard_errors"))
    for key, name in nats_names(*document).items():
        value, error = finite(document.get(key)), finite(errors.get(key))
        if value is not None:
            known = error is not None and error > 0
            yield Row(name, "", key, [_with_error(value, error) if known and error else _plain(value)])


def _with_error(value: float, error: float) -> str:
    """A value and its standard error, both rounded to the second digit of the error.

    >>> _with_error(-97.5234, 0.3149), _with_error(-1234.5, 31.4), _with_error(24.51, 0.0021)
    ('−97.52 ± 0.31', '−1,234 ± 31', '24.5100 ± 0.0021')
    """
    digits = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}".replace("-", "−")


def _plain(value: float) -> str:
    return f"{value:,.2f}".replace("-", "−")


def _nats_text(document: dict[str, Any]) -> str:
    """Sentences on how the likelihood was computed."""
    protocol = as_dict(document.get("protocol"))
    count = finite(as_dict(protocol.get("images")).get("count"))
    images = "held-out images" if count is None else f"{words.number(count, 9)} held-out images"
    kind = as_text(protocol.get("likelihood"))
    model = f", for a {kind.capitalize()} likelihood of the pixels" if kind else ""
    text = (
        "How probable the VAE considers images that it was not trained on; higher is better. The ELBO is a lower bound "
        "of the log-likelihood: reconstruction minus KL. The values are means over "
        f"{images}, in nats per image, ± their standard error{model}."
    )
    if kind == "bernoulli":
        text += (
            " ELBO, reconstruction and KL were computed on grey values. The importance-weighted bound, and the ELBO of "
            "the same images, were computed on images that were binarised at random by their grey values; only these "
            "two values can be compared with each other."
        )
    return text
