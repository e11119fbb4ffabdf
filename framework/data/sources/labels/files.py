"""Finds and reads the file that `data.labels` names: any file, or one within the folder or archive of images."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from framework.config import DataConfig
from framework.data.sources.source import locate, read_named
from framework.errors import DataError
from framework.files import MOST_DOCUMENT_BYTES, read_file, user_path

FOLDERS = "folders"
OFFERED = frozenset(
    ["dataset.json", "metadata.csv", "metadata.jsonl", "labels.csv", "list_attr_celeba.txt", "list_attr_celeba.csv"]
)
"""Names under which files of labels lie beside images; such a file is offered, and never taken without being named."""


@dataclass(frozen=True)
class LabelFile:
    """A file of labels.

    Attributes:
        where: Its name for messages, after the key.
        data: Its content.
        member: Its name within the source; None if it lies elsewhere.
    """

    where: str
    data: bytes
    member: str | None


def read_outside(config: DataConfig) -> LabelFile | None:
    """The file at the path `data.labels`; None if it does not exist there, or if the key names no file.

    Raises:
        DataError: It cannot be read, is no regular file, or has more than 64 MiB.
    """
    if not config.labels or config.labels == FOLDERS:
        return None
    try:
        path = user_path(config.labels)
        data = read_file(path, most_bytes=MOST_DOCUMENT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise DataError(f"data.labels: {config.labels} cannot be read ({fault.strerror})") from None
    return LabelFile(f"data.labels: {config.labels}", data, _member(config, path))


def find_labels(config: DataConfig) -> LabelFile:
    """The file that `data.labels` names.

    Raises:
        DataError: There is no such file, it cannot be read, or it has more than 64 MiB.
    """
    assert config.labels
    outside = read_outside(config)
    if outside is not None:
        return outside
    inside = None
    if not PurePath(config.labels).is_absolute() and not config.labels.startswith("~"):
        inside = read_named(config, config.labels, most_bytes=MOST_DOCUMENT_BYTES)
    if inside is None:
        raise DataError(f"data.labels: {config.labels} does not exist")
    return LabelFile(f"data.labels: {config.labels}", inside[1], inside[0])


def _member(config: DataConfig, path: Path) -> str | None:
    """The name of a file within the folder of images; None if it lies elsewhere."""
    source = locate(config)
    if source is None or not source.is_dir():
        return None
    try:
        return str(path.absolute().relative_to(source))
    except ValueError:
        return None
