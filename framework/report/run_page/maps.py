"""The page's part on maps of the latent space, and on the likelihood of images never trained on."""

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
    "latent_map.png": "Codes of held-out images as dots, in the colours of their classes, a panel a generator",
    "latent_plane.png": "A sheet of what the square from −3 to 3 in the plane of the two latents decodes to",
}


@dataclass(frozen=True)
class Column:
    """A map's heading: the run, and what kind of generator it is."""

    run: str
    note: str


@dataclass(frozen=True)
class Row:
    """A figure: its name, what it is of, its key in the file, and a cell a column."""

    name: str
    note: str
    key: str
    cells: list[str]


@dataclass(frozen=True)
class Maps:
    """What the section shows; each part is empty where its file is not there.

    Attributes:
        picture: Codes by class.
        plane: A square of two latents, decoded.
        columns: One a map.
        rows: The figures.
        told: How many images and of which classifier, in sentences.
        nats: The likelihood's figures, one cell each.
        nats_told: What they are of.
    """

    picture: Picture | None
    plane: Picture | None
    columns: list[Column]
    rows: list[Row]
    told: list[str]
    nats: list[Row]
    nats_told: str

    @property
    def is_there(self) -> bool:
        """Whether there is anything to show."""
        return any((self.picture, self.plane, self.rows, self.nats))


def maps_of(results: Results) -> Maps:
    """From what was read."""
    document = results.documents.get("latent_map.json", {})
    likelihood = results.documents.get("likelihood.json", {})
    maps = [one for one in as_list(document.get("maps")) if isinstance(one, dict)]
    rows = list(_rows(maps))
    nats = list(_nats(likelihood))
    found = {name: picture(results.pictures[name], alt=alt) for name, alt in _ALTS.items() if name in results.pictures}
    return Maps(
        picture=found.get("latent_map.png"),
        plane=found.get("latent_plane.png"),
        columns=[_column(one, place) for place, one in enumerate(maps, start=1)] if rows else [],
        rows=rows,
        told=list(_told(document)) if rows else [],
        nats=nats,
        nats_told=_nats_told(likelihood) if nats else "",
    )


def _column(one: dict[str, Any], place: int) -> Column:
    size = finite(one.get("latent_size"))
    parts = [as_text(one.get("family")), f"{words.number(size, 9)} numbers" if size is not None else ""]
    return Column(as_text(one.get("run")) or f"map {place}", ", ".join(part for part in parts if part))


def _rows(maps: list[dict[str, Any]]) -> Iterator[Row]:
    for key, (name, note) in MAP_FIGURES.items():
        group, _, kind = key.partition(".")
        values = [finite(as_dict(one.get(group)).get(kind) if kind else one.get(group)) for one in maps]
        if any(value is not None for value in values):
            yield Row(name, note, key.replace(".", ", "), [_figure(value) for value in values])


def _figure(value: float | None) -> str:
    """Three decimals, so that a column can be read down."""
    return f"{value:.3f}".replace("-", "−") if value is not None and abs(value) < 1e4 else words.number(value)


def _told(document: dict[str, Any]) -> Iterator[str]:
    """What the figures hang on; each sentence only where the file has its numbers."""
    protocol = as_dict(document.get("protocol"))
    count, label = finite(as_dict(protocol.get("images")).get("count")), as_text(protocol.get("label"))
    if count is not None:
        yield f"{words.number(count, 9)} held-out images{f', by {label}' if label else ''}."
    judge = as_dict(protocol.get("classifier"))
    value, judged = finite(judge.get("value")), finite(judge.get("n"))
    if value is not None:
        on = "" if judged is None else f" on {words.number(judged, 9)} held-out images"
        metric = as_text(judge.get("metric")) or "accuracy"
        yield f"The classifier that judges what is decoded: {metric} {value:.4f}{on}."
    chance, sure = finite(protocol.get("chance_purity")), finite(protocol.get("sure_from"))
    if chance is not None:
        yield f"Codes that say nothing would have {words.number(chance, 3)} of their neighbours in their own class."
    if sure is not None:
        images = finite(document.get("hole_share_of_images"))
        of_images = "" if images is None else f"; of the images themselves {words.number(images, 3)}"
        yield f"Holes: the share of pictures whose surest class has less than {words.number(sure, 3)}{of_images}."
        yield "Sureness: that class’s mean probability."


def _nats(document: dict[str, Any]) -> Iterator[Row]:
    errors = as_dict(document.get("standard_errors"))
    for key, name in nats_names(*document).items():
        value, error = finite(document.get(key)), finite(errors.get(key))
        if value is not None:
            known = error is not None and error > 0
            yield Row(name, "", key, [_with_error(value, error) if known and error else _plain(value)])


def _with_error(value: float, error: float) -> str:
    """To the error's second digit, both.

    >>> _with_error(-97.5234, 0.3149), _with_error(-1234.5, 31.4), _with_error(24.51, 0.0021)
    ('−97.52 ± 0.31', '−1,234 ± 31', '24.5100 ± 0.0021')
    """
    digits = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}".replace("-", "−")


def _plain(value: float) -> str:
    return f"{value:,.2f}".replace("-", "−")


def _nats_told(document: dict[str, Any]) -> str:
    """What the likelihood is of, in sentences."""
    protocol = as_dict(document.get("protocol"))
    count = finite(as_dict(protocol.get("images")).get("count"))
    of = "Of held-out images" if count is None else f"Of {words.number(count, 9)} held-out images"
    kind = as_text(protocol.get("likelihood"))
    told = f"{of}, means in nats an image ± standard error{f', {kind.capitalize()} likelihood' if kind else ''}."
    if kind == "bernoulli":
        told += (
            " ELBO, reconstruction and KL are of grey values; the weighted bound and the ELBO beside it are of the "
            "images binarised by them, so that only these two compare."
        )
    return told
