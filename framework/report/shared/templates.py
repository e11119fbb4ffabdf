"""The templates, styles and scripts of both pages: each lies in the room of what it shows."""

import functools
import json
from pathlib import Path

import jinja2
from markupsafe import Markup

from framework.report.text import format as words

_ROOMS = [Path(__file__).parents[1] / room for room in ("shared", "charts", "run_page", "compare_page")]


@functools.cache
def environment() -> jinja2.Environment:
    """Where templates are read from, with the words they use; each is compiled once a process."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOMS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    made.filters |= {
        "number": words.number,
        "score": words.score,
        "share": words.share,
        "signed": words.signed,
        "plain": words.plain,
        "setting": words.setting,
        "moment": words.moment,
        "model_name": words.model_name,
        "tojson_plain": json.dumps,
    }
    return made


def files_of(names: tuple[str, ...]) -> Markup:
    """Markup: these are files of ours, not anybody's text."""
    return Markup("\n".join(_place(name).read_text(encoding="utf-8") for name in names))  # noqa: S704


def _place(name: str) -> Path:
    return next(room / name for room in _ROOMS if (room / name).exists())
