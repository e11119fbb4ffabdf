"""Finds the row of a table that names an image, however the paths of either are written."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_ENDING = re.compile(
    r"\.(?:jpe?g|jfif|png|webp|bmp|gif|tiff?|avif|heic|heif|jp2|tga|ppm|pgm|pcx|ico|npy)$", re.IGNORECASE
)
_SEVERAL = -2
_MOST_STEPS = 16  # of an end; whole paths may be longer
Steps = tuple[str, ...]


@dataclass(frozen=True)
class Matching:
    """Which row names which image.

    Attributes:
        rows: int64 [images] index of each image's row, or -1.
        ambiguous: Number of images that have no row because several rows or images have the same end of the path.
        ways: How many images were matched in another way than by an equal end of the path, by way.
    """

    rows: np.ndarray
    ambiguous: int
    ways: dict[str, int]


def steps_of(name: str) -> Steps:
    r"""The steps of a path with / or \, in Unicode's composed form.

    >>> steps_of("C:\\Users\\me\\a.jpg"), steps_of("./train//1.jpg")
    (('C:', 'Users', 'me', 'a.jpg'), ('train', '1.jpg'))
    """
    text = name.strip().replace("\\", "/")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return tuple(step for step in text.split("/") if step not in ("", "."))


def is_image_name(cell: str) -> bool:
    """Whether a cell ends like the name of an image.

    >>> is_image_name("000001.jpg"), is_image_name("image_id")
    (True, False)
    """
    return _ENDING.search(cell.strip()) is not None


def match(listed: list[str], names: list[str]) -> Matching:
    """Matches rows and images by the longest equal end of their paths, if only one row and one image have it.

    Images that are left are matched without regard to case, and then by names without an ending such as `.jpg`.
    """
    rows, images = [steps_of(name) for name in listed], [steps_of(name) for name in names]
    index, ambiguous = _by_longest_end(rows, images)
    ways: dict[str, int] = {}
    for way, changed in (("in other case", _folded), ("without their ending", _bare)):
        if (index >= 0).all():
            break
        more, _ = _by_longest_end(list(map(changed, rows)), list(map(changed, images)))
        used = set(index[index >= 0].tolist())
        new = [(image, row) for image, row in enumerate(more.tolist()) if index[image] < 0 <= row and row not in used]
        for image, row in new:
            index[image] = row
        if new:
            ways[way] = len(new)
    return Matching(index, int(ambiguous[index < 0].sum()), ways)


def share_matched(cells: list[str], known: frozenset[str]) -> float:
    """The share of cells whose last step is one of these."""
    return sum(_last(cell) in known for cell in cells) / max(len(cells), 1)


def last_steps(names: list[str], *, bare: bool = False) -> frozenset[str]:
    """The last steps of paths, in lower case; with `bare` without their endings."""
    return frozenset(_last(_ENDING.sub("", name) if bare else name) for name in names)


def _last(name: str) -> str:
    steps = steps_of(name)
    return steps[-1].casefold() if steps else ""


def _folded(steps: Steps) -> Steps:
    return tuple(map(_fold, steps))


def _bare(steps: Steps) -> Steps:
    return (*map(_fold, steps[:-1]), *(_fold(_ENDING.sub("", step)) for step in steps[-1:]))


@lru_cache(maxsize=4096)
def _fold(step: str) -> str:
    return unicodedata.normalize("NFC", step.casefold())


def _by_longest_end(rows: list[Steps], images: list[Steps]) -> tuple[np.ndarray, np.ndarray]:
    """The row of each image, or -1, and whether it has none because several share its longest known end."""
    depth = min(max(map(len, rows), default=0), max(map(len, images), default=0), _MOST_STEPS)
    # The whole path first, then shorter and shorter ends; slice [-0:] is the whole.
    levels = [0, *range(depth, 0, -1)]
    row_ends = {k: _places(rows, k) for k in levels}
    image_ends = {k: _places(images, k) for k in levels}
    index, ambiguous = np.full(len(images), -1, np.int64), np.zeros(len(images), bool)
    for place, image in enumerate(images):
        for k in levels:
            if k > len(image) or (row := row_ends[k].get(image[-k:])) is None:
                continue
            unique = row != _SEVERAL and image_ends[k][image[-k:]] == place
            if unique:
                index[place] = row
            ambiguous[place] = not unique
            break
    return index, ambiguous


def _places(paths: list[Steps], k: int) -> dict[Steps, int]:
    """The last k steps of paths, or for k = 0 all, -> the place of the only path that ends so, or `_SEVERAL`."""
    places: dict[Steps, int] = {}
    for place, path in enumerate(paths):
        if len(path) >= k:
            end = path[-k:]
            places[end] = _SEVERAL if end in places else place
    return places
