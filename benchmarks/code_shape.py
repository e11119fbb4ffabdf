"""How the code reads, counted: lines of functions, docstrings that say nothing, frames from a job to the work.

    python -m benchmarks.code_shape [ROOT ...] [--frames]

Several roots, for example two checkouts, are laid side by side. `--frames` also runs two small jobs of each root on a
real embedded Ray, and counts the frames of its own code on the stack of each process, from `jobs.pipeline` to a
training step and from `jobs.evaluate` to the feature extractor.
"""

import argparse
import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HOOK = Path(__file__).with_name("frames")
PACKAGES = ("framework", "jobs")
Function = ast.FunctionDef | ast.AsyncFunctionDef
_SAYS_NOTHING = re.compile(r"^(See \S+|Likewise.*)\.?$")
_ARGUMENT = re.compile(r"^ {4,}\*{0,2}\w+: (.+)$")


def trees(root: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Path, text and syntax tree of each module of the product."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path, text, ast.parse(text)


def counted(root: Path) -> dict[str, float]:
    """The counts of one checkout."""
    lines, modules, functions, docstrings, empty, short_arguments = 0, [], [], 0, 0, 0
    for _, text, tree in trees(root):
        lines += len(text.splitlines())
        modules.append(len(text.splitlines()))
        for node in ast.walk(tree):
            if isinstance(node, Function):
                functions.append(node.end_lineno - node.lineno + 1 - _docstring_lines(node))
            if isinstance(node, (*Function.__args__, ast.ClassDef, ast.Module)):
                said = ast.get_docstring(node)
                if said is None:
                    continue
                docstrings += 1
                first = said.strip()
                empty += len(first.split()) <= 3 or bool(_SAYS_NOTHING.match(first))
                short_arguments += _short_arguments(said)
    functions.sort()
    return {
        "modules": len(modules),
        "lines": lines,
        "lines of a module, median": statistics.median(modules),
        "functions": len(functions),
        "lines of a function, median": statistics.median(functions),
        "lines of a function, 95th percentile": functions[int(0.95 * len(functions))],
        "docstrings": docstrings,
        "docstrings of three words or fewer, or that say only See or Likewise": empty,
        "arguments described in three words or fewer": short_arguments,
    }


def frames(root: Path) -> dict[str, float]:
    """Frames of the root's own code on each process's stack, summed, from a job to the work; two real jobs."""
    with tempfile.TemporaryDirectory(prefix="latentscape-") as folder:
        place = Path(folder)
        environment = {**os.environ, "PYTHONPATH": f"{HOOK}{os.pathsep}{root}", "LATENTSCAPE_FRAMES": folder}
        environment.pop("RAY_ADDRESS", None)
        run = ("training.total_images=320", "evaluation.every_images=320", "search.trials=1")
        tiny = str(root / "tests" / "ray" / "tiny.yaml")
        _job(root, environment, "pipeline", tiny, f"storage.path={folder}/runs", "name=frames", *run)
        (place / "scores.json").write_text("")
        found = {"jobs.pipeline to a training step": _sum(place, ("tune", "train", "step"))}
        for left in place.glob("*.frames"):
            left.unlink()
        (place / "runs" / "frames" / "scores.json").unlink(missing_ok=True)
        for kept in (place / "runs" / ".cache" / "features").glob("*"):
            kept.unlink()
        _job(root, environment, "evaluate", f"{folder}/runs/frames")
        found["jobs.evaluate to the extractor"] = _sum(place, ("actors", "extractor"))
    return found


def _job(root: Path, environment: dict[str, str], name: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"jobs.{name}", *arguments]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)


def _sum(place: Path, points: tuple[str, ...]) -> int:
    """Over the processes on the way, each at its first call of a point."""
    total = 0
    for point in points:
        stack = json.loads((place / f"{point}.frames").read_text())
        print(f"  {point}: {' → '.join(stack)}", file=sys.stderr)
        total += len(stack)
    return total


def _docstring_lines(node: Function) -> int:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.end_lineno - first.lineno + 1
    return 0


def _short_arguments(docstring: str) -> int:
    section = re.search(r"^(?:Args|Attributes):\n((?: {4}.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return 0
    entries = section.group(1).splitlines()
    count = 0
    for number, line in enumerate(entries):
        said = _ARGUMENT.match(line)
        continued = number + 1 < len(entries) and entries[number + 1].startswith(" " * 8)
        count += said is not None and not continued and len(said.group(1).split()) <= 3
    return count


def main() -> None:
    """Prints the counts of each root in a column."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    parser.add_argument("--frames", action="store_true", help="run two small jobs on a real Ray, too")
    asked = parser.parse_args()
    columns = [counted(root.resolve()) | (frames(root.resolve()) if asked.frames else {}) for root in asked.roots]
    for name in columns[0]:
        print(f"{name:<72}" + "".join(f"{column[name]:>10g}" for column in columns))


if __name__ == "__main__":
    main()
