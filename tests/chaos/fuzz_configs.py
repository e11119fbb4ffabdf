"""Damaged configs, overrides of other programs, and words of a command line."""

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np

from framework.config import Experiment, experiment_from_text, known_keys, to_yaml, with_overrides
from framework.search.space import check_space, settings
from jobs import train
from jobs.cli.arguments import parse
from jobs.cli.console import Console
from tests.chaos.conftest import HERE
from tests.chaos.fuzzing import Fuzzer

CONFIGS = HERE.parents[1] / "configs"
VALUES = (
    *("null", "true", "0", "-1", "1.5", "1e400", ".nan", ".inf", "-.inf", "1" + "0" * 30, "9" * 5_000),
    *("0x" + "f" * 5_000, "0b" + "1" * 5_000, "1_000", "1:30", "2024-01-31", "!!binary aGVsbG8=", "!!python/name:os"),
    *("[]", "{}", "[1, [2, [3]]]", "{a: {b: {c: 1}}}", "[" * 3_000, "{" * 3_000, "- " * 3_000, "&a [*a]", "*a"),
    *("{<<: {width: 8}}", '"\\ud800"', '"\\0"', "'", '"', "%", "@x", "`", "|", ">", "? x", "x" * 50_000, "²", "\t"),
    *("entry:os:system", "a.b:c", "../../x", "~nosuchuser/x", "s3://[bad", "loguniform: [1, 0]", "\x1b]0;x\x07"),
    *("{loguniform: [0, .inf]}", "{grid: [1, 2]}", "{randint: [0, 1" + "0" * 400 + "]}", "{choice: [[1], {}]}"),
)


def make(folder: Path) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in CONFIGS.glob("*.yaml")}
    for name, text in {**texts, "defaults": to_yaml(Experiment())}.items():
        (folder / name).write_bytes(pickle.dumps(text))


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    """Writes a text, words or overrides as a pickle, since they may have values of any type."""
    draw = random.Random(rng.bytes(8))
    way = draw.choice((_damaged_text, _damaged_text, _nested, _overrides, _words))
    case = way(draw, pickle.loads(source.read_bytes()))
    target.write_bytes(pickle.dumps(case))
    return f"{source.name}, {way.__name__[1:]}"


def read(path: Path) -> None:
    """As a job does; what is read must be written and read again the same."""
    case = pickle.loads(path.read_bytes())
    if isinstance(case, str):
        experiment = experiment_from_text(case, source="c.yaml")
    elif isinstance(case, list):
        experiment = with_overrides(Experiment(), parse(train.JOB, ["c.yaml", *case], Console()).overrides)
    else:
        experiment = with_overrides(Experiment(), case)
    text = to_yaml(experiment)
    text.encode()
    assert experiment_from_text(text, source="again") == experiment, "to_yaml is read as another experiment"
    experiment.digest("data")
    check_space(experiment)
    settings(experiment)


def _damaged_text(draw: random.Random, text: str) -> str:
    """A config whose text is cut, changed letter by letter, or has lines of others."""
    lines = text.splitlines()
    for _ in range(draw.choice((1, 1, 2, 5))):
        number, value = draw.randrange(len(lines)), draw.choice(VALUES)
        change = draw.randrange(6)
        if change == 0:
            lines[number] = f"{lines[number].partition(':')[0]}: {value}"
        elif change == 1:
            lines[number] = lines[number][: draw.randrange(len(lines[number]) + 1)]
        elif change == 2:
            lines.insert(number, draw.choice((value, "  " + value, f"{value}: {value}")))
        elif change == 3:
            lines[number] = " " * draw.randrange(5) + lines[number].strip()
        elif change == 4:
            at = draw.randrange(len(lines[number]) + 1)
            lines[number] = (
                lines[number][:at] + draw.choice("{}[],:&*#?|-<>=!%@`\"'\0\ufeff\u2028ä") + lines[number][at:]
            )
        else:
            del lines[number]
            lines = lines or [""]
    return "\n".join(lines)


def _nested(draw: random.Random, text: str) -> str:
    """Keys with values of other types, some below other keys."""
    chosen = draw.sample(sorted(known_keys()), k=draw.choice((1, 2, 4)))
    lines = []
    for key in chosen:
        section, _, name = key.rpartition(".")
        name = name[:-1] if draw.random() < 0.1 else name
        inner = f"{{{name}: {draw.choice(VALUES)}}}"
        for step in reversed(section.split(".") if section else []):
            inner = f"{{{step}: {inner}}}"
        lines.append(inner[1:-1])
    return "\n".join(lines)


def _overrides(draw: random.Random, text: str) -> dict[str, Any]:
    """Overrides as Python values, as a search or another program passes them."""
    values = (None, True, -1, 2**64, 10**400, 1e308, float("nan"), "x", "\ud800", [], {}, [[]], {"a": []}, (1,), b"x")
    keys = [
        *known_keys(),
        "model",
        "latents",
        "latents.side",
        "latents.directions",
        "a" * 10_000,
        "",
        ".",
        "model.",
        "x.y",
    ]
    return {draw.choice(keys): draw.choice(values) for _ in range(draw.choice((1, 2, 3)))}


def _words(draw: random.Random, text: str) -> list[str]:
    """Words of a command line."""
    keys = [*known_keys(), "latents.side", "a" * 10_000, "model", "search.space.seed", "search.space.x", "a..b", "_"]
    return [f"{draw.choice(keys)}={draw.choice(VALUES)}" for _ in range(draw.choice((1, 2, 3)))]


FUZZER = Fuzzer("config", make, damage, read, share=1.0)
