"""The schema in words: what a job's --help shows, and what a key is when nobody says otherwise."""

from typing import Any

from pydantic import BaseModel

from framework.config.schema import Experiment


def default_of(dotted: str) -> Any:
    """A key's default; None for a key that the schema does not know.

    >>> default_of("optimizer.beta1"), default_of("optimizer.beta9")
    (0.5, None)
    """
    section: type[BaseModel] = Experiment
    *path, name = dotted.split(".")
    for step in path:
        field = section.model_fields.get(step)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        section = field.annotation
    field = section.model_fields.get(name)
    return field.get_default(call_default_factory=True) if field else None
