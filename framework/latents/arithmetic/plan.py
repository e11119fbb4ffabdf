"""Which expression can be run with what is known, and how to get to the one that was asked for."""

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
"""{"text": …} or {"text": …, "command": …}, as the report takes them."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        terms: The expression; none where neither it nor the one in its place can be run.
        groups: What its names mean.
        notes: Why it is not the one that was asked for, and the command to finish that.
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
) -> Plan:
    """The first of `latents.expression` and `latents.fallback_expression` whose groups are all known.

    Args:
        config: The section `latents`.
        labels: What the assessor knows.
        target: The run or checkpoint as the command names it in a shell.
        photographs: Name -> latent [z], each a group of its own.
        fallback: False raises where the expression's own groups are unknown.

    Raises:
        LatentsError: An expression is none, or a group is said wrongly; also where one is unknown and `fallback` is
            False.
    """
    known = [*photographs, *known_names(config, labels)]
    terms = parse_expression(config.arithmetic.expression, known=known)
    groups, faults = _resolved(terms, config, labels, photographs)
    if not faults:
        return Plan(terms, groups, [])
    if not fallback:
        raise LatentsError("; ".join(faults.values()))
    instead = parse_expression(config.arithmetic.fallback_expression, known=known, where="latents.fallback_expression")
    groups, still = _resolved(instead, config, labels, photographs)
    done = "only the numbered sheet was made" if still else f"{config.arithmetic.fallback_expression!r} was run instead"
    note = {"text": _what_is_missing(config, faults, known, done), "command": _command(config, faults, target)}
    return Plan([], {}, [note]) if still else Plan(instead, groups, [note])


def _resolved(
    terms: list[SignedGroup], config: LatentsConfig, labels: Labels, photographs: Mapping[str, np.ndarray]
) -> tuple[dict[str, Group], dict[str, str]]:
    """The groups by name, and what is wrong with those that are unknown."""
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
        f"{config.arithmetic.expression!r} was not run: for {', '.join(missing)} there are neither enough labels nor "
        f"chosen numbers (known: {', '.join(known) or 'nothing, for there is no assessor'}); {done}. "
        "To finish it, look at sheet.png, put the numbers of samples that show each, such as [16, 37, 83], "
        "in place of the dots, and run the command; or give the data labels by data.labels"
    )


def _command(config: LatentsConfig, missing: Iterable[str], target: str) -> str:
    parts = {name: _as_yaml(group) for name, group in config.groups.items()} | dict.fromkeys(missing, "[…]")
    override = f"latents.groups={{{', '.join(f'{name}: {part}' for name, part in parts.items())}}}"
    return f"python -m jobs.arithmetic {target} {shlex.quote(override)}"


def _as_yaml(group: list[int] | dict[str, str]) -> str:
    if isinstance(group, list):
        return str(group)
    return "{" + ", ".join(f"{key}: {value}" for key, value in group.items()) + "}"
