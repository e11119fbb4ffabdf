"""The base class of the configuration's sections, and the declaration of a key."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of keys that refuses unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def changed(self) -> dict[str, Any]:
        """Key -> value of each key that changes what is learned and is not at its default."""
        values = {}
        for name, field in type(self).model_fields.items():
            extra, value = field.json_schema_extra, getattr(self, name)
            if isinstance(extra, dict) and extra["learned"] and value != field.default:
                values[name] = value
        return values


def key(default: Any, text: str, *, unit: str = "", learned: bool = True, **bounds: Any) -> Any:
    """A field with its line of help, its unit, and whether it changes what is learned, and with it the digest."""
    return Field(default, description=text, json_schema_extra={"unit": unit, "learned": learned}, **bounds)
