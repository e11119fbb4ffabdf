"""The maker of run folders, and readers of the page it becomes."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from framework.checkpoint.reference import best_target
from framework.report import write_report
from framework.report.compare_page.compared_run import read_compared_run
from framework.report.compare_page.page import render_comparison
from framework.report.shared.score_table import columns, read_row
from framework.runs import RunFolder

VOID = {"col", "meta", "img", "br", "wbr", "link", "input", "hr", "path", "circle", "rect", "polyline"}


@dataclass
class Page(HTMLParser):
    """A page as far as tests look at it; `unbalanced` names each tag that was closed out of order."""

    text: str = ""
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    by_class: dict[str, int] = field(default_factory=dict)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text, self.attributes, self.unbalanced, self.ids, self.by_class = source, "", [], [], [], {}
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.unbalanced += self._open
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        for name in dict(attrs).get("class", "").split():
            self.by_class[name] = self.by_class.get(name, 0) + 1
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    def section(self, anchor: str) -> str:
        """The source of the section with this id."""
        return self.source.split(f'<section id="{anchor}">')[1].split("</section>")[0]

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


def _loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return _loaded("make_run").make_run


@pytest.fixture(scope="session")
def families():
    """The maker of a GAN, an autoencoder and a VAE of known figures: `make_families`, `edit`, `generator`."""
    return _loaded("make_families")


@pytest.fixture(scope="session")
def beside() -> Callable[..., "Page"]:
    """The page of some runs side by side, by their folders."""

    def render(*runs: Path) -> Page:
        rows, sides = [], []
        for run in map(RunFolder.open, runs):
            row = read_row(run.folder.name, run, best_target(run).checkpoint)
            rows.append(row)
            sides.append(read_compared_run(row.name, f"runs/{row.name}", row, run))
        return Page(render_comparison(sides, columns(rows)))

    return render


@pytest.fixture(scope="session")
def page_of() -> Callable[[Path], Page]:
    def read(run: Path) -> Page:
        location = write_report(RunFolder.open(run))
        return Page(Path(location).read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def finished(make_run, tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs"), trials=5)
