"""Damaged documents of a run, each read by one of the jobs."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import LatentscapeError
from jobs import compare, evaluate, export, report, status
from jobs.cli.console import Console
from jobs.cli.job import parse
from tests.chaos.damage import another_text, damaged_bytes, damaged_json, placed_strangely
from tests.chaos.fuzzing import Fuzzer
from tests.report.make_run import make_run

JOBS: dict[str, Callable[[str, Path], tuple[Any, list[str]]]] = {
    "status": lambda run, out: (status, [run, "--json"]),
    "status table": lambda run, out: (status, [run]),
    "report": lambda run, out: (report, [run]),
    "compare": lambda run, out: (compare, [run, run, f"output={out / 'page.html'}", "--json"]),
    "evaluate": lambda run, out: (evaluate, [run, "--dry-run", "--json"]),
    "export": lambda run, out: (export, [run, str(out / "export"), "--dry-run", "--json"]),
}
_DOCUMENTS = (".json", ".jsonl", ".csv", ".yaml")
_KINDS = (*_DOCUMENTS, ".safetensors", ".png", ".mp4", ".gif")
_CELLS = ("", "nan", "inf", "-1", "9" * 5_000, "x" * 200_000, "²", "text", "a,b", '"', "1e400")
_SETTINGS = ("null", "-1", "[]", "{}", "1e400", ".nan", "9" * 5_000, "0x" + "f" * 5_000, "&a [*a]", "[" * 5_000, "x")


def make(folder: Path) -> None:
    """A folder for the case: it has the run, and a damaged one also the name of a job."""
    make_run(folder / "case", trials=6, name="run", searched=2, lineage=True, directions=2)


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    run = source / "run"
    kinds: dict[str, list[Path]] = {}  # the name of a document, or the ending of other files -> the files
    for path in sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file() and path.suffix in _KINDS):
        kinds.setdefault(path.name if path.suffix in _DOCUMENTS else path.suffix, []).append(path)
    of_kind = kinds[str(rng.choice(sorted(kinds)))]
    file, job = of_kind[int(rng.integers(len(of_kind)))], str(rng.choice(list(JOBS)))
    shutil.copytree(run, target / "run", copy_function=os.link)
    (target / "job").write_text(job)
    damaged = target / "run" / file
    damaged.unlink()  # it is a link to the good one
    return f"jobs.{job}, {file}: {_damaged(run / file, damaged, rng)}"


def _damaged(source: Path, target: Path, rng: np.random.Generator) -> str:
    data, way = source.read_bytes(), rng.random()
    if way < 0.1:
        return placed_strangely(source, target, rng)
    if way < 0.15:
        return "removed"
    if way < 0.2:
        changed, what = another_text(data, rng), "another text"
    elif way < 0.35 or source.suffix not in _DOCUMENTS:
        changed, what = damaged_bytes(data, rng)
    else:
        text, what = _document(data.decode(), source.suffix, rng)
        changed = text.encode()
    target.write_bytes(changed)
    return what


def _document(text: str, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """A document in which values are of another type or size than any key expects."""
    if kind == ".json":
        return damaged_json(json.loads(text), rng)
    lines = text.splitlines()
    number = int(rng.integers(len(lines)))
    if kind == ".jsonl":
        lines[number], what = damaged_json(json.loads(lines[number]), rng)
    elif kind == ".csv":
        cells = lines[number].split(",")
        cells[int(rng.integers(len(cells)))] = what = _CELLS[int(rng.integers(len(_CELLS)))]
        lines[number] = ",".join(cells)
    else:
        what = _SETTINGS[int(rng.integers(len(_SETTINGS)))]
        lines[number] = f"{lines[number].partition(':')[0]}: {what}"
    return "\n".join(lines), f"line {number + 1}: {what[:80]}"


def read(path: Path) -> None:
    """As the job does that the case names."""
    named, out = path / "job", path / "out"
    out.mkdir(exist_ok=True)
    if named.exists():
        _do(named.read_text(), path / "run", out)
        return
    for name in JOBS:  # the good run, once; an export refuses it, for it has no weights
        with contextlib.suppress(LatentscapeError):
            _do(name, path / "run", out)


def _do(name: str, run: Path, out: Path) -> None:
    job, words = JOBS[name](str(run), out)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            document = job.body(parse(job.JOB, words, Console()))
    except OSError as fault:
        if not fault.filename:  # else `run_job` tells it in one line too
            raise
        return
    json.dumps(document, allow_nan=False).encode()


FUZZER = Fuzzer("run", make, damage, read, share=1.5)
