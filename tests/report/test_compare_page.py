"""Runs side by side: which value is marked, which verdict is given, and what is said where rows do not compare."""

import html
import re

import pytest

from framework.report.compare_page.compared_run import read_compared_run
from framework.report.compare_page.page import render_comparison
from framework.report.shared.score_table import columns, read_row
from framework.runs import RunFolder

pytestmark = pytest.mark.long


@pytest.fixture
def three(families, tmp_path):
    """Fresh runs of the three families, family -> folder."""
    return families.make_families(tmp_path)


@pytest.fixture(scope="module")
def page(families, beside, tmp_path_factory):
    return beside(*families.make_families(tmp_path_factory.mktemp("runs")).values())


def section(page, anchor):
    """The source of a section."""
    return re.search(rf'<section id="{anchor}">.*?</section>', page.source, re.DOTALL)[0]


def cells(page, key, *, within=None):
    """A row's texts, a star where one is the best; None where the row is not there."""
    source = page.source if within is None else section(page, within)
    row = re.search(rf'<tr data-key="{re.escape(key)}">.*?</tr>', source, re.DOTALL)
    if row is None:
        return None
    texts = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td.*?</td>", row[0], re.DOTALL)]
    return [html.unescape(" ".join(text.split())) for text in texts]


def verdicts(page):
    """Claim -> verdict."""
    pairs = re.findall(r'<h3>([^<]+)</h3>\s*<p class="verdict [a-z]+">([^<]+)</p>', section(page, "claims"))
    return {html.unescape(claim): html.unescape(verdict) for claim, verdict in pairs}


def verdict(page, start):
    return next((text for claim, text in verdicts(page).items() if claim.startswith(start)), None)


def warnings(page):
    return [html.unescape(text) for text in re.findall(r"<strong>Warning</strong> ([^<]+)</p>", page.source)]


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
    assert verdict(page, "An autoencoder’s latent space") == "holds here"
    assert verdict(page, "An autoencoder does not interpolate") == (
        "mixed: holds for confidence midway within a class, length / straight distance, longest step / mean step; "
        "does not hold for confidence midway between classes"
    )
    assert verdict(page, "A VAE’s") == "mixed: holds for holes under the prior; does not hold for holes between codes"
    assert verdict(page, "A GAN produces") == "mixed: holds for FID-768; does not hold for recall-768"
    assert verdict(page, "An autoencoder or VAE reconstructs") == "holds here"
    assert "better by more than 0.02, for shares" in page.text


def test_a_claim_that_the_figures_speak_against(families, beside, three):
    def swap(document):
        first, second = document["maps"]
        first["hole_share"], second["hole_share"] = second["hole_share"], first["hole_share"]

    change(families, three["autoencoder"], "artifacts/latent_map.json", swap)
    page = beside(*three.values())
    assert verdict(page, "An autoencoder’s latent space") == "does not hold here"
    assert verdict(page, "A VAE’s") == "does not hold here"


def test_a_difference_within_the_margin_does_not_count(families, beside, three):
    def nearly(document):
        document["maps"][0]["hole_share"] = {**document["maps"][1]["hole_share"], "between_codes": 0.139}

    change(families, three["autoencoder"], "artifacts/latent_map.json", nearly)
    page = beside(*three.values())
    assert cells(page, "hole_share.between_codes") == ["–", "13.9%", "12.0% ★"]
    assert verdict(page, "An autoencoder’s latent space") == "does not hold here"


@pytest.mark.parametrize(
    ("among", "claims"),
    [
        (("gan",), []),
        (("vae",), ["A VAE’s"]),
        (("autoencoder", "vae"), ["An autoencoder’s", "An autoencoder does", "A VAE’s"]),
        (("gan", "autoencoder"), ["An autoencoder does", "A GAN", "An autoencoder or"]),
    ],
)
def test_only_claims_about_families_that_are_there(beside, three, among, claims):
    page = beside(*(three[family] for family in among))
    if not claims:
        assert "Common claims" not in page.text
        return
    assert len(verdicts(page)) == len(claims)
    assert all(verdict(page, start) for start in claims)


def test_different_data_is_said_first_and_nothing_is_judged(families, beside, three):
    change(families, three["gan"], "run.json", {"data": {**families.DATA, "source": "kmnist", "digest": "0b5e" * 16}})
    page = beside(*three.values())
    assert warnings(page)[0] == (
        "The runs used different data (gan: kmnist, 0b5e0b5e; autoencoder: mnist, d161d161; vae: mnist, d161d161), "
        "so their values cannot be compared."
    )
    assert page.source.index("different data") < page.source.index('id="about"')
    assert verdict(page, "A GAN produces") == "not judged: the runs used different data"
    assert verdict(page, "A VAE’s").startswith("mixed")  # it is of one run alone
    assert "★" not in "".join(cells(page, "paths.lerp.ratio") + cells(page, "photos.pixel_error"))
    assert "No best value is marked here, because the runs used different data." in page.text


def test_unequal_training_size_and_unknown_data_are_said(families, beside, three):
    experiment = {"data": {"source": "mnist", "resolution": 32, "channels": 1}, "model": {"family": "vae", "width": 16}}
    change(families, three["vae"], "experiment.yaml", experiment)
    (three["vae"] / "run.json").unlink()
    old, new = (three["vae"] / "trials/000/checkpoints" / name for name in ("000000600000", "000000900001"))
    old.rename(new)
    change(families, three["vae"], "best.json", {"trial": "000", "checkpoint": f"trials/000/checkpoints/{new.name}"})
    told = " ".join(warnings(beside(three["autoencoder"], three["vae"])))
    assert "It is not known which data vae used" in told
    assert "have different sizes (autoencoder: 28 × 28, grey; vae: 32 × 32, grey)" in told
    assert "training images seen differs by more than a factor of 1.5 between the runs, from 600,000 to 900,001" in told
    assert "number of parameters of the generator (decoder) differs" in told
    assert "number of parameters of the discriminator (encoder) differs" in told
    assert "Warning" not in beside(three["autoencoder"], three["autoencoder"]).text


@pytest.mark.parametrize(
    ("name", "key", "value", "row", "told"),
    [
        ("interpolation.json", "assessor", "0ther", "paths.lerp.ratio", "the runs differ in assessor"),
        ("projections.json", "starts", 1, "photos.pixel_error", "the runs differ in starts"),
    ],
)
def test_no_best_where_figures_were_measured_unlike(families, beside, three, name, key, value, row, told):
    change(families, three["vae"], f"artifacts/{name}", lambda document: document.update({key: value}))
    page = beside(*three.values())
    assert "★" not in "".join(cells(page, row))
    assert f"No best value is marked here, because {told}." in page.text


def test_photographs_of_other_names_do_not_compare(families, beside, three):
    def rename(document):
        document["photos"][0]["name"] = "held_out_77"

    change(families, three["vae"], "artifacts/projections.json", rename)
    page = beside(three["gan"], three["vae"])
    assert cells(page, "photos.pixel_error") == ["34.00 median of 3", "16.00 median of 3"]
    assert "No best value is marked here, because the runs differ in photographs." in page.text
    # By its own random samples a VAE is judged all the same.
    assert verdict(page, "An autoencoder or VAE reconstructs") == "holds here"


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
    assert set(verdicts(page).values()) == {"not measured"}
    assert "★" not in page.text.replace("★ marks the best", "")


def test_an_artifact_of_another_checkpoint_is_not_shown(families, beside, three):
    change(families, three["gan"], "artifacts/interpolation.json", lambda document: document.update(generator="f" * 64))
    page = beside(*three.values())
    assert cells(page, "paths.lerp.ratio") == ["–", "2.500", "2.000 ★"]
    assert "gan: artifacts/interpolation.json belongs to another checkpoint." in page.text
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
    assert verdict(page, "A GAN produces") == "does not hold here"  # recall is all that the three share


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
def test_damaged_files_end_no_page(families, beside, three, wrong):
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
    for run in three.values():
        change(
            families, run, "scores.json", lambda each: each["scores"].extend([wrong, {"metric": "fid", "value": wrong}])
        )
        change(families, run, "run.json", {"data": wrong})
    assert beside(*three.values()).unbalanced == []


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
    assert "gan: artifacts/projections.json is not a JSON object; its results are not shown." in told
    assert len(told) == 3  # and that the GAN's networks are smaller


def test_a_generator_of_the_users_own_has_no_parameters_to_count(tmp_path):
    entry = "entry:mine.faces:generator"
    (tmp_path / "experiment.yaml").write_text("model: {entry: 'mine.faces:generator'}\n")
    run = RunFolder.open(tmp_path)
    side = read_compared_run("mine", "runs/mine", read_row("mine", run, entry), run)
    page = render_comparison([side, side], columns([side.row]))
    assert side.parameters is None
    assert "more than a factor" not in page
    assert "python -m jobs.interpolate runs/mine" in page
