"""Weights that are fetched: from a real server on this machine, whole, broken off, gone on with, and not to be had."""

import hashlib
import http.server
import re
import socket
import threading

import pytest

from framework.config import EvaluationConfig, Experiment, with_overrides
from framework.evaluation.features import fetching, weights
from framework.evaluation.features.fetching import FetchError, Published, fetch
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.weights import FILE, FILE_BYTES, FILE_SHA256, find_weights
from framework.evaluation.requests.missing_weights import fetch_missing, planned_fetch, to_fetch
from framework.runs import RunFolder
from tests.conftest import missing

CONTENT = bytes(range(256)) * 4_000  # 1,024,000 bytes


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT, and what each request asked for is in `asked`.

    `cuts` are the bytes after which connections end, one after the other.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked, self.cuts, self.ranges, self.status = CONTENT, [], [], True, 200
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{FILE}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked, server = self.headers.get("Range"), self.server
        server.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else 0
        self.send_response(server.status if server.status != 200 else 206 if start else 200)
        rest = server.content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def published(url, content=CONTENT):
    return Published(url, FILE, len(content), hashlib.sha256(content).hexdigest())


def nothing(*_):
    pass


def test_a_file_is_fetched_once_and_told(server, tmp_path):
    told = []
    path = fetch(published(server.url), tmp_path / "new", progress=lambda *counts: told.append(counts))
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)
    assert fetch(published(server.url), tmp_path / "new", progress=nothing) == path
    assert server.asked == [None]
    assert [each.name for each in path.parent.iterdir() if not each.name.startswith(".")] == [FILE]


def test_a_connection_that_breaks_is_gone_on_with(server, tmp_path):
    server.cuts = [300_000, 200_000]
    path = fetch(published(server.url), tmp_path, progress=nothing)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_a_job_that_was_killed_is_gone_on_with(server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT[:123_456])
    assert fetch(published(server.url), tmp_path, progress=nothing).read_bytes() == CONTENT
    assert server.asked == ["bytes=123456-"]
    assert not (tmp_path / f"{FILE}.part").exists()


def test_a_server_that_knows_no_ranges_begins_anew(server, tmp_path):
    server.ranges = False
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 5_000)
    assert fetch(published(server.url), tmp_path, progress=nothing).read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_ends_with_what_is_kept(server, tmp_path):
    server.cuts = [1_000] * 9
    with pytest.raises(FetchError) as caught:
        fetch(published(server.url), tmp_path, progress=nothing)
    assert missing(str(caught.value), "4,000", "1,024,000", tmp_path / f"{FILE}.part") == []
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:4_000]
    server.cuts = []
    assert fetch(published(server.url), tmp_path, progress=nothing).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT * 2])
def test_another_file_is_deleted(server, tmp_path, content):
    server.content = content
    expected = published(server.url) if len(content) == len(CONTENT) else published(server.url, content[1:])
    with pytest.raises(FetchError) as caught:
        fetch(expected, tmp_path, progress=nothing)
    assert expected.sha256 in str(caught.value)
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(FILE)]


def test_two_jobs_fetch_it_once(server, tmp_path):
    jobs = [
        threading.Thread(target=fetch, args=(published(server.url), tmp_path), kwargs={"progress": nothing})
        for _ in range(2)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert (tmp_path / FILE).read_bytes() == CONTENT
    assert server.asked == [None]


@pytest.fixture(params=["refused", "not found", "silent", "a file", "no name"])
def unreachable(request, server, monkeypatch):
    """An address where nothing is to be had, and what is said of it."""
    if request.param == "not found":
        server.status = 404
        yield server.url, "404"
    elif request.param == "a file":
        yield "file:///etc/hostname", "https"
    elif request.param == "no name":
        yield "http://[::1", "http://[::1"
    else:
        with socket.socket() as opened:
            opened.bind(("127.0.0.1", 0))
            if request.param == "silent":
                opened.listen()
                monkeypatch.setattr(fetching, "OPEN_SECONDS", 0.2)
            url = f"http://127.0.0.1:{opened.getsockname()[1]}/x"
            yield url, "0.2" if request.param == "silent" else url


def test_what_is_not_to_be_had_is_one_line_and_auto_is_efficientnet(unreachable, monkeypatch):
    url, fact = unreachable
    monkeypatch.setenv("LATENTSCAPE_WEIGHTS_URL", url)
    said = []
    fetch_missing(EvaluationConfig(), run=None, counter=lambda _: nothing, say=said.append)
    announced, fault = said
    assert missing(announced, "95,628,359", "evaluation.weights=none") == []
    assert fact in fault
    assert "EfficientNet" in fault
    assert "\n" not in fault
    assert resolve_features(EvaluationConfig(), assessor_folder=None).kind == "efficientnet"


def test_what_is_fetched_is_found(server, monkeypatch):
    monkeypatch.setenv("LATENTSCAPE_WEIGHTS_URL", server.url)
    monkeypatch.setattr(weights, "FILE_BYTES", len(CONTENT))
    monkeypatch.setattr(weights, "FILE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    settings = EvaluationConfig()
    assert str(len(CONTENT)) in planned_fetch(settings, run=None).replace(",", "")
    assert server.asked == []  # a plan fetches nothing
    for _ in range(2):
        fetch_missing(settings, run=None, counter=lambda _: nothing, say=nothing)
    assert find_weights(None).read_bytes() == CONTENT
    assert find_weights("none") == find_weights(None)  # they are there, whoever put them there
    assert server.asked == [None]
    assert planned_fetch(settings, run=None) is None


@pytest.mark.parametrize(
    ("keys", "begun", "wanted"),
    [
        ({}, None, True),
        ({"weights": "none"}, None, False),
        ({"weights": "mine.pth"}, None, False),
        ({"features": "efficientnet"}, None, False),
        ({"features": "assessor"}, None, False),
        ({"features": "mine:embed"}, None, False),
        ({"features": "inception"}, None, True),
        ({"features": "inception", "weights": "none"}, None, False),
        ({"features": "efficientnet", "metrics": ["fid5k_768"]}, None, True),
        ({"features": "efficientnet", "metrics": ["fid"]}, None, False),
        ({}, "efficientnet-lite2", False),  # a run keeps what it began with
        ({}, "inception-2015-12-05", True),
        ({"search.metric": "efficientnet_frechet_distance"}, None, False),
        ({"search.metric": "fid", "features": "efficientnet"}, None, True),
    ],
)
def test_only_who_wants_them_and_may_have_them_fetches(tmp_path, monkeypatch, keys, begun, wanted):
    dotted = {key if "." in key else f"evaluation.{key}": value for key, value in keys.items()}
    experiment = with_overrides(Experiment(), {"name": "r", "storage.path": str(tmp_path), **dotted})
    run = RunFolder.create(experiment, ["python"])
    if begun:
        protocol = {"features": {"name": begun, "sha256": "0" * 64}, "tap": 80}
        run.add_scores([{"metric": "some", "value": 1.0, "protocol": protocol}])
    monkeypatch.setenv("LATENTSCAPE_WEIGHTS_URL", "http://127.0.0.1:1/x")
    assert (to_fetch(experiment.evaluation, run=run) is not None) == wanted
    monkeypatch.setenv("LATENTSCAPE_WEIGHTS_URL", "")
    assert to_fetch(experiment.evaluation, run=run) is None


def test_the_published_file_is_fetched_unless_something_else_is_said(monkeypatch):
    monkeypatch.delenv("LATENTSCAPE_WEIGHTS_URL")
    found = to_fetch(EvaluationConfig(), run=None)
    assert (found.name, found.size, found.sha256) == (FILE, FILE_BYTES, FILE_SHA256)
    assert found.url.startswith("https://")
    assert found.url.endswith(FILE)
