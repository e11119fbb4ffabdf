"""Chooses the expression to run, and explains what the requested one still needs."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.attributes.expression import SignedGroup, parse_expression
from framework.latents.attributes.groups import Group, Labels, UnknownGroupError, known_names, resolve_group

Note = dict[str, str]
"""{"text": …} or {"text": …, "command": …}, the form that the report reads."""


@dataclass(frozen=True)
class ArithmeticPlan:
    """The expression to run.

    Attributes:
        terms: Empty if neither the requested expression nor the fallback can be run.
        groups: The resolved group of each name in the expression.
        notes: Why the requested expression was not run, with the command that completes it; empty if it was.
    """

    terms: list[SignedGroup]
    groups: Mapping[str, Group]
    notes: list[Note]


def plan_of(
    config: LatentsConfig,
    labels: Labels,
    *,
    target: str = "RUN",
    fallback: bool = True,
    photographs: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> ArithmeticPlan:
    """Chooses the expression, or `latents.arithmetic.fallback_expression` if a group of the first is unknown.

    Args:
        labels: The attributes that the assessor knows.
        target: The run or checkpoint, as it is written in the command of the note.
        photographs: Name -> latent [z]; each photograph is a group with one member.
        fallback: If False, an unknown group is an error instead of a reason for the fallback.

    Raises:
        LatentsError: An expression cannot be parsed, a group is misconfigured, or a group is unknown and `fallback` is
            False.
    """
    known = [*photographs, *known_names(config, labels)]
    terms = parse_expression(config.arithmetic.expression, known=known)
    groups, faults = _resolved(terms, config, labels, photographs)
    if not faults:
        return ArithmeticPlan(terms, groups, [])
    if not fallback:
        raise LatentsError("; ".join(faults.values()))
    substitute = parse_expression(
        config.arithmetic.fallback_expression, known=known, where="latents.arithmetic.fallback_expression"
    )
    groups, unknown = _resolved(substitute, config, labels, photographs)
    done = (
        "only the numbered sheet was made" if unknown else f"{config.arithmetic.fallback_expression!r} was run instead"
    )
    note = {"text": _what_is_missing(config, faults, known, done), "command": _command(config, faults, target)}
    return ArithmeticPlan([], {}, [note]) if unknown else ArithmeticPlan(substitute, groups, [note])


def _resolved(
    terms: list[SignedGroup], config: LatentsConfig, labels: Labels, photographs: Mapping[str, np.ndarray]
) -> tuple[dict[str, Group], dict[str, str]]:
    """Name -> group, and name -> error message for the unknown ones."""
    groups: dict[str, Group] = {}
    faults: dict[str, str] = {}
    for name in dict.fromkeys(term.group for term in terms):
        if name in photographs:
            groups[name] = Group(name, None, None, photographs[name])
            continue
        try:
            groups[name] = resolve_group(name, config, labels)
        except UnknownGroupError as fault:
            faults[name] = str(fault)
    return groups, faults


def _what_is_missing(config: LatentsConfig, missing: Iterable[str], known: list[str], done: str) -> str:
    return (
        f"{config.arithmetic.expression!r} was not run: there are neither enough labels nor chosen numbers for "
        f"{', '.join(missing)} (known: {', '.join(known) or 'nothing, because there is no assessor'}); {done}. "
        "To run it, choose samples of each group on sheet.png, replace the dots in the command by their numbers, "
        "such as [16, 37, 83], and run the command; or set data.labels"
    )


def _command(config: LatentsConfig, missing: Iterable[str], target: str) -> str:
    parts = {name: _as_yaml(group) for name, group in config.groups.items()} | dict.fromkeys(missing, "[…]")
    override = f"latents.groups={{{', '.join(f'{_yaml_key(name)}: {part}' for name, part in parts.items())}}}"
    return f"python -m jobs.arithmetic {target} {shlex.quote(override)}"


def _yaml_key(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else json.dumps(name, ensure_ascii=False)


def _as_yaml(group: list[int] | dict[str, str]) -> str:
    if isinstance(group, list):
        return str(group)
    return "{" + ", ".join(f"{key}: {value}" for key, value in group.items()) + "}"
