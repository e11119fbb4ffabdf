"""Lists and parses the modules of `jobs` without importing them: their imports take seconds."""

import ast
from pathlib import Path

import jobs


def job_names() -> list[str]:
    """The names of all jobs, sorted."""
    return sorted(file.stem for file in _folder().glob("*.py") if not file.stem.startswith("_"))


def job_source(name: str) -> ast.Module:
    """The syntax tree of a job's module."""
    return ast.parse((_folder() / f"{name}.py").read_text(encoding="utf-8"))


def _folder() -> Path:
    return Path(str(jobs.__file__)).parent
