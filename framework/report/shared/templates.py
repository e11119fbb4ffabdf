"""The templates, styles and scripts of both pages; each is in the folder of the content that it shows."""

import functools
import json
from pathlib import Path

import jinja2
from markupsafe import Markup

from framework.latents.directions.direction import name_of
from framework.report.text import format as words

_FOLDERS = [Path(__file__).parents[1] / folder for folder in ("shared", "charts", "run_page", "compare_page")]


@functools.cache
def environment() -> jinja2.Environment:
    """The Jinja environment with the filters of the templates; cached, so each template is compiled once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDERS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "number": words.number,
        "score": words.score,
        "share": words.share,
        "signed": words.signed,
        "plain": words.plain,
        "setting": words.setting,
        "moment": words.moment,
        "model_name": words.model_name,
        "metric_name": words.metric_name,
        "direction_name": name_of,
        "tojson_plain": json.dumps,
    }
    return environment


def files_of(names: tuple[str, ...]) -> Markup:
    """The content of style or script files. It is not escaped, because these files are part of the package."""
    return Markup("\n".join(_place(name).read_text(encoding="utf-8") for name in names))  # noqa: S704


def _place(name: str) -> Path:
    return next(folder / name for folder in _FOLDERS if (folder / name).exists())
