"""Rows that compare one measurement of several runs, and the rules for which value is better or clearly better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from framework.report.compare_page.compared_run import ComparedRun
from framework.report.text import format as words

Better = Literal["lower", "higher", ""]
SHARE_APART = 0.02  # two standard errors of the difference of two shares of 5,000 images, if both are 0.5
PART_APART = 0.05


@dataclass(frozen=True)
class MetricRow:
    """One row of a table.

    Attributes:
        key: The key by which claims refer to the row.
        name: The heading of the row.
        shown: One text per run.
        values: One number per run, None if it has none; empty if the row consists of words.
        more: Small text below each value.
        note: Small text below the heading.
        better: Whether lower or higher is better; empty if no best value is marked.
        comparable: Whether the runs' values were measured in the same way.
        is_share: Whether the values are shares or probabilities, from 0 to 1.
        protocol: The protocol of the values.
        protocol_text: The protocol as a sentence.
    """

    key: str
    name: str
    shown: list[str]
    values: list[float | None] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    note: str = ""
    better: Better = ""
    comparable: bool = True
    is_share: bool = False
    protocol: dict[str, Any] = field(default_factory=dict)
    protocol_text: str = ""

    @property
    def best(self) -> list[int]:
        """Indexes of the runs with the best value; empty if all are equal or they cannot be compared."""
        known = {number: value for number, value in enumerate(self.values) if value is not None}
        if not self.better or not self.comparable or len(set(known.values())) < 2:
            return []
        best = min(known.values()) if self.better == "lower" else max(known.values())
        return [number for number, value in known.items() if value == best]

    @property
    def is_there(self) -> bool:
        """Whether any run has a value."""
        return any(value is not None for value in self.values)

    def clearly_better(self, value: float, other: float) -> bool:
        """Whether a value is better than another by more than the threshold for a clear difference.

        >>> MetricRow("k", "n", [], better="lower", is_share=True).clearly_better(0.10, 0.13)
        True
        >>> MetricRow("k", "n", [], better="higher").clearly_better(1.03, 1.0)
        False
        """
        gap = other - value if self.better == "lower" else value - other
        return gap > (SHARE_APART if self.is_share else PART_APART * max(abs(value), abs(other)))


@dataclass(frozen=True)
class MissingResult:
    """A result that does not exist yet, and the command that computes it."""

    text: str
    command: str


@dataclass(frozen=True)
class MetricTable:
    """A table with its heading and explanations.

    Attributes:
        key: The anchor of the table on the page.
        hint: An explanation of the rows.
        warnings: Reasons why the rows cannot be compared.
        missing: Results that some runs do not have yet.
    """

    key: str
    title: str
    hint: str = ""
    figures: list[MetricRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: list[MissingResult] = field(default_factory=list)


def measured(
    key: str, name: str, values: Sequence[float | None], *, show: Callable[[Any], str] = words.score, **about: Any
) -> MetricRow:
    """A row of numbers; `show` turns a number into text."""
    return MetricRow(key, name, [show(value) for value in values], list(values), **about)


def percent(value: float | None) -> str:
    """A share in percent with one decimal, because differences of a few percent matter here.

    >>> percent(0.1234), percent(None)
    ('12.3%', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}%"


def find(groups: Sequence[MetricTable], key: str) -> MetricRow | None:
    """The row with this key; None if there is none."""
    return next((figure for group in groups for figure in group.figures if figure.key == key), None)


def group_of(
    key: str, title: str, hint: str, figures: list[MetricRow], reason: str, missing: list[MissingResult]
) -> MetricTable:
    """A table of the rows that have a value; `reason` says why they cannot be compared, and is empty if they can."""
    present = [figure for figure in figures if figure.is_there]
    warnings = [f"No best value is marked here, because {reason}."] if reason and present else []
    return MetricTable(key, title, hint, present, warnings, missing)


def measured_alike(conditions: Sequence[dict[str, Any]], present: Sequence[bool]) -> tuple[bool, str]:
    """Whether all present values were measured under the same conditions; if not, also how the conditions differ."""
    known = [condition for condition, is_present in zip(conditions, present, strict=True) if is_present]
    keys = dict.fromkeys(key for condition in known for key in condition)
    differing = [key for key in keys if any(condition.get(key) != known[0].get(key) for condition in known)]
    return not differing, f"the runs differ in {' and '.join(differing)}" if differing else ""


def missing_of(
    runs: Sequence[ComparedRun], document: str, job: str, figures: Sequence[MetricRow]
) -> list[MissingResult]:
    """One entry for each run without a value in any row."""
    return [
        lacking(run, document, job)
        for number, run in enumerate(runs)
        if all(figure.values[number] is None for figure in figures)
    ]


def lacking(run: ComparedRun, document: str, job: str) -> MissingResult:
    """The entry for a run that lacks a document for this checkpoint, with the job that computes it."""
    of_another = document in run.others
    text = (
        f"{run.name}: artifacts/{document} belongs to another checkpoint."
        if of_another
        else f"{run.name} does not have these values yet."
    )
    return MissingResult(text, f"python -m jobs.{job} {run.typed}")
