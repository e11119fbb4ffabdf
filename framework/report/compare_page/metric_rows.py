"""Figures of several runs side by side: one row each, and which of two values is the better one, and when clearly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from framework.report.compare_page.compared_run import ComparedRun
from framework.report.text import format as words

Better = Literal["lower", "higher", ""]
SHARE_APART = 0.02  # two standard errors of the difference of two shares of 5,000 each, at the most
PART_APART = 0.05


@dataclass(frozen=True)
class Figure:
    """One row of a table.

    Attributes:
        key: What claims call it.
        name: What it is, as the row is headed.
        shown: A text a run.
        values: A number a run, None where it has none; empty where the row is words.
        more: Beneath each text.
        note: Beneath the name.
        better: Which way, where that is worth a mark.
        comparable: Whether the runs' values were measured alike.
        is_share: Whether values are shares or probabilities, from 0 to 1.
        protocol: What the values were made with.
        told: The same as a sentence.
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
    told: str = ""

    @property
    def best(self) -> list[int]:
        """Numbers of the runs whose value no other beats; none where all are equal, or were not measured alike."""
        known = {number: value for number, value in enumerate(self.values) if value is not None}
        if not self.better or not self.comparable or len(set(known.values())) < 2:
            return []
        best = min(known.values()) if self.better == "lower" else max(known.values())
        return [number for number, value in known.items() if value == best]

    @property
    def is_there(self) -> bool:
        """Whether any run has it."""
        return any(value is not None for value in self.values)

    def clearly_better(self, value: float, other: float) -> bool:
        """Whether a value beats another by more than counts as a difference.

        >>> Figure("k", "n", [], better="lower", is_share=True).clearly_better(0.10, 0.13)
        True
        >>> Figure("k", "n", [], better="higher").clearly_better(1.03, 1.0)
        False
        """
        gap = other - value if self.better == "lower" else value - other
        return gap > (SHARE_APART if self.is_share else PART_APART * max(abs(value), abs(other)))


@dataclass(frozen=True)
class Missing:
    """What is not there yet, and the command that makes it."""

    text: str
    command: str


@dataclass(frozen=True)
class Group:
    """A table with what has to be said of it.

    Attributes:
        key: Its anchor.
        title: Its heading.
        hint: What its rows are.
        figures: The rows.
        warnings: Why rows do not compare.
        missing: What runs lack.
    """

    key: str
    title: str
    hint: str = ""
    figures: list[Figure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def measured(
    key: str, name: str, values: Sequence[float | None], *, show: Callable[[Any], str] = words.score, **about: Any
) -> Figure:
    """A row of numbers."""
    return Figure(key, name, [show(value) for value in values], list(values), **about)


def percent(value: float | None) -> str:
    """A share to a tenth of a percent, for differences of few percent matter here.

    >>> percent(0.1234), percent(None)
    ('12.3%', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}%"


def find(groups: Sequence[Group], key: str) -> Figure | None:
    """The row of a key."""
    return next((figure for group in groups for figure in group.figures if figure.key == key), None)


def group_of(key: str, title: str, hint: str, figures: list[Figure], told: str, missing: list[Missing]) -> Group:
    """A table of the rows that any run has; `told` is why they were not measured alike."""
    there = [figure for figure in figures if figure.is_there]
    warnings = [f"No best is marked here: {told}."] if told and there else []
    return Group(key, title, hint, there, warnings, missing)


def measured_alike(conditions: Sequence[dict[str, Any]], there: Sequence[bool]) -> tuple[bool, str]:
    """Whether those that are there were measured in one way; else by what they differ."""
    known = [condition for condition, has in zip(conditions, there, strict=True) if has]
    every = dict.fromkeys(key for condition in known for key in condition)
    apart = [key for key in every if any(condition.get(key) != known[0].get(key) for condition in known)]
    return not apart, f"the runs’ {' and '.join(apart)} differ" if apart else ""


def missing_of(runs: Sequence[ComparedRun], document: str, job: str, figures: Sequence[Figure]) -> list[Missing]:
    """A line for each run without a value in any row."""
    return [
        lacking(run, document, job)
        for number, run in enumerate(runs)
        if all(figure.values[number] is None for figure in figures)
    ]


def lacking(run: ComparedRun, document: str, job: str) -> Missing:
    """That a run has no such document of this checkpoint, and the job that makes it."""
    of_another = document in run.others
    text = (
        f"{run.name}: artifacts/{document} is of another checkpoint."
        if of_another
        else f"{run.name} has no such figures yet."
    )
    return Missing(text, f"python -m jobs.{job} {run.typed}")
