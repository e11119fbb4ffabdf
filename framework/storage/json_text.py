"""Reads JSON: every JSON file that the project reads goes through `parse_json` or `parse_json_lines`."""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from framework.errors import StorageError

MOST_LEVELS = 64  # our own documents have fewer than ten
LARGEST_INTEGER = 2**64


def parse_json(text: str | bytes, *, place: str) -> Any:
    """The value of a JSON text, which can be written as JSON again.

    Args:
        text: UTF-8, if it is bytes.
        place: The file, for the message.

    Raises:
        StorageError: The text is not JSON, or it has NaN, a number beyond the range of 64 bits, text that is not
            Unicode, or more than 64 levels.
    """
    value: Any = None
    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = _DECODER.decode(text)
        fault = _fault(value)
        if fault is None and "\\u" in text:  # only an escape can give half a character
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        fault = _TOO_DEEP
    except UnicodeEncodeError:
        fault = "has a text with half of a surrogate pair, which is not Unicode"
    except ValueError as refused:  # includes UnicodeDecodeError, and numbers of more than 4,300 digits
        fault = f"is not JSON ({refused})"
    if fault is not None:
        raise StorageError(f"{place}: {fault}")
    return value


def parse_json_lines(text: str, *, place: str) -> Iterator[tuple[int, Any]]:
    """The number of each line, from 1, and its value. An incomplete line, which a killed process left, is skipped.

    Raises:
        StorageError: A line is JSON that `parse_json` refuses.
    """
    escaped = "\\u" in text
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            value = _DECODER.decode(line)
        except _ConstantError as fault:
            raise StorageError(f"{place}, line {number}: is not JSON ({fault})") from None
        except ValueError:
            continue
        except RecursionError:
            raise StorageError(f"{place}, line {number}: {_TOO_DEEP}") from None
        # A row of a training needs no second look, and a long run has many thousand.
        if escaped or line.count("[") + line.count("{") > MOST_LEVELS:
            value = parse_json(line, place=f"{place}, line {number}")
        yield number, value


class _ConstantError(ValueError):
    """JSON has no such constant, though Python reads and writes it."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(f"{name} is not a number in JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_TOO_DEEP = f"is nested more than {MOST_LEVELS} levels deep"


def _fault(value: Any) -> str | None:
    """Why a parsed value cannot be used; None if it can. It is searched level by level, without recursion."""
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for member in level:
            kind = type(member)
            if kind is dict:
                below += member.values()
            elif kind is list:
                below += member
            elif kind is float and not math.isfinite(member):
                return "has a number that is too large"
            elif kind is int and not -LARGEST_INTEGER <= member <= LARGEST_INTEGER:
                return "has a whole number that is too large"
        if not below:
            return None
        level = below
    return _TOO_DEEP
