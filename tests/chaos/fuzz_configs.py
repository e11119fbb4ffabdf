"""Damages configs and overrides; each is read and checked, and only our own errors may come.

python tests/chaos/fuzz_configs.py [--cases 2000] [--seed 1]      ends with 1 if any other exception came
"""

import argparse
import contextlib
import io
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.config import Experiment, experiment_from_text, known_keys, to_yaml, with_overrides
from framework.errors import LatentscapeError
from framework.search.space import check_space, settings
from jobs import train
from jobs.cli.arguments import parse
from jobs.cli.console import Console

CONFIGS = Path(__file__).parents[2] / "configs"
SLOWEST_SECONDS = 30.0
VALUES = (
    *("null", "true", "0", "-1", "1.5", "1e400", ".nan", ".inf", "-.inf", "1" + "0" * 30, "9" * 5_000),
    *("0x" + "f" * 5_000, "0b" + "1" * 5_000, "1_000", "1:30", "2024-01-31", "!!binary aGVsbG8=", "!!python/name:os"),
    *("[]", "{}", "[1, [2, [3]]]", "{a: {b: {c: 1}}}", "[" * 3_000, "{" * 3_000, "- " * 3_000, "&a [*a]", "*a"),
    *("{<<: {width: 8}}", '"\\ud800"', '"\\0"', "'", '"', "%", "@x", "`", "|", ">", "? x", "x" * 50_000, "²", "\t"),
    *("entry:os:system", "a.b:c", "../../x", "~nosuchuser/x", "s3://[bad", "loguniform: [1, 0]", "\x1b]0;x\x07"),
    *("{loguniform: [0, .inf]}", "{grid: [1, 2]}", "{randint: [0, 1" + "0" * 400 + "]}", "{choice: [[1], {}]}"),
)


def failures(*, cases: int, seed: int) -> Iterator[str]:
    """Runs the cases, and yields one text for each that ended otherwise than well or with an error of ours."""
    draw = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.yaml"))] + [to_yaml(Experiment())]
    for number in range(cases):
        way = draw.choice((_damaged_text, _damaged_text, _nested, _overrides, _words))
        case = way(draw, draw.choice(texts))
        began = time.perf_counter()
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                _read(case)
            fault = ""
        except LatentscapeError as refused:
            fault = "the message has no words" if not str(refused).strip() else ""
        except BaseException:
            fault = traceback.format_exc()
        seconds = time.perf_counter() - began
        fault = fault or (f"took {seconds:.0f} s" if seconds > SLOWEST_SECONDS else "")
        if fault:
            yield f"case {number} of seed {seed}: {way.__name__}, {str(case)[:300]!r}\n{fault}"


def _read(case: str | list[str] | dict[str, Any]) -> None:
    """Reads a text, words of a command line, or overrides; what is read must be written and read again the same."""
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


def main() -> int:
    """Draws the cases and prints what failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began, counted = time.monotonic(), Counter()
    for fault in failures(cases=arguments.cases, seed=arguments.seed):
        counted[fault.strip().splitlines()[-1]] += 1
        print(fault, flush=True)
    seconds = time.monotonic() - began
    print(f"{arguments.cases} cases of seed {arguments.seed}: {counted.total()} failures, {seconds:.0f} s")
    return 1 if counted else 0


if __name__ == "__main__":
    sys.exit(main())
