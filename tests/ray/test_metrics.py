"""The figures of a running search on Ray's own endpoint: a real Prometheus reads them, and the dashboard's queries."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest

from tests.ray.conftest import ROOT, TINY, Cluster, Jobs, free_port, wait_until

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "latentscape.json"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
LONG = ("training.total_images=128000", "training.samples_every_images=64000", "evaluation.every_images=2560")
SHARED = ("search.concurrent=2", "compute.cpus_per_worker=0.45", "search.scheduler=none")

pytestmark = pytest.mark.prometheus


class Prometheus:
    """A real one, on the shipped configuration with the cluster's folder in it, scraping each second."""

    def __init__(self, folder, cluster_folder):
        program = shutil.which("prometheus")
        assert program, "these tests want Debian's Prometheus: apt-get install prometheus"
        text = CONFIG.read_text().replace("/tmp/ray/", f"{cluster_folder}/").replace("10s", "1s")
        assert str(cluster_folder) in text
        (folder / "prometheus.yml").write_text(text)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = (folder / "log").open("w")
        self._process = subprocess.Popen(
            [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address={self.url.removeprefix('http://')}"],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def query(self, expression):
        """The series that an instant query gives; Prometheus's own words where it is none."""
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{words}", timeout=10) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]["result"]

    def end(self):
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()


@pytest.fixture(scope="module")
def searched(tmp_path_factory, storage, run):
    """A search whose two trials train side by side, and a Prometheus that watches it."""
    folder = tmp_path_factory.mktemp("metrics")
    cluster = Cluster(folder / "ray.log")
    prometheus = process = None
    try:
        cluster.start(cores=2)
        prometheus = Prometheus(folder, cluster.folders[0])
        jobs = Jobs(storage, cluster.environment)
        process = jobs.start("search", str(TINY), f"storage.path={storage}", "name=metrics", *LONG, *SHARED)

        def both_have_scores():
            assert process.poll() is None, process.communicate()[1]
            return _ready(prometheus) and len(prometheus.query("ray_latentscape_score")) == 2

        wait_until(both_have_scores, seconds=300, what="scores of two running trials in Prometheus")
        yield prometheus, cluster
    finally:
        if process is not None:
            process.terminate()
            process.communicate(timeout=60)
        if prometheus is not None:
            prometheus.end()
        cluster.end()


def _ready(prometheus):
    try:
        return bool(prometheus.query("up"))
    except OSError:
        return False


QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in json.loads(DASHBOARD.read_text())["panels"]
    for target in panel["targets"]
]


@pytest.mark.parametrize("expression", QUERIES)
def test_each_query_of_the_dashboard_gives_a_series_for_each_running_trial(searched, expression):
    prometheus, _ = searched
    series = prometheus.query(expression.replace("$experiment", "metrics").replace("$trial", ".*"))
    if "latentscape" in expression:
        assert len({one["metric"]["trial"] for one in series}) == len(series) == 2
    elif "gpu" not in expression and "gram" not in expression:  # a machine without GPUs has no series of them
        assert len(series) == 1
        assert float(series[0]["value"][1]) > 0


def test_a_series_says_experiment_trial_and_what_is_searched(searched, storage):
    prometheus, _ = searched
    for one in prometheus.query("ray_latentscape_images_per_second"):
        labels = one["metric"]
        params = json.loads((storage / "metrics" / "trials" / labels["trial"] / "params.json").read_text())
        assert labels["experiment"] == "metrics"
        assert float(labels["optimizer_generator_lr"]) == pytest.approx(params["optimizer.generator_lr"], rel=1e-3)
        assert int(labels["model_latent_size"]) == params["model.latent_size"]


def test_the_values_are_those_of_the_trials_folders(searched, storage):
    prometheus, _ = searched
    found = {one["metric"]["trial"]: float(one["value"][1]) for one in prometheus.query("ray_latentscape_best_score")}
    for trial, value in found.items():
        rows = (storage / "metrics" / "trials" / trial / "metrics.jsonl").read_text().splitlines()
        scores = [json.loads(row)["score"]["value"] for row in rows if '"score"' in row]
        assert any(value == pytest.approx(score) for score in scores)


def test_the_variables_of_the_dashboard_find_their_labels(searched):
    prometheus, _ = searched
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
        series = prometheus.query(metric.replace("$experiment", "metrics"))
        assert {one["metric"][label] for one in series}


def test_the_dashboard_of_ray_shows_our_names(searched):
    _, cluster = searched
    names = [actor["repr_name"] for actor in cluster.listed("actors", state="ALIVE")]
    assert sum(name.startswith("trial 0") and "generator_lr=" in name for name in names) == 2
    assert "search metrics" in [job["metadata"].get("job_name") for job in cluster.asked("/api/jobs/")]
