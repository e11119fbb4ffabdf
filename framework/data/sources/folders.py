"""Walks a folder of images: follows links with a guard, and leaves out what is never an image."""

import heapq
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from framework.data.sources.clutter import clutter
from framework.errors import DataError

# What a run holds; the folder of a run has its experiment and at least one of the others (docs/architecture.md).
_EXPERIMENT, _OF_RUNS = "experiment.yaml", ("run.json", "lease.json", "trials", "artifacts")
_CACHE = Path(".cache", "data")  # of packed images, within storage.path


def folder_names(path: Path, *, rules: int, left_out: Counter[str]) -> Iterator[str]:
    """The paths of the files in a folder, relative to it, without what is never an image.

    Left out are hidden files and folders, those of systems, the folders of runs and the folder that holds runs and
    their cache. Links to folders are followed, after all folders that lie here themselves and in the order of their
    names; a link to a folder above, or to a folder that was visited before, is left out. A broken link is a file.

    Args:
        rules: 1 for what earlier versions listed: no links are followed, and runs are not left out.
        left_out: Counts the files and folders that are left out, by the reason.

    Raises:
        DataError: A folder cannot be read.
    """
    return _Walk(path, rules, left_out).names()


def stat_line(path: Path) -> str:
    """The size and time of change of a file, for the fingerprint of a source."""
    try:
        status = path.stat()
    except OSError:  # a broken link, which is rejected when it is read
        return "missing"
    # A folder's own time also changes with files that are not read, such as hidden ones.
    return "folder" if path.is_dir() else f"{status.st_size} {status.st_mtime_ns}"


class _Walk:
    def __init__(self, path: Path, rules: int, left_out: Counter[str]) -> None:
        self._path, self._rules, self._left_out = str(path), rules, left_out
        self._above = {_identity(str(folder)) for folder in path.resolve().parents}
        self._seen = {_identity(self._path)}
        self._links: list[str] = []

    def names(self) -> Iterator[str]:
        yield from self._within(self._path)
        while self._links:
            link = heapq.heappop(self._links)
            if self._is_taken(link, linked=True):
                yield from self._within(link)

    def _within(self, top: str) -> Iterator[str]:
        start = len(self._path.rstrip(os.sep)) + 1
        for folder, folders, files in os.walk(top, onerror=_refuse):
            folders[:] = [name for name in folders if self._is_walked(f"{folder}{os.sep}{name}", name)]
            yield from (f"{folder}{os.sep}{file}"[start:] for file in files if not self._is_clutter(file))

    def _is_walked(self, place: str, name: str) -> bool:
        """Whether a folder is walked now; a link is kept for later."""
        if self._is_clutter(name):
            return False
        if not os.path.islink(place):  # noqa: PTH114 - text is faster, and there may be millions
            return self._rules == 1 or self._is_taken(place, linked=False)
        if self._rules == 1:
            self._left_out["link to a folder"] += 1
        else:
            heapq.heappush(self._links, place)
        return False

    def _is_taken(self, place: str, *, linked: bool) -> bool:
        reason, identity = None, _identity(place)
        if identity in self._above or (linked and _leads_up(place)):
            reason = "link back to a folder above"
        elif identity in self._seen:
            reason = "link to a folder that is taken already" if linked else "folder that is taken already"
        elif _is_run(Path(place)):
            reason = "run folder"
        elif Path(place, _CACHE).is_dir():
            reason = "folder of runs"
        self._seen.add(identity)
        if reason is not None:
            self._left_out[reason] += 1
        return reason is None

    def _is_clutter(self, name: str) -> bool:
        reason = clutter(name, rules=self._rules)
        if reason is not None:
            self._left_out[reason] += 1
        return reason is not None


def _is_run(folder: Path) -> bool:
    return (folder / _EXPERIMENT).is_file() and any((folder / name).exists() for name in _OF_RUNS)


def _leads_up(link: str) -> bool:
    """Whether a link leads to a folder that it lies in."""
    target, here = Path(link).resolve(), Path(link).parent.resolve()
    return here.is_relative_to(target)


def _identity(folder: str) -> tuple[int, int]:
    """What is equal for all paths of a folder."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError as fault:
        _refuse(fault)
        raise
    return status.st_dev, status.st_ino


def _refuse(fault: OSError) -> None:
    raise DataError(f"data.path: {fault.filename} cannot be read ({fault.strerror})")
