"""Shell completion for `latentscape`: jobs, switches, files, keys of the job's sections, and their values.

argcomplete talks to the shell. Its parser is used only for completion; `jobs.cli.arguments` parses command lines.
"""

import argparse
import ast
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import argcomplete
from argcomplete.completers import FilesCompleter

from framework.config.describe import describe_keys
from framework.config.faults import leaves
from framework.config.words import is_text
from jobs.cli import arguments
from jobs.cli.arguments import SWITCHES, Job
from jobs.cli.job_files import job_names, job_source

_files = FilesCompleter()


def complete() -> None:
    """Prints the completions for the shell and ends the process."""
    # No word starts with \0, so argparse treats switches as plain words: after an option it would accept no more words.
    parser = argparse.ArgumentParser(add_help=False, prefix_chars="\0")
    parser.add_argument("job").completer = lambda **_: [*job_names(), "--help", "--version"]  # pyright: ignore[reportAttributeAccessIssue]
    parser.add_argument("words", nargs="*").completer = _words  # pyright: ignore[reportAttributeAccessIssue]
    argcomplete.autocomplete(parser)


def declared(name: str) -> Job:
    """The `JOB` of a job, evaluated from the module's assignments; importing the module would take seconds."""
    module = job_source(name)
    known: dict[str, Any] = {**vars(arguments), "__doc__": ast.get_docstring(module)}
    for node in module.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if all(part.id in known for part in ast.walk(node.value) if isinstance(part, ast.Name)):
            code = compile(ast.Expression(node.value), name, "eval")
            known[node.targets[0].id] = eval(code, known)  # noqa: S307  # the project's own code, as an import runs it
    return known["JOB"]


def _words(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    module = str(parsed_args.job).replace("-", "_")
    if module not in job_names():
        return []
    if prefix.startswith("-"):
        return list(SWITCHES)
    job = declared(module)
    key, equals, typed = prefix.partition("=")
    if equals:
        return [f"{key}={value}" for value in _values(job, key, typed)]
    positionals = [word for word in parsed_args.words or [] if "=" not in word and not word.startswith("-")]
    keys = [known.key for known in (*job.own, *describe_keys(list(job.sections)))]
    # Keys come after the positional arguments; offering up to a hundred of them first would hide the files.
    too_early = not prefix and len(positionals) < job.positionals[0]
    return [*_files(prefix), *([] if too_early else (f"{known}=" for known in keys))]


def _values(job: Job, key: str, typed: str) -> list[str]:
    """The values of a choice, files for a key that accepts any text, and nothing for numbers and lists."""
    kinds = {known: field.annotation for known, field in leaves()}
    if key in [own.key for own in job.own] or (key in kinds and is_text(kinds[key])):
        return _files(typed)
    return list(_choices(kinds.get(key)))


def _choices(kind: Any) -> Iterator[str]:
    if kind is bool:
        yield from ("true", "false")
    elif get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    elif get_origin(kind) in (Annotated, Union, UnionType):
        for member in get_args(kind):
            yield from _choices(member)
