"""Conditions of a generator: how labels become the numbers behind a latent, and from which rows samples draw them.

A conditional generator takes the latent z followed by a code of its condition. A label with classes is a one-hot vector
over them. A binary label or a number is its value, scaled to -1 … 1, followed by a 1. A label that is unknown is all 0.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from framework.errors import LatentsError
from framework.models.architectures.prior import derive_seed, uniforms
from framework.models.condition_label import Label, Value

MOST_ROWS = 2_048
MOST_SHOWN = 16


@dataclass(frozen=True, eq=False)
class Condition:
    """The labels that a generator is conditional on, and the training images' values of them, for samples to draw from.

    Attributes:
        labels: In the order of the code.
        rows: [m, labels] float64, different rows of values, NaN where unknown: all, or those of evenly spaced images.
        counts: [m] the number of training images with this row.
    """

    labels: tuple[Label, ...]
    rows: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str], values: Mapping[str, np.ndarray], classes: Mapping[str, Sequence[str]]) -> Self:
        """The condition on these labels, by the values of the training images.

        Args:
            names: The labels, all among `values`.
            values: Label -> [n], NaN where unknown.
            classes: Class label -> names of its classes.

        Raises:
            ValueError: A label cannot be one of a condition; the text says why.
        """
        labels = []
        for name in names:
            try:
                labels.append(Label.of(name, values[name], classes.get(name)))
            except ValueError as fault:
                raise ValueError(f"{name}: {fault}") from None
        table = np.stack([values[name].astype(np.float64) for name in names], axis=1)
        rows, counts = np.unique(table, axis=0, return_counts=True, equal_nan=True)
        if len(rows) > MOST_ROWS:
            spaced = table[np.linspace(0, len(table) - 1, MOST_ROWS).round().astype(int)]
            rows, counts = np.unique(spaced, axis=0, return_counts=True, equal_nan=True)
        return cls(tuple(labels), rows, counts)

    @property
    def size(self) -> int:
        """The numbers of a code."""
        return sum(label.size for label in self.labels)

    @property
    def names(self) -> list[str]:
        """The names of the labels."""
        return [label.name for label in self.labels]

    def label(self, name: str) -> Label:
        """The label of this name; LatentsError if there is none."""
        for label in self.labels:
            if label.name == name:
                return label
        raise LatentsError(f"condition: the generator knows no label {name!r}; its labels: {', '.join(self.names)}")

    def dividing(self, name: str) -> Label:
        """The label of this name, whose classes or binary values divide images into groups.

        Raises:
            ValueError: There is none; the text says which labels there are.
        """
        able = [label for label in self.labels if label.divisions]
        for label in able:
            if label.name == name:
                return label
        allowed = f"with classes or with 0 and 1 ({', '.join(label.name for label in able) or 'there is none'})"
        raise ValueError(f"must be a label of model.condition {allowed}, not {name}")

    def encode_rows(self, rows: np.ndarray) -> np.ndarray:
        """The codes [n, size] float32 of rows of values [n, labels], NaN where unknown."""
        return np.concatenate([label.encode(rows[:, at]) for at, label in enumerate(self.labels)], axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The rows of values [n, labels] of codes [n, size], NaN where unknown."""
        return np.stack([label.decode(codes[:, self._place(label)]) for label in self.labels], axis=1)

    def encode(self, condition: Mapping[str, Value | Sequence[Value]], count: int) -> np.ndarray:
        """The codes [count, size] float32 of a condition; a label that it does not name is unknown.

        Args:
            condition: Label -> a value for all, or one for each of `count`.

        Raises:
            LatentsError: A label is unknown, a value is not allowed, or there are more or fewer than `count`.
        """
        return self.changed(np.zeros((count, self.size), np.float32), condition)

    def changed(self, codes: np.ndarray, condition: Mapping[str, Value | Sequence[Value]]) -> np.ndarray:
        """The codes [n, size] with other values of the labels that a condition names; errors as in `encode`."""
        codes = codes.copy()
        for name, given in condition.items():
            label = self.label(name)
            values = [given] * len(codes) if given is None or isinstance(given, str | int | float) else list(given)
            if len(values) != len(codes):
                raise LatentsError(f"condition: {name}: has {len(values)} values for {len(codes)} latents")
            numbers = np.array([label.number_of(value) for value in values], np.float64)
            codes[:, self._place(label)] = label.encode(numbers)
        return codes

    def draw(self, count: int, *, seed: int, start: int = 0, fixed: Mapping[str, Value] | None = None) -> np.ndarray:
        """The codes of samples `start` … `start + count - 1`, drawn from the rows; sample k depends on seed and k only.

        Args:
            fixed: Values that all samples get. The others come from rows with these classes and binary values, or
                from any row if there is none.

        Returns:
            [count, size] float32.
        """
        weights = self._weights(fixed or {})
        ends = np.cumsum(weights)
        places = np.searchsorted(ends, uniforms(count, 1, seed=seed, start=start)[:, 0] * ends[-1], side="right")
        return self.changed(self._codes[places], fixed or {})

    def shown_values(self) -> tuple[str, list[Value]] | None:
        """The first label with classes or binary values that has few enough to show, and these; None if none has.

        Of classes only those are shown that training images have.
        """
        for at, label in enumerate(self.labels):
            numbers = np.unique(self.rows[~np.isnan(self.rows[:, at]), at])
            if label.kind != "number" and len(numbers) <= MOST_SHOWN:
                return label.name, [label.text_of(number) if label.classes else number for number in numbers.tolist()]
        return None

    def captions(self, codes: np.ndarray) -> list[str]:
        """The conditions of codes [n, size] in words, such as `female 1, age 30`."""
        return [
            ", ".join(f"{label.name} {label.text_of(number)}" for label, number in zip(self.labels, row, strict=True))
            for row in self.decode(codes)
        ]

    def document(self) -> dict[str, Any]:
        """As JSON, which `read` reads back; unknown values are null."""
        columns = [[None if np.isnan(value) else value for value in column] for column in self.rows.T.tolist()]
        return {
            "labels": [label.document() for label in self.labels],
            "rows": dict(zip(self.names, columns, strict=True)),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From JSON.

        Raises:
            ValueError: It is damaged.
        """
        try:
            labels = tuple(map(Label.read, document["labels"]))
            columns = [document["rows"][label.name] for label in labels]
            rows = np.array([[np.nan if each is None else each for each in column] for column in columns], np.float64).T
            condition = cls(labels, rows, np.array(document["counts"], np.int64))
            is_sound = len(rows) == len(condition.counts) > 0 and bool((condition.counts > 0).all())
            is_sound = is_sound and bool(np.isfinite(condition._codes).all())
        except (KeyError, TypeError, AttributeError, IndexError) as fault:
            raise ValueError(f"the condition is damaged ({fault!r})") from None
        if not is_sound:
            raise ValueError("the condition is damaged")
        return condition

    def summary(self) -> dict[str, Any]:
        """What a training remembers, to notice other labels when it resumes: the labels, and sha256 of the rows."""
        document = self.document()
        rows = json.dumps([document["rows"], document["counts"]]).encode()
        return {"labels": document["labels"], "rows_sha256": hashlib.sha256(rows).hexdigest()}

    def scaled_like(self, labels: Sequence[Label]) -> "Condition":
        """The same rows with the labels of another training, if they differ at most in the range of numbers.

        Raises:
            ValueError: They differ in more; the text says in which label.
        """
        for ours, theirs in zip(self.labels, labels, strict=False):
            if (ours.name, ours.kind, ours.classes) != (theirs.name, theirs.kind, theirs.classes):
                raise ValueError(f"{ours.name}: is {ours.allowed} here and {theirs.name}: {theirs.allowed} there")
        if len(self.labels) != len(labels):
            theirs = ", ".join(label.name for label in labels)
            raise ValueError(f"has the labels {', '.join(self.names)} here and {theirs} there")
        return dataclasses.replace(self, labels=tuple(labels))

    @cached_property
    def _codes(self) -> np.ndarray:
        return self.encode_rows(self.rows)

    def _place(self, label: Label) -> slice:
        start = sum(each.size for each in self.labels[: self.labels.index(label)])
        return slice(start, start + label.size)

    def _weights(self, fixed: Mapping[str, Value]) -> np.ndarray:
        """[m] the counts of the rows that have the fixed classes and binary values; all counts if no row has them."""
        matching = np.ones(len(self.rows), bool)
        for at, label in enumerate(self.labels):
            if label.kind != "number" and fixed.get(label.name) is not None:
                matching &= self.rows[:, at] == label.number_of(fixed[label.name])
        return np.where(matching, self.counts, 0) if matching.any() else self.counts


def condition_seed(seed: int) -> int:
    """The seed by which samples of a seed draw their conditions."""
    return derive_seed(seed, "condition")
