"""The shape of each JSON document of a run: what a reader relies on. Whatever has another shape is refused by its file.

A shape names the keys that readers use, not all that writers write, so documents of older and newer versions pass.
Readers get the document as it is in the file.
"""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from framework.config.words import shown
from framework.errors import LatentscapeError, StorageError
from framework.storage import Folder
from framework.storage.json_text import parse_json_lines


def _like(pattern: str, allowed: str) -> AfterValidator:
    """Refuses a text that does not match, with what is allowed in words."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"must be {allowed}")
        return text

    return AfterValidator(check)


Count = Annotated[int, Field(ge=0, lt=10**15)]
Name = Annotated[str, _like(r"[^/\x00]{1,255}", "the name of a trial")]
CheckpointName = Annotated[str, _like("[0-9]{12}", "the name of a checkpoint, 12 digits")]
CheckpointPath = Annotated[str, _like(r"trials/[^/\x00]+/checkpoints/[0-9]{12}", "trials/ID/checkpoints/NUMBER")]

_OF_DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_OF_DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Shape(BaseModel):
    """The keys of a document that readers use, with their types."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class Score(Shape):
    """A score; its value is null if it was not finite."""

    metric: str
    value: float | None
    protocol: dict[str, Any]
    checkpoint: str | None = None
    generator: str | None = None
    sd: float | None = None
    detail: dict[str, Any] | None = None


class Scores(Shape):
    """scores.json."""

    scores: list[Score]


class AboutImages(Shape):
    """`data` in run.json."""

    source: str | None = None
    digest: str | None = None
    images: Count | None = None
    training: Count | None = None
    held_out: Count | None = None
    resolution: Count | None = None
    channels: Count | None = None
    labels: list[str] | None = None


class About(Shape):
    """run.json."""

    command: list[str] = []
    machine: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: AboutImages = AboutImages()
    assessors: dict[str, Any] = {}
    imported: dict[str, Any] = {}
    started: str | None = None
    ended: str | None = None
    warnings: list[str | dict[str, Any]] = []
    notes: list[str | dict[str, Any]] = []


class Best(Shape):
    """best.json of a run."""

    trial: Name
    checkpoint: CheckpointPath
    images_seen: Count
    score: Score | None = None


class ScoredCheckpoint(Shape):
    """An entry of the best.json of a trial."""

    images_seen: Count
    value: float
    score: Score


class TrialBest(Shape):
    """best.json of a trial; `checkpoint` is null before the first score."""

    checkpoint: CheckpointName | None
    images_seen: Count | None = None
    score: Score | None = None
    scores: dict[CheckpointName, ScoredCheckpoint] = {}
    adopted: dict[CheckpointName, str] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.checkpoint is not None and (self.images_seen is None or self.score is None):
            raise ValueError("must have images_seen and score of the checkpoint")
        return self


class Params(Shape):
    """params.json: dotted key -> value."""

    total_images: Count | None = Field(None, alias="training.total_images")


class State(Shape):
    """state.json."""

    state: str = "pending"
    error: str | None = None
    reason: str | None = None


class Row(Shape):
    """A line of metrics.jsonl."""

    images_seen: Count
    images_per_second: float | None = None
    score: Score | None = None
    warnings: list[str] | None = None


class ScoreLine(Shape):
    """A line of scores.jsonl."""

    images_seen: Count
    score: Score | None = None
    alarm: str | None = None


class LineageLine(Shape):
    """A line of lineage.jsonl."""

    images_seen: Count
    from_trial: Name
    from_images_seen: Count
    changed: dict[str, list[Any]] = {}


class Population(Shape):
    """population.json."""

    images_seen: Count


class Exploit(Shape):
    """One trial of population-exploits.json that continues from another trial's checkpoint."""

    trial: Name
    donor: Name
    images_seen: Count
    parameters: dict[str, Any]
    changed: dict[str, list[Any]]


class Exploits(Shape):
    """population-exploits.json."""

    end: Count
    exploits: list[Exploit]


class CheckedFile(Shape):
    """A file of a checkpoint."""

    sha256: str


class Manifest(Shape):
    """manifest.json of a checkpoint."""

    digest: str
    learned: dict[str, Any]
    files: dict[str, CheckedFile]


class TrainingInfo(Shape):
    """info.json of a checkpoint, from which a training continues."""

    steps: Count
    images_seen: Count
    real_images_seen: Count
    wall_seconds: float
    precision: str
    notes: dict[str, Any]


class Arithmetic(Shape):
    """arithmetic.json, as far as a job reads it again."""

    notes: list[str | dict[str, Any]]


class AttributeEffect(Shape):
    """The effect of a direction on one attribute."""

    slope: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    right_share: float
    random_rank: float
    random_99th: float


class DirectionEffect(Shape):
    """The entry of a direction in effects.json."""

    method: str
    target: str
    attributes: Annotated[dict[str, AttributeEffect], Field(min_length=1)]


class Effects(RootModel[dict[str, DirectionEffect]]):
    """effects.json: the file of a direction -> its effect."""


class RandomSlopes(Shape):
    """random_effects.json: key -> attribute -> the slopes of random directions."""

    about: dict[str, Any]
    slopes: dict[str, dict[str, list[float]]]


class Generated(Shape):
    """generated.json: what images of jobs.generate depend on."""

    count: Count


class Lease(Shape):
    """lease.json."""

    token: str
    command: str
    host: str
    boot: str
    pid: int
    pid_started: float | None


def read_document(folder: Folder, name: str, shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        StorageError: The file is missing, cannot be read, or its content has another shape.
    """
    return checked_document(folder.read_json(name), shape, place=f"{folder.location}/{name}")


def read_object(folder: Folder, name: str) -> dict[str, Any]:
    """As `read_document`, for a document without a shape of its own, such as an artifact."""
    return read_document(folder, name, Shape)


def checked_document(document: Any, shape: type[BaseModel], *, place: str) -> dict[str, Any]:
    """The document itself, if it has the shape; else a StorageError that names the place."""
    if not isinstance(document, dict):
        raise StorageError(f"{place}: must be a JSON object, not {shown(document)}")
    try:
        shape.model_validate(document)
    except ValidationError as fault:
        raise StorageError(f"{place}: {_first(fault)}") from None
    return document


def read_lines(folder: Folder, name: str, shape: type[BaseModel]) -> list[dict[str, Any]]:
    """The JSON objects in the lines of a file; empty if it does not exist.

    Raises:
        StorageError: The file cannot be read, or a line has another shape.
    """
    if not folder.exists(name):
        return []
    place = f"{folder.location}/{name}"
    lines = list(parse_json_lines(folder.read_text(name), place=place))
    rows = [row for _, row in lines]
    try:
        _rows_of(shape).validate_python(rows)
    except ValidationError:
        for number, row in lines:  # again, for the number of the line
            checked_document(row, shape, place=f"{place}, line {number}")
    return rows


@functools.cache
def _rows_of(shape: type[BaseModel]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[shape])  # pyright: ignore[reportInvalidTypeForm] - a type that is only known here


def _first(fault: ValidationError) -> str:
    """The first fault in words: the key, what it must be, and what it is."""
    error = fault.errors()[0]
    key = ".".join(str(step) for step in error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing"
    rule = error["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
    return f"{key}: {rule}, not {shown(error['input'])}" if key else rule


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turns what a damaged document causes in a block that only reads and shows a run into one line.

    The shapes above refuse nearly everything by its file and key. This is for what they leave open, such as the inside
    of a protocol or of an artifact.

    Args:
        place: The run.

    Raises:
        StorageError: Something in the block was of another type or value than expected.
    """
    try:
        yield
    except LatentscapeError:
        raise
    except Exception as fault:
        # jinja2 is slow to import, so its exception is recognised by its module.
        if not isinstance(fault, _OF_DAMAGE) and type(fault).__module__ != "jinja2.exceptions":
            raise
        reason = " ".join(str(fault).split())[:200]
        raise StorageError(
            f"{place}: cannot be shown, because one of its documents is damaged ({type(fault).__name__}: {reason})"
        ) from fault
