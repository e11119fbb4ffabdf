"""Labels that lie beside images in the same container: webdataset's samples, and columns of tables."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LEFT_OUT = "label or text beside its image"
_MOST_SAMPLE = 64  # files of a sample
_MOST_LABELS = 100
_LABELS = {"cls", "cls2", "index", "id"}
_TEXTS = {"txt", "text", "caption", "captions", "transcript"}
_JSON = {"json", "jsn"}
_WITH_TEXT = tuple[str, Any, bytes | None]


def is_beside_name(name: str) -> bool:
    """Whether a file of a tar file is a label or text in webdataset's way, if an image of the same name lies beside it.

    >>> is_beside_name("shard/000001.cls"), is_beside_name("000001.jpg"), is_beside_name(".cls")
    (True, False, False)
    """
    key, ending = _split(name)
    return ending in _LABELS | _TEXTS | _JSON and not key.endswith("/") and key != ""


@dataclass
class Beside:
    """Labels of images by their names.

    Attributes:
        labels: Name of an image -> label -> its value as text.
    """

    labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def without(self, files: Iterator[_WITH_TEXT], left_out: Counter[str]) -> Iterator[tuple[str, Any]]:
        """The images of a tar file without the labels and texts beside them, whose values are kept.

        A sample of webdataset is files in a row that differ only behind the first dot of their names, and one of them
        is an image.

        Args:
            files: Name, item, and for a file that may be a label its content.
            left_out: Counts the labels and texts.
        """
        sample: list[_WITH_TEXT] = []
        for file in files:
            if sample and (_split(file[0])[0] != _split(sample[0][0])[0] or len(sample) >= _MOST_SAMPLE):
                yield from self._images(sample, left_out)
                sample = []
            sample.append(file)
        yield from self._images(sample, left_out)

    def _images(self, sample: list[_WITH_TEXT], left_out: Counter[str]) -> Iterator[tuple[str, Any]]:
        images = [(name, item) for name, item, text in sample if text is None]
        if not images or len(images) == len(sample):
            yield from ((name, item) for name, item, _ in sample)
            return
        labels: dict[str, str] = {}
        for name, _, text in sample:
            if text is not None:
                left_out[LEFT_OUT] += 1
                labels |= _values(_split(name)[1], text)
        if labels:
            self.labels.update((name, labels) for name, _ in images)
        yield from images


def _values(ending: str, data: bytes) -> dict[str, str]:
    text = data.decode("utf-8", "replace").strip()
    if ending in _LABELS:
        return {ending: sys.intern(text)}
    if ending not in _JSON:
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {"label": sys.intern(str(document))} if isinstance(document, int | float | str) else {}
    simple = ((name, value) for name, value in document.items() if isinstance(value, str | int | float))
    return {sys.intern(name): sys.intern(str(value)) for name, value in list(simple)[:_MOST_LABELS]}


def _split(name: str) -> tuple[str, str]:
    """The key of a sample and the ending, at the first dot of the last step of the path."""
    folder, slash, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return f"{folder}{slash}{key}", ending.lower()
