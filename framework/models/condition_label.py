"""One label of a condition: its values as people write them, as numbers, and as a code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from framework.errors import LatentsError

MOST_CLASSES = 1_000

Kind = Literal["classes", "binary", "number"]
Value = str | float | None
"""The name of a class, 0 or 1, or a number; None if it is unknown."""


@dataclass(frozen=True)
class Label:
    """One label of a condition.

    Attributes:
        name: Its name in the data.
        kind: Whether it has classes, is 0 or 1, or is a number.
        classes: The names of its classes; none for other kinds.
        low: The least number in the training images, whose code is -1.
        high: The largest number, whose code is 1.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, name: str, values: np.ndarray, classes: Sequence[str] | None) -> Self:
        """The label of values [n], NaN where unknown.

        Raises:
            ValueError: It has too many classes, or fewer than two values; the text says which.
        """
        known = values[~np.isnan(values)]
        different = np.unique(known)
        if len(different) < 2:
            raise ValueError(f"has {len(different)} value in the training images; a condition needs at least 2")
        if classes is not None:
            if len(classes) > MOST_CLASSES:
                raise ValueError(f"has {len(classes):,} classes; a condition has at most {MOST_CLASSES:,}")
            return cls(name, "classes", tuple(classes))
        if np.isin(different, (0.0, 1.0)).all():
            return cls(name, "binary")
        return cls(name, "number", low=float(different[0]), high=float(different[-1]))

    @property
    def size(self) -> int:
        """The numbers of its code."""
        return len(self.classes) if self.kind == "classes" else 2

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The codes [n, size] float32 of values [n]: indices of classes or numbers, NaN where unknown."""
        known = ~np.isnan(values)
        codes = np.zeros((len(values), self.size), np.float32)
        if self.kind == "classes":
            codes[known, values[known].astype(int)] = 1.0
        else:
            codes[known, 0] = 2.0 * (values[known] - self.low) / (self.high - self.low) - 1.0
            codes[known, 1] = 1.0
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The values [n] of codes [n, size], NaN where unknown; of a code between two, the nearest class."""
        if self.kind == "classes":
            return np.where(codes.max(axis=1) > 0.5, codes.argmax(axis=1), np.nan)
        numbers = self.low + (codes[:, 0].astype(np.float64) + 1.0) / 2.0 * (self.high - self.low)
        numbers = np.round(numbers) if self.kind == "binary" else numbers
        return np.where(codes[:, 1] > 0.5, numbers, np.nan)

    def number_of(self, value: Value) -> float:
        """What `encode` takes for a value as people write it.

        Raises:
            LatentsError: It is not one that the label can have.
        """
        if value is None:
            return float("nan")
        if self.kind == "classes":
            names = [str(value), *([f"{value:g}"] if isinstance(value, float) else [])]
            for name in names:
                if name in self.classes:
                    return float(self.classes.index(name))
            raise LatentsError(f"condition: {self.name}: must be {self.allowed}, not {str(value)[:80]}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        is_allowed = number in (0.0, 1.0) if self.kind == "binary" else self.low <= number <= self.high
        if not is_allowed:
            raise LatentsError(f"condition: {self.name}: must be {self.allowed}, not {str(value)[:80]}")
        return number

    def text_of(self, number: float) -> str:
        """A value, as `encode` takes it, as people read it."""
        if np.isnan(number):
            return "unknown"
        return self.classes[int(number)] if self.kind == "classes" else f"{number:.4g}"

    @property
    def divisions(self) -> tuple[str, ...]:
        """The values that divide images into groups: its classes, or 0 and 1; none for a number."""
        return {"classes": self.classes, "binary": ("0", "1"), "number": ()}[self.kind]

    @property
    def allowed(self) -> str:
        """The values that it can have, in words."""
        if self.kind == "classes":
            return f"{', '.join(self.classes[:20])}{', …' if len(self.classes) > 20 else ''}"
        return "0 or 1" if self.kind == "binary" else f"a number from {self.low:g} to {self.high:g}"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        more: dict[str, Any] = {"classes": list(self.classes)} if self.kind == "classes" else {}
        more |= {"low": self.low, "high": self.high} if self.kind == "number" else {}
        return {"name": self.name, "kind": self.kind, **more}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From JSON; ValueError or KeyError if it is damaged."""
        label = cls(
            str(document["name"]),
            document["kind"],
            tuple(map(str, document.get("classes", ()))),
            float(document.get("low", 0.0)),
            float(document.get("high", 1.0)),
        )
        if label.kind not in ("classes", "binary", "number") or not label.low < label.high:
            raise ValueError(f"{label.name}: is not a label")
        return label
