"""The gate through which all code of the user runs: what may name code, and what of it may run.

Run folders and settings can come from anybody, so naming code does not run it. A job starts with the gate shut, and
allows the code that its user has named (`jobs.cli.context.allow_code`); the processes that it starts inherit that. In a
script of the user the gate is open, because only the script itself can name code there.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from framework.config.schema import ExperimentKeys
from framework.errors import ConfigError

ENTRY = "entry:"  # a location that begins so names code: `entry:package.module:function`
FEATURES = "evaluation.features"
FUNCTION = re.compile(r"\w+(\.\w+)*:\w+")  # `package.module:function`
ALLOWED = "LATENTSCAPE_CODE"  # the environment variable with the allowed `package.module:function`; unset: any


def entry_of(location: str | Path) -> str | None:
    """The `package.module:function` that a location names; None if it is a path or URI.

    >>> entry_of("entry:mine.faces:generator"), entry_of("runs/faces")
    ('mine.faces:generator', None)
    """
    return str(location).removeprefix(ENTRY) if str(location).startswith(ENTRY) else None


def function_of_features(features: str) -> str | None:
    """The `package.module:function` that a value of `evaluation.features` names; None if it is anything else.

    >>> function_of_features("mine.nets:embed"), function_of_features("efficientnet")
    ('mine.nets:embed', None)
    """
    return features if FUNCTION.fullmatch(features) else None


def named_code(experiment: ExperimentKeys) -> dict[str, str]:
    """Dotted key -> `package.module:function`, of every key that names code."""
    keys = {
        "model.entry": experiment.model.entry,
        "latents.directions.score": experiment.latents.directions.score,
        FEATURES: function_of_features(experiment.evaluation.features),
    }
    return {key: entry for key, entry in keys.items() if entry is not None}


@contextlib.contextmanager
def gate_shut() -> Iterator[None]:
    """In this block only code that is allowed in it runs."""
    before = os.environ.get(ALLOWED)
    os.environ[ALLOWED] = ""
    try:
        yield
    finally:
        os.environ.pop(ALLOWED)
        if before is not None:
            os.environ[ALLOWED] = before


def allow(entries: Iterable[str]) -> None:
    """Lets these run in this process, and in those that it starts from now on."""
    os.environ[ALLOWED] = " ".join([*os.environ.get(ALLOWED, "").split(), *entries])


def refuse_unless_allowed(entry: str, *, key: str) -> None:
    """Call this before importing the module of an entry.

    Raises:
        ConfigError: The user has not named this code.
    """
    allowed = os.environ.get(ALLOWED)
    if allowed is not None and entry not in allowed.split():
        raise ConfigError(code_fault(key, entry))


def code_fault(key: str, entry: str) -> str:
    """The line that refuses code which the user has not named."""
    return f"{key}: {entry} is Python code that the command does not name; to allow running it, add {key}={entry}"
