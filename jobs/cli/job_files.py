"""The jobs as files of `jobs`: what there is, without importing any of it."""

import ast
from pathlib import Path

import jobs


def job_names() -> list[str]:
    """Every module of `jobs`; none is imported."""
    return sorted(file.stem for file in _folder().glob("*.py") if not file.stem.startswith("_"))


def job_source(name: str) -> ast.Module:
    """A job's module, read and not run: what it imports takes seconds."""
    return ast.parse((_folder() / f"{name}.py").read_text(encoding="utf-8"))


def _folder() -> Path:
    return Path(str(jobs.__file__)).parent
