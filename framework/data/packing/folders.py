"""The folders of a source: how many files each has, and which of them look like masks or parts of a data set."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import PurePosixPath

_MASKS = re.compile(r"mask|anno(?:t|$)|segment|depth|edges?$", re.IGNORECASE)
_FEWEST = 10
_MOST_COMPARED = 50


def folder_counts(names: Iterable[str]) -> dict[str, int]:
    """Top folder -> number of files, in the order of names; a folder that holds all the others is left out.

    >>> folder_counts(["x/a/1.png", "x/a/2.png", "x/b/c/1.png"]), folder_counts(["1.png", "x/2.png"])
    ({'a': 2, 'b': 1}, {'': 1, 'x': 1})
    """
    parents = Counter(_inner(names))
    counts: Counter[str] = Counter()
    for steps, count in sorted(parents.items()):
        counts[steps[0] if steps else ""] += count
    return dict(counts)


def mask_folders(names: Iterable[str]) -> dict[str, int]:
    """Folders with files that are named like masks -> number of files; a folder that holds all files is left out.

    >>> mask_folders(["CelebAMask/img/1.jpg", "CelebAMask/mask-anno/1.png", "CelebAMask/mask-anno/2.png"])
    {'mask-anno': 2}
    """
    folders = (next((step for step in steps if _MASKS.search(step)), None) for steps in _inner(names))
    return dict(Counter(folder for folder in folders if folder is not None))


def paired_folders(names: Iterable[str]) -> tuple[str, str, int] | None:
    """Two folders with files of the same names and other endings, as pictures and their masks have, and how many.

    >>> names = [f"{k}.{end}" for k in range(10) for end in ("jpg", "png")]
    >>> paired_folders(f"{name[-3:]}s/{name}" for name in names), paired_folders(f"{name[0]}/a{name}" for name in names)
    (('jpgs', 'pngs', 10), None)
    """
    stems: dict[str, set[str]] = {}
    endings: dict[str, set[str]] = {}
    for name in names:
        path = PurePosixPath("/".join(_steps(name)))
        stems.setdefault(str(path.parent), set()).add(path.stem)
        endings.setdefault(str(path.parent), set()).add(path.suffix)
    if len(stems) > _MOST_COMPARED:  # classes or people
        return None
    for one, other in combinations(sorted(stems), 2):
        if len(stems[one]) >= _FEWEST and stems[one] == stems[other] and not endings[one] & endings[other]:
            return one, other, len(stems[one])
    return None


def _inner(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The folders of each file, without those that hold all files."""
    parents = [tuple(_steps(name)[:-1]) for name in names]
    kinds = set(parents)
    same = 0
    while len(kinds) > 1 and all(len(steps) > same for steps in kinds) and len({steps[same] for steps in kinds}) == 1:
        same += 1
    return [steps[same:] for steps in parents]


def _steps(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")
