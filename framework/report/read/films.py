"""Strips and films of directions, and other films, as data URIs; not more than a page should hold."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from framework.errors import StorageError
from framework.report.read.directions import DirectionEffect, strongest
from framework.report.read.pictures import Picture, picture
from framework.storage import Folder

STRONGEST = 8  # directions that stand open
_FILM_BYTES = 3_000_000  # of all films together, as the page holds them
_REST_BYTES = 1_500_000  # of the strips of the other directions, likewise
_LONGEST = 1_400  # pixels of a strip's side
_LONGEST_OF_REST = 720


@dataclass(frozen=True)
class Film:
    """A film as a page takes it: MP4 for a video, GIF for a picture that moves."""

    uri: str
    is_video: bool
    label: str


@dataclass(frozen=True)
class Strip:
    """A direction's pictures.

    Attributes:
        stem: Its file's name without the ending.
        effect: What was measured of it.
        attributes: That it moves more than the others do.
        picture: Rows of samples, the strengths under them.
        film: The same, moving.
    """

    stem: str
    effect: DirectionEffect | None
    attributes: list[str]
    picture: Picture | None
    film: Film | None


@dataclass(frozen=True)
class StripsAndFilms:
    """All that was drawn along directions, and the walk through many samples.

    Attributes:
        strongest: Of each attribute the direction that moves it most; without measurements the first of all.
        rest: The others.
        loop: The walk.
        films_left_out: Paths within the run of films that are there and would make the page too large.
        strips_left_out: How many strips likewise.
    """

    strongest: list[Strip]
    rest: list[Strip]
    loop: Film | None
    films_left_out: list[str]
    strips_left_out: int


class _SizeBudget:
    """Room for so many bytes of data URIs."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.left_out: list[str] = []

    def takes(self, uri: str, name: str) -> bool:
        """Whether it fits; if not, its name is kept."""
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
    """Strips and films from artifacts/directions, and loop.mp4 or .gif; what is damaged is left out.

    Args:
        artifacts: The run's.
        effects: In the page's order.
        film_bytes: Of all films as data URIs: the strongest directions' come first, then the loop, then the rest's.
        rest_bytes: Of the other directions' strips.
    """
    folder = artifacts / "directions"
    there = set(folder.list())
    drawn = {PurePosixPath(name).stem for name in there if PurePosixPath(name).suffix in (".png", ".mp4", ".gif")}
    known = {effect.stem: effect for effect in effects}
    stems = [stem for stem in known if stem in drawn] + sorted(drawn - set(known))
    first = strongest(effects, most=STRONGEST)
    chosen = [stem for stem in first if stem in drawn] or stems[:STRONGEST]
    films, strips = _SizeBudget(film_bytes), _SizeBudget(rest_bytes)

    def strip(stem: str, *, small: bool) -> Strip:
        alt = f"{stem}: a row a sample, moved step by step along the direction"
        data = _bytes(folder, f"{stem}.png") if f"{stem}.png" in there else None
        longest, webp_over = (_LONGEST_OF_REST, 0) if small else (_LONGEST, None)
        shown = picture(data, alt=alt, longest=longest, webp_over=webp_over) if data else None
        if small and shown is not None and not strips.takes(shown.uri, stem):
            shown = None
        film = _film(folder, stem, there, films, place="artifacts/directions", label=f"Film: {stem}, there and back")
        return Strip(stem, known.get(stem), first.get(stem, []), shown, film)

    opened = [strip(stem, small=False) for stem in chosen]
    label = "Film: a walk through many samples and back to the first"
    loop = _film(artifacts, "loop", set(artifacts.list()), films, place="artifacts", label=label)
    rest = [strip(stem, small=True) for stem in stems if stem not in chosen]
    return StripsAndFilms(_shown(opened), _shown(rest), loop, films.left_out, len(strips.left_out))


def _shown(strips: list[Strip]) -> list[Strip]:
    return [strip for strip in strips if strip.picture or strip.film]


def _film(folder: Folder, stem: str, there: set[str], room: _SizeBudget, *, place: str, label: str) -> Film | None:
    """The MP4, else the GIF; None where neither is there, whole, and small enough."""
    for ending, begins, kind in ((".mp4", (b"ftyp", 4), "video/mp4"), (".gif", (b"GIF8", 0), "image/gif")):
        data = _bytes(folder, f"{stem}{ending}") if f"{stem}{ending}" in there else None
        if data is None or not data.startswith(*begins):
            continue
        uri = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        return Film(uri, ending == ".mp4", label) if room.takes(uri, f"{place}/{stem}{ending}") else None
    return None


def _bytes(folder: Folder, name: str) -> bytes | None:
    try:
        return folder.read_bytes(name)
    except StorageError:
        return None
