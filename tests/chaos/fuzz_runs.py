"""Damages the documents of a run, one at a time, and reads the run with each job; only our own errors may come.

python tests/chaos/fuzz_runs.py [--cases 2000] [--seed 1]      ends with 1 if any other exception came

A case is a file of the run, a damage and a job, drawn from the seed. The job's body runs in this process.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from framework.errors import LatentscapeError
from jobs import compare, evaluate, export, report, status
from jobs.cli.console import Console
from jobs.cli.job import parse

JOBS: dict[str, Callable[[Path, Path], tuple[Any, list[str]]]] = {
    "status": lambda run, out: (status, [str(run), "--json"]),
    "status table": lambda run, out: (status, [str(run)]),
    "report": lambda run, out: (report, [str(run)]),
    "compare": lambda run, out: (compare, [str(run), str(run), f"output={out / 'page.html'}", "--json"]),
    "evaluate": lambda run, out: (evaluate, [str(run), "--dry-run", "--json"]),
    "export": lambda run, out: (export, [str(run), str(out / "export"), "--dry-run", "--json"]),
}
SLOWEST_SECONDS = 60.0
# Values of another type or size than any key expects.
WRONG = (
    *(None, True, 0, -1, 1.5, 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "text", "\ud800", "\x1b]0;x\x07"),
    *([], {}, [1], {"a": 1}, ["trials"], [None, None], "x" * 100_000, "../../up", "trials/x/checkpoints/y", "²"),
)


def failures(run: Path, *, cases: int, seed: int) -> Iterator[str]:
    """Runs the cases, and yields one text for each that ended otherwise than well or with an error of ours.

    Args:
        run: A sound run, which stays as it is.
        cases: How many.
        seed: Decides all of them.
    """
    draw = random.Random(seed)
    kinds: dict[str, list[Path]] = {}  # the name of a file, or its ending if there are many -> the files
    for path in sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file() and path.suffix in DAMAGES):
        kinds.setdefault(path.name if path.suffix in DOCUMENTS else path.suffix, []).append(path)
    with tempfile.TemporaryDirectory() as place:
        sound = Path(place) / "sound"  # the copies are links to it, so it is on the same disk
        shutil.copytree(run, sound)
        for number in range(cases):
            file, name = draw.choice(kinds[draw.choice(sorted(kinds))]), draw.choice(list(JOBS))
            damage = draw.choice(DAMAGES[file.suffix])
            state = draw.getrandbits(64)
            fault = outcome(sound, Path(place), file, damage, name, random.Random(state))
            if fault:
                yield f"case {number} of seed {seed}: {file}, {damage.__name__}, jobs.{name}\n{fault}"


def outcome(run: Path, place: Path, file: Path, damage: Callable[..., None], name: str, draw: random.Random) -> str:
    """The traceback of a case; empty if the job ended well or with an error of ours."""
    copied, out = place / "run", place / "out"
    for folder in (copied, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, copied, copy_function=os.link)
    out.mkdir()
    target = copied / file
    data = target.read_bytes()
    target.unlink()  # it is linked to the sound file
    damage(target, data, draw)
    return _run(name, copied, out)


def _run(name: str, run: Path, out: Path) -> str:
    module, argv = JOBS[name](run, out)
    began = time.perf_counter()
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            document = module.body(parse(module.JOB, argv, Console()))
        json.dumps(document, allow_nan=False).encode()
    except LatentscapeError as fault:
        return f"the message has no words: {fault!r}" if not str(fault).strip() else ""
    except OSError as fault:  # run_job tells these in one line too
        return "" if fault.filename else traceback.format_exc()
    except BaseException:
        return traceback.format_exc()
    seconds = time.perf_counter() - began
    return f"took {seconds:.0f} s" if seconds > SLOWEST_SECONDS else ""


def truncated(target: Path, data: bytes, draw: random.Random) -> None:
    """The file of a writer that was cut off."""
    target.write_bytes(data[: draw.randrange(len(data) + 1)])


def flipped(target: Path, data: bytes, draw: random.Random) -> None:
    """Some bits of it are other ones."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 3, 20))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    target.write_bytes(changed)


def missing(target: Path, data: bytes, draw: random.Random) -> None:
    """It is not there."""


def a_folder(target: Path, data: bytes, draw: random.Random) -> None:
    """There is a folder in its place."""
    target.mkdir()


def a_loop(target: Path, data: bytes, draw: random.Random) -> None:
    """There is a link to itself in its place."""
    target.symlink_to(target.name)


def garbage(target: Path, data: bytes, draw: random.Random) -> None:
    """Something else stands in it."""
    texts = (b"", b"\xef\xbb\xbf" + data, data.decode(errors="replace").encode("utf-16"), b"\x00" * 50, b"null", b"[]")
    texts += (b"3", b'"x"', b"NaN", b"[" * 100_000, b'{"a":' * 100_000, b"{}", draw.randbytes(200), b"\n" * 10)
    target.write_bytes(draw.choice(texts))


def retyped(target: Path, data: bytes, draw: random.Random) -> None:
    """A value of its JSON is of another type."""
    _edit(target, data, draw, lambda holder, key: holder.__setitem__(key, copy.deepcopy(draw.choice(WRONG))))


def without_a_key(target: Path, data: bytes, draw: random.Random) -> None:
    """A key, or a member of a list, is missing."""
    _edit(target, data, draw, lambda holder, key: holder.__delitem__(key))


def deep(target: Path, data: bytes, draw: random.Random) -> None:
    """A value is nested in many lists or objects."""
    levels, opened = draw.choice((70, 300, 900)), draw.choice((("[", "]"), ('{"a":', "}")))
    mark = "7395021846"
    _edit(target, data, draw, lambda holder, key: holder.__setitem__(key, int(mark)))
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace(mark, opened[0] * levels + "1" + opened[1] * levels), encoding="utf-8")


def another_cell(target: Path, data: bytes, draw: random.Random) -> None:
    """A cell of its table is another one, or one too many."""
    lines = [line.split(",") for line in data.decode().splitlines()]
    line = draw.choice(lines)
    choice = draw.choice(("", "nan", "inf", "-1", "9" * 5_000, "x" * 200_000, "²", "text", "a,b", '"', "1e400"))
    line[draw.randrange(len(line))] = choice
    target.write_text("\n".join(map(",".join, lines)), encoding="utf-8")


def another_setting(target: Path, data: bytes, draw: random.Random) -> None:
    """A line of its YAML has another value."""
    lines = data.decode().splitlines()
    number = draw.randrange(len(lines))
    words = ("null", "-1", "[]", "{}", "1e400", ".nan", "9" * 5_000, "0x" + "f" * 5_000, "&a [*a]", "[" * 5_000, "x")
    lines[number] = f"{lines[number].partition(':')[0]}: {draw.choice(words)}"
    target.write_text("\n".join(lines), encoding="utf-8")


DOCUMENTS = (".json", ".jsonl", ".csv", ".yaml")
_ANY = [truncated, flipped, missing, a_folder, a_loop, garbage]
_JSON = [*_ANY, *[retyped] * 8, *[without_a_key] * 4, deep, deep]
DAMAGES = {
    ".json": _JSON,
    ".jsonl": _JSON,
    ".csv": [*_ANY, *[another_cell] * 6],
    ".yaml": [*_ANY, *[another_setting] * 3],
    ".safetensors": _ANY,
    ".png": _ANY,
    ".mp4": _ANY,
    ".gif": _ANY,
}


def _edit(target: Path, data: bytes, draw: random.Random, change: Callable[[Any, Any], None]) -> None:
    """Changes one place of a JSON document, or of one line of JSON."""
    lines = data.decode().splitlines() if target.suffix == ".jsonl" else [data.decode()]
    number = draw.randrange(len(lines))
    document = [json.loads(lines[number])]
    # Shallow places are drawn as often as deep ones, which are far more.
    places = list(_places(document))
    depth = draw.choice(sorted({level for level, _, _ in places}))
    _, holder, key = draw.choice([place for place in places if place[0] == depth])
    change(holder, key)
    lines[number] = "".join(json.dumps(member) for member in document)
    target.write_text("\n".join(lines), encoding="utf-8")


def _places(value: Any, level: int = 0) -> Iterator[tuple[int, Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield level, value, key
        yield from _places(value[key], level + 1)


def main() -> int:
    """Draws a run, damages it, and prints what failed."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
    from make_run import make_run

    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=Path, help="a sound run to damage; without it one is drawn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = arguments.run or make_run(Path(place), trials=6, searched=2, lineage=True, directions=2)
        for name in JOBS:
            if fault := _run(name, run, Path(place)):
                print(f"the sound run, jobs.{name}\n{fault}")
        began, counted = time.monotonic(), Counter()
        for fault in failures(run, cases=arguments.cases, seed=arguments.seed):
            counted[fault.strip().splitlines()[-1]] += 1
            print(fault, flush=True)
        seconds = time.monotonic() - began
        print(f"{arguments.cases} cases of seed {arguments.seed}: {counted.total()} failures, {seconds:.0f} s")
    return 1 if counted else 0


if __name__ == "__main__":
    sys.exit(main())
