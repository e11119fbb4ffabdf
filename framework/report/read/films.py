"""Strips and films of directions, and other films, as data URIs, up to a total size."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from framework.errors import StorageError
from framework.report.read.directions import DirectionEffect, strongest
from framework.report.read.pictures import Picture, picture
from framework.storage import Folder

STRONGEST = 8  # directions that are shown without unfolding
_FILM_BYTES = 3_000_000  # of all films together, as data URIs
_REST_BYTES = 1_500_000  # of the strips of all other directions together, as data URIs
_LONGEST = 1_400  # pixels of the longer side of a strip
_LONGEST_OF_REST = 720


@dataclass(frozen=True)
class Film:
    """A film as a data URI: an MP4 if `is_video`, else a GIF."""

    uri: str
    is_video: bool
    label: str


@dataclass(frozen=True)
class Strip:
    """A direction's pictures.

    Attributes:
        stem: The name of the direction's file without its suffix.
        attributes: The attributes for which it is the strongest direction.
        picture: Rows of samples, with the strengths below them.
        film: The same images as a film.
    """

    stem: str
    effect: DirectionEffect | None
    attributes: list[str]
    picture: Picture | None
    film: Film | None


@dataclass(frozen=True)
class StripsAndFilms:
    """All strips and films along directions, and the film of a walk through many samples.

    Attributes:
        strongest: For each attribute the strongest direction; without measurements the first directions.
        loop: The walk through many samples.
        films_left_out: Paths within the run of films that would make the page too large.
        strips_left_out: The number of strips that would make the page too large.
    """

    strongest: list[Strip]
    rest: list[Strip]
    loop: Film | None
    films_left_out: list[str]
    strips_left_out: int


class _SizeBudget:
    """The number of bytes that are left for data URIs."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.left_out: list[str] = []

    def takes(self, uri: str, name: str) -> bool:
        """Whether the URI still fits; if it does not, its name is added to `left_out`."""
        if len(uri) > self.left:
            self.left_out.append(name)
            return False
        self.left -= len(uri)
        return True


def read_strips_and_films(
    artifacts: Folder,
    effects: Sequence[DirectionEffect],
    *,
    film_bytes: int = _FILM_BYTES,
    rest_bytes: int = _REST_BYTES,
) -> StripsAndFilms:
    """Reads the strips and films of artifacts/directions, and loop.mp4 or .gif; damaged files are left out.

    Args:
        artifacts: The folder of the run's artifacts.
        effects: The effects of directions, in the page's order.
        film_bytes: The maximum of all films as data URIs. The strongest directions come first, then the loop.
        rest_bytes: The maximum of the strips of the other directions.
    """
    folder = artifacts / "directions"
    names = set(folder.list())
    drawn = {PurePosixPath(name).stem for name in names if PurePosixPath(name).suffix in (".png", ".mp4", ".gif")}
    known = {effect.stem: effect for effect in effects}
    stems = [stem for stem in known if stem in drawn] + sorted(drawn - set(known))
    first = strongest(effects, most=STRONGEST)
    chosen = [stem for stem in first if stem in drawn] or stems[:STRONGEST]
    films, strips = _SizeBudget(film_bytes), _SizeBudget(rest_bytes)

    def strip(stem: str, *, small: bool) -> Strip:
        alt = f"{stem}: each row is a sample, moved step by step along the direction"
        data = _bytes(folder, f"{stem}.png") if f"{stem}.png" in names else None
        longest, webp_over = (_LONGEST_OF_REST, 0) if small else (_LONGEST, None)
        shown = picture(data, alt=alt, longest=longest, webp_over=webp_over) if data else None
        if small and shown is not None and not strips.takes(shown.uri, stem):
            shown = None
        film = _film(folder, stem, names, films, place="artifacts/directions", label=f"Film: {stem}, there and back")
        return Strip(stem, known.get(stem), first.get(stem, []), shown, film)

    opened = [strip(stem, small=False) for stem in chosen]
    label = "Film: a walk through many samples and back to the first"
    loop = _film(artifacts, "loop", set(artifacts.list()), films, place="artifacts", label=label)
    rest = [strip(stem, small=True) for stem in stems if stem not in chosen]
    return StripsAndFilms(_shown(opened), _shown(rest), loop, films.left_out, len(strips.left_out))


def _shown(strips: list[Strip]) -> list[Strip]:
    return [strip for strip in strips if strip.picture or strip.film]


def _film(folder: Folder, stem: str, names: set[str], budget: _SizeBudget, *, place: str, label: str) -> Film | None:
    """The MP4, else the GIF; None if there is neither, or it is damaged or too large."""
    for ending, begins, kind in ((".mp4", (b"ftyp", 4), "video/mp4"), (".gif", (b"GIF8", 0), "image/gif")):
        data = _bytes(folder, f"{stem}{ending}") if f"{stem}{ending}" in names else None
        if data is None or not data.startswith(*begins):
            continue
        uri = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        return Film(uri, ending == ".mp4", label) if budget.takes(uri, f"{place}/{stem}{ending}") else None
    return None


def _bytes(folder: Folder, name: str) -> bytes | None:
    try:
        return folder.read_bytes(name)
    except StorageError:
        return None
