"""Runs side by side: which value is marked, which verdict is given, and what is said where rows do not compare."""

import html
import re

import pytest

from framework.errors import StorageError
from framework.report.compare_page.claims import CLAIMS, CLEARLY, HOLDS, HOLDS_NOT, MIXED, UNJUDGED, UNMEASURED
from framework.report.compare_page.compared_run import read_compared_run
from framework.report.compare_page.page import render_comparison
from framework.report.shared.score_table import columns, read_row
from framework.runs import RunFolder
from tests.conftest import missing

pytestmark = pytest.mark.long

HAS_HOLES, WALKS_BADLY, IS_CONTINUOUS, SAMPLES_BEST, REBUILDS = (claim.text for claim in CLAIMS)


@pytest.fixture
def three(families, tmp_path):
    """Fresh runs of the three families, family -> folder."""
    return families.make_families(tmp_path)


@pytest.fixture(scope="module")
def page(families, beside, tmp_path_factory):
    return beside(*families.make_families(tmp_path_factory.mktemp("runs")).values())


def cells(page, key):
    """A row's texts, a star where one is the best; None where the row is not there."""
    row = re.search(rf'<tr data-key="{re.escape(key)}">.*?</tr>', page.source, re.DOTALL)
    if row is None:
        return None
    texts = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td.*?</td>", row[0], re.DOTALL)]
    return [html.unescape(" ".join(text.split())) for text in texts]


def verdicts(page):
    """Claim -> verdict."""
    pairs = re.findall(r'<h3>([^<]+)</h3>\s*<p class="verdict [a-z]+">([^<]+)</p>', page.section("claims"))
    return {html.unescape(claim): html.unescape(verdict) for claim, verdict in pairs}


def mixed(page, claim):
    """Of a mixed verdict: the keys of its rows that it says the claim holds for, and does not hold for."""
    article = page.section("claims").split(f"<h3>{html.escape(claim)}</h3>")[1].split("</article>")[0]
    rows = {key: name.lower() for key, name in re.findall(r'<tr data-key="([^"]+)"><th scope="row">([^<]+)', article)}
    kind, _, text = verdicts(page)[claim].partition(": ")
    assert kind == MIXED
    return tuple({key for key, name in rows.items() if name in part.lower()} for part in text.split(";"))


def warnings(page):
    """At the top of the page."""
    return [html.unescape(text) for text in re.findall(r"<strong>Warning</strong> ([^<]+)</p>", page.source)]


def reasons(page):
    """Why the rows of a section have no best value."""
    return [html.unescape(text) for text in re.findall(r'<div class="notice warning"><p>([^<]+)</p>', page.source)]


def change(families, run, name, changes):
    families.edit(run / name, changes)


def test_the_page_needs_nothing_else_and_is_well_formed(page):
    assert page.unbalanced == []
    assert len(page.ids) == len(set(page.ids))
    assert all(uri.startswith(("data:", "#")) for uri in page.values("src", "href"))
    assert "@import" not in page.source
    assert page.values("src") == [uri for uri in page.values("src") if uri.startswith("data:")]
    assert len(page.values("src")) == 3 * 4 + 1 + 1  # four kinds of each run, the map, and the empty enlarged one


def test_what_the_runs_are(page):
    assert cells(page, "family") == ["GAN dcgan", "Autoencoder", "VAE"]
    assert cells(page, "latent_size") == ["4", "4", "4"]
    assert cells(page, "images_seen") == ["600,000"] * 3
    assert cells(page, "size") == ["28 × 28, grey"] * 3
    assert cells(page, "digest") == ["d161d161d161"] * 3
    decoders, encoders = cells(page, "generator"), cells(page, "partner")
    assert decoders[1] == decoders[2] != decoders[0]
    assert encoders[2] != encoders[1]  # a VAE's gives a variance beside each number


def test_the_best_is_marked(page):
    assert cells(page, "score.distance.fid5k_768") == ["9.000 ★", "40.00", "25.00"]
    assert cells(page, "score.share.recall5k_768") == ["0.4000", "0.4100", "0.6000 ★"]
    assert cells(page, "paths.lerp.ratio") == ["1.900 ★", "2.500", "2.000"]
    assert cells(page, "photos.pixel_error") == ["34.00 median of 3", "12.00 ★ median of 3", "16.00 median of 3"]
    assert cells(page, "photos.encoded_error") == ["–", "22.00 ★ median of 3", "26.00 median of 3"]
    assert cells(page, "photos.random_error") == ["90.00 median of 3"] * 3
    assert cells(page, "hole_share.between_codes") == ["–", "31.0%", "12.0% ★"]
    assert cells(page, "aggregate_kl_nats") == ["–", "0.5000", "0.5000"]
    assert cells(page, "likelihood.iw500_nats") == ["–", "–", "−88.25"]
    assert cells(page, "likelihood.elbo_nats") == ["–", "–", "−97.50 ± 0.25"]
    assert cells(page, "arithmetic.3 - 8 + 5.3") == ["60% 95%: 50% to 69%; random samples 10%; 100 repeats"] * 3


def test_verdicts_follow_from_the_figures(page):
    assert len(verdicts(page)) == 5
    assert verdicts(page)[HAS_HOLES] == HOLDS
    confidence = "midpoint_confidence."
    held = {f"{confidence}within_class", "paths.lerp.ratio", "paths.lerp.largest_step"}
    assert mixed(page, WALKS_BADLY) == (held, {f"{confidence}between_classes"})
    assert mixed(page, IS_CONTINUOUS) == ({"hole_share.prior_samples"}, {"hole_share.between_codes"})
    assert mixed(page, SAMPLES_BEST) == ({"score.distance.fid5k_768"}, {"score.share.recall5k_768"})
    assert verdicts(page)[REBUILDS] == HOLDS
    assert CLEARLY in page.text
    assert "0.02" in CLEARLY


def test_a_claim_that_the_figures_speak_against(families, beside, three):
    def swap(document):
        first, second = document["maps"]
        first["hole_share"], second["hole_share"] = second["hole_share"], first["hole_share"]

    change(families, three["autoencoder"], "artifacts/latent_map.json", swap)
    page = beside(*three.values())
    assert verdicts(page)[HAS_HOLES] == verdicts(page)[IS_CONTINUOUS] == HOLDS_NOT


def test_a_difference_within_the_margin_does_not_count(families, beside, three):
    def nearly(document):
        document["maps"][0]["hole_share"] = {**document["maps"][1]["hole_share"], "between_codes": 0.139}

    change(families, three["autoencoder"], "artifacts/latent_map.json", nearly)
    page = beside(*three.values())
    assert cells(page, "hole_share.between_codes") == ["–", "13.9%", "12.0% ★"]
    assert verdicts(page)[HAS_HOLES] == HOLDS_NOT


@pytest.mark.parametrize(
    ("among", "claims"),
    [
        (("gan",), []),
        (("vae",), [IS_CONTINUOUS]),
        (("autoencoder", "vae"), [HAS_HOLES, WALKS_BADLY, IS_CONTINUOUS]),
        (("gan", "autoencoder"), [WALKS_BADLY, SAMPLES_BEST, REBUILDS]),
    ],
)
def test_only_claims_about_families_that_are_there(beside, three, among, claims):
    page = beside(*(three[family] for family in among))
    assert list(verdicts(page) if "claims" in page.ids else []) == claims


def test_different_data_is_said_first_and_nothing_is_judged(families, beside, three):
    change(families, three["gan"], "run.json", {"data": {**families.DATA, "source": "kmnist", "digest": "0b5e" * 16}})
    page = beside(*three.values())
    data = ("gan: kmnist, 0b5e0b5e", "autoencoder: mnist, d161d161", "vae: mnist, d161d161")
    assert missing(warnings(page)[0], *data) == []
    assert page.source.index("0b5e0b5e") < page.source.index('id="about"')
    assert verdicts(page)[SAMPLES_BEST].startswith(UNJUDGED)
    assert verdicts(page)[IS_CONTINUOUS].startswith(MIXED)  # it is of one run alone
    assert "★" not in "".join(cells(page, "paths.lerp.ratio") + cells(page, "photos.pixel_error"))
    assert any(not missing(text, "different data") for text in reasons(page))


def test_unequal_training_size_and_unknown_data_are_said(families, beside, three):
    experiment = {"data": {"source": "mnist", "resolution": 32, "channels": 1}, "model": {"family": "vae", "width": 16}}
    change(families, three["vae"], "experiment.yaml", experiment)
    (three["vae"] / "run.json").unlink()
    old, new = (three["vae"] / "trials/000/checkpoints" / name for name in ("000000600000", "000000900001"))
    old.rename(new)
    best = {"trial": "000", "checkpoint": f"trials/000/checkpoints/{new.name}", "images_seen": 900_001}
    change(families, three["vae"], "best.json", best)
    told = warnings(beside(three["autoencoder"], three["vae"]))
    expected = (
        ["vae", "data"],
        ["autoencoder: 28 × 28, grey", "vae: 32 × 32, grey"],
        [1.5, "600,000", "900,001"],
        ["generator (decoder)"],
        ["discriminator (encoder)"],
    )
    assert [missing(text, *facts) for text, facts in zip(told, expected, strict=True)] == [[]] * 5
    assert warnings(beside(three["autoencoder"], three["autoencoder"])) == []


@pytest.mark.parametrize(
    ("name", "key", "value", "row"),
    [
        ("interpolation.json", "assessor", "0ther", "paths.lerp.ratio"),
        ("projections.json", "starts", 1, "photos.pixel_error"),
    ],
)
def test_no_best_where_figures_were_measured_unlike(families, beside, three, name, key, value, row):
    change(families, three["vae"], f"artifacts/{name}", lambda document: document.update({key: value}))
    page = beside(*three.values())
    assert "★" not in "".join(cells(page, row))
    assert any(not missing(text, key) for text in reasons(page))


def test_photographs_of_other_names_do_not_compare(families, beside, three):
    def rename(document):
        document["photos"][0]["name"] = "held_out_77"

    change(families, three["vae"], "artifacts/projections.json", rename)
    page = beside(three["gan"], three["vae"])
    assert cells(page, "photos.pixel_error") == ["34.00 median of 3", "16.00 median of 3"]
    assert any(not missing(text, "photographs") for text in reasons(page))
    # By its own random samples a VAE is judged all the same.
    assert verdicts(page)[REBUILDS] == HOLDS


def test_what_is_missing_says_its_command(beside, three):
    for name in ("interpolation", "projections", "arithmetic", "latent_map", "likelihood"):
        for run in three.values():
            (run / "artifacts" / f"{name}.json").unlink(missing_ok=True)
    for run in three.values():
        (run / "scores.json").unlink()
        (run / "artifacts" / "samples.png").unlink()
    page = beside(*three.values())
    for command in (
        *("evaluate runs/gan", "interpolate runs/autoencoder", "project runs/vae", "arithmetic runs/gan"),
        *("latent_map runs/autoencoder runs/vae", "likelihood runs/vae"),
    ):
        assert f"python -m jobs.{command}" in page.text
    assert "jobs.likelihood runs/gan" not in page.text
    assert set(verdicts(page).values()) == {UNMEASURED}
    assert "is-best" not in page.by_class


def test_an_artifact_of_another_checkpoint_is_not_shown(families, beside, three):
    change(families, three["gan"], "artifacts/interpolation.json", lambda document: document.update(generator="f" * 64))
    page = beside(*three.values())
    assert cells(page, "paths.lerp.ratio") == ["–", "2.500", "2.000 ★"]
    assert "gan: artifacts/interpolation.json" in page.text
    assert len(page.values("src")) == 3 * 4 + 1 + 1 - 2  # neither its samples nor its interpolation


def test_a_map_of_another_generator_is_not_shown(families, beside, three):
    families.edit(
        three["vae"] / "trials/000/checkpoints/000000600000/generator/config.json", {"weights_sha256": "e" * 64}
    )
    page = beside(three["autoencoder"], three["vae"])
    assert cells(page, "hole_share.between_codes") == ["31.0%", "–"]
    assert "python -m jobs.latent_map runs/autoencoder runs/vae" in page.text


def test_maps_of_one_protocol_come_together(families, beside, three):
    def split(document, keep):
        document["maps"] = [row for row in document["maps"] if row["family"] == keep]

    both = (three["autoencoder"] / "artifacts/latent_map.json").read_text()
    (three["vae"] / "artifacts/latent_map.json").write_text(both)
    change(families, three["autoencoder"], "artifacts/latent_map.json", lambda each: split(each, "autoencoder"))
    change(families, three["vae"], "artifacts/latent_map.json", lambda each: split(each, "vae"))
    pair = three["autoencoder"], three["vae"]
    assert cells(beside(*pair), "hole_share.between_codes") == ["31.0%", "12.0% ★"]
    change(families, three["vae"], "artifacts/latent_map.json", lambda each: each["protocol"].update(sure_from=0.5))
    assert cells(beside(*pair), "hole_share.between_codes") == ["31.0%", "–"]


def test_protocols_that_differ_have_a_row_each(families, beside, three):
    def fewer(document):
        document["scores"][0]["protocol"]["fake"]["count"] = 1_000

    change(families, three["vae"], "scores.json", fewer)
    page = beside(*three.values())
    assert cells(page, "score.distance.fid5k_768 (a)") == ["9.000 ★", "40.00", "–"]
    assert cells(page, "score.distance.fid5k_768 (b)") == ["–", "–", "25.00"]
    assert "fake.count: 1,000" in page.text
    assert verdicts(page)[SAMPLES_BEST] == HOLDS_NOT  # recall is all that the three share


def test_names_are_escaped(families, beside, tmp_path):
    runs = families.make_families(tmp_path, names={"vae": "<b>v&e"})
    change(families, runs["gan"], "run.json", {"data": {**families.DATA, "source": "<script>alert(1)</script>"}})
    page = beside(*runs.values())
    assert "<script>alert" not in page.source
    assert "<b>v" not in page.source
    assert page.unbalanced == []
    assert "<b>v&e" in page.text


WRONG = [None, [], {}, "text", 3, True, [None, 3, "x", {}], {"lerp": 3, "maps": 3, "photos": 3}, 10**400]
NAMES = ("interpolation", "projections", "arithmetic", "latent_map", "likelihood")


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_damaged_artifacts_end_no_page(families, beside, three, wrong):
    keys = {
        "interpolation": ("paths", "assessor"),
        "projections": ("photos", "starts"),
        "likelihood": ("protocol", "elbo_nats"),
        "arithmetic": ("measured", "expression"),
        "latent_map": ("maps", "protocol", "hole_share_of_images"),
    }
    for name, broken in keys.items():
        for key in broken:
            for run in three.values():
                path = run / "artifacts" / f"{name}.json"
                if path.exists():
                    change(families, run, f"artifacts/{name}.json", lambda each, key=key: each.update({key: wrong}))
    assert beside(*three.values()).unbalanced == []


@pytest.mark.parametrize("wrong", [None, [[]], "text", 3, True, [None, 3, "x", {}], 10**400])
@pytest.mark.parametrize("name", ["scores.json", "run.json", "best.json"])
def test_a_damaged_document_of_a_run_is_named(families, beside, three, name, wrong):
    key = {"scores.json": "scores", "run.json": "data", "best.json": "checkpoint"}[name]
    change(families, three["vae"], name, lambda each: each.update({key: wrong}))
    with pytest.raises(StorageError, match=re.escape(f"{three['vae']}/{name}: ")):
        beside(*three.values())


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_damaged_values_end_no_page(families, beside, three, wrong):
    def damage(value):
        if isinstance(value, dict):
            return {key: damage(one) for key, one in value.items()}
        return [damage(one) for one in value] if isinstance(value, list) else wrong

    for run in three.values():
        for name in NAMES:
            path = run / "artifacts" / f"{name}.json"
            if path.exists():
                change(families, run, f"artifacts/{name}.json", lambda each: each.update(damage(each)))
    assert beside(*three.values()).unbalanced == []


def test_files_that_are_no_json_are_named(beside, three):
    (three["gan"] / "artifacts/projections.json").write_text("{")
    (three["vae"] / "artifacts/samples.png").write_bytes(b"no picture")
    told = warnings(beside(*three.values()))
    assert any(not missing(text, "gan: artifacts/projections.json") for text in told)
    assert len(told) == 3  # and that the GAN's networks are smaller


def test_a_generator_of_the_users_own_has_no_parameters_to_count(tmp_path):
    entry = "entry:mine.faces:generator"
    (tmp_path / "experiment.yaml").write_text("model: {entry: 'mine.faces:generator'}\n")
    run = RunFolder.open(tmp_path)
    side = read_compared_run("mine", "runs/mine", read_row("mine", run, entry), run)
    page = render_comparison([side, side], columns([side.row]))
    assert side.parameters is None
    assert page.count('class="notice warning"') == 1  # on the data; none on parameters
    assert "python -m jobs.interpolate runs/mine" in page
