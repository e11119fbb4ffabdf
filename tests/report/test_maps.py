"""The page's part on latent maps and likelihoods: figures as the jobs write them, and nothing where there are none."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from framework.images import png_bytes
from framework.report.read.run import read_results
from framework.report.run_page.maps import maps_of
from framework.runs import RunFolder
from tests.conftest import missing

pytestmark = pytest.mark.long

EVIL = """<script>alert("x")</script>'"&{{ 7 * 7 }}"""
ODD = (None, [], {}, "x", float("nan"), 10**400, [[1]], {"a": 1}, -1, True)


def one_map(run, family, *, kl: float | None = 0.05):
    return {
        "run": run, "checkpoint": "trials/000/checkpoints/000000000640", "family": family, "latent_size": 2,
        "plane": {"method": "latents", "axes": ["latent 1", "latent 2"]},
        "knn_purity": {"latents": 0.8125, "picture": 0.7011},
        "hole_share": {"reconstructions": 0.3, "between_codes": 0.41, "prior_samples": 0.523},
        "midpoint_confidence": {"within_class": 0.931, "between_classes": 0.744},
        "aggregate_kl_nats": kl,
    }  # fmt: skip


DOCUMENT = {
    "protocol": {
        "images": {"count": 5000, "split": "held_out"}, "label": "digit", "sure_from": 0.9, "chance_purity": 0.1003,
        "classifier": {"digest": "77aa" * 16, "metric": "accuracy", "value": 0.97654, "n": 10000},
    },
    "hole_share_of_images": 0.052,
    "maps": [one_map("mnist-autoencoder", "autoencoder", kl=None), one_map("mnist-vae", "vae")],
}  # fmt: skip
LIKELIHOOD = {
    "checkpoint": "trials/000/checkpoints/000000000640",
    "protocol": {"images": {"count": 10000, "split": "held_out"}, "likelihood": "bernoulli", "importance_samples": 500},
    "elbo_nats": -97.5234, "reconstruction_nats": -73.02, "kl_nats": 24.51, "iw500_nats": -88.1,
    "elbo_of_weighted_nats": -91.4,
    "standard_errors": {"elbo_nats": 0.3149, "reconstruction_nats": 0.29, "kl_nats": None, "iw500_nats": 0.31,
                        "elbo_of_weighted_nats": 0.32},
}  # fmt: skip
FILES = {
    "latent_map.png": png_bytes(np.full((64, 128, 3), 250, np.uint8)),
    "latent_plane.png": png_bytes(np.full((64, 64, 3), 30, np.uint8)),
    "latent_map.json": json.dumps(DOCUMENT).encode(),
    "likelihood.json": json.dumps(LIKELIHOOD).encode(),
}


@pytest.fixture(scope="module")
def plain(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs"), trials=1)


@pytest.fixture
def page_with(plain, page_of, tmp_path):
    """The page of a run with such files among its artifacts."""

    def make(files):
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(plain, run)
        for name, data in files.items():
            (run / "artifacts" / name).write_bytes(data)
        page = page_of(run)
        assert page.unbalanced == []
        assert len(set(page.ids)) == len(page.ids)
        return page

    return make


def rows(page, number):
    """The cells of one of the section's tables, as text."""
    table = re.findall(r'<table class="maps">.*?</table>', page.source, re.DOTALL)[number]
    return [re.sub(r"<[^>]+>", " ", row).split() for row in table.split("<tr")[1:]]


def test_pictures_and_figures_stand_a_column_a_map(page_with):
    page = page_with(FILES)
    section = page.section("maps")
    assert section.count("<img") == 2
    assert '<a href="#maps">Maps</a>' in page.source
    for said in (
        ["5,000 held-out images", "“digit”"],
        ["accuracy 0.9765", "10,000 held-out images"],
        ["0.1", "neighbours"],
        ["0.052"],
    ):
        assert missing(page.text, *said) == []
    assert "autoencoder<small>autoencoder, 2 " in section
    assert "vae<small>vae, 2 " in section
    figures = rows(page, 0)[1:]
    keys = re.findall(r'<tr title="([^"]+)"', section)
    assert [row[-2:] for row in figures] == [
        ["0.812", "0.812"], ["0.701", "0.701"], ["0.300", "0.300"], ["0.410", "0.410"], ["0.523", "0.523"],
        ["0.931", "0.931"], ["0.744", "0.744"], ["–", "0.050"],
    ]  # fmt: skip
    assert keys[0] == "knn_purity, latents"
    assert keys[-1] == "aggregate_kl_nats"


def test_a_likelihood_has_its_standard_errors(page_with):
    page = page_with({"likelihood.json": FILES["likelihood.json"]})
    assert '<a href="#maps">Likelihood</a>' in page.source
    assert page.section("maps").count("<img") == 0
    assert [row[-3:] for row in rows(page, 0)[1:]] == [
        ["−97.52", "±", "0.31"], ["−73.02", "±", "0.29"], ["prior", "kl_nats", "24.51"], ["−88.10", "±", "0.31"],
        ["−91.40", "±", "0.32"],
    ]  # fmt: skip
    # Two of the values are of images that were binarised.
    assert missing(page.text, "10,000 held-out images", "nats per image", "Bernoulli", "binarised") == []


@pytest.mark.parametrize("missing", [*FILES, "all"])
def test_what_is_not_there_leaves_the_rest(missing, page_with):
    page = page_with({name: data for name, data in FILES.items() if missing not in (name, "all")})
    assert ('id="maps"' in page.source) == ("#maps" in page.source) == (missing != "all")
    assert page.source.count('<table class="maps">') == {"all": 0, "latent_map.json": 1, "likelihood.json": 1}.get(
        missing, 2
    )


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe"])
def test_damaged_files_are_named_and_show_nothing(damaged, page_with):
    page = page_with(dict.fromkeys(FILES, damaged))
    assert 'id="maps"' not in page.source
    assert missing(page.text, "artifacts/latent_map.json", "artifacts/likelihood.json") == []


def odd_documents():
    for value in ODD:
        yield dict.fromkeys(DOCUMENT, value), dict.fromkeys(LIKELIHOOD, value)
        inner = {"digest": value, "metric": value, "value": value, "n": value, "count": value}
        groups = {name: {EVIL: value, "latents": value, "picture": 0.5} for name in ("knn_purity", "hole_share")}
        odd = [dict.fromkeys(DOCUMENT["maps"][0], value), value, {"run": EVIL, "family": EVIL, **groups}]
        for images in (value, inner):
            protocol = {"images": images, "label": EVIL, "sure_from": value, "chance_purity": value}
            document = {"protocol": protocol | {"classifier": images}, "hole_share_of_images": value}
            errors = dict.fromkeys(LIKELIHOOD["standard_errors"], value)
            nats = {**LIKELIHOOD, "standard_errors": errors, "kl_nats": value, EVIL: 1}
            likelihood = {**nats, "protocol": {"likelihood": EVIL, "images": images}}
            yield {**document, "maps": [*odd, DOCUMENT["maps"][1]]}, likelihood


def test_odd_documents_never_break_the_page(plain, page_with):
    every = list(odd_documents())
    results = read_results(RunFolder.open(plain))
    for document, likelihood in every:
        pair = {"latent_map.json": document, "likelihood.json": likelihood}
        said = repr(maps_of(dataclasses.replace(results, documents=pair)))
        for leaked in (r"\bnan\b", r"\binf\b", "'None'"):
            assert not re.search(leaked, said), (leaked, document, likelihood)
    maps = [one for document, _ in every if isinstance(document["maps"], list) for one in document["maps"]]
    document, likelihood = {**every[1][0], "maps": maps}, every[1][1]
    files = {"latent_map.json": json.dumps(document), "likelihood.json": json.dumps(likelihood)}
    page = page_with({name: text.encode() for name, text in files.items()})
    assert page.source.count("<script") == 1
    assert "{{ 7 * 7 }}" in page.text
