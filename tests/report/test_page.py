"""The page: whole, self-contained, escaped, and without a broken section however little there is."""

import csv
import json
import re
import shutil

import pytest

from framework.config.schedule import value_at
from framework.evaluation.truncation import Point, draw_truncation
from framework.images import png_bytes
from framework.report.shared.score_table import read_row
from framework.runs import RunFolder
from framework.search.leaderboard import update_results

SECTIONS = (
    *("leaderboard", "curves", "growth", "scores", "interpolation", "arithmetic", "latent"),
    *("assessors", "about", "next"),
)


def assert_whole(page):
    assert page.unbalanced == []
    assert len(set(page.ids)) == len(page.ids)
    assert set(SECTIONS) <= set(page.ids)
    anchors = [value for value in page.values("href") if value.startswith("#")]
    assert {anchor[1:] for anchor in anchors} <= set(page.ids)
    for leaked in ("{{", "{%", "None", "nan", "Undefined"):
        assert leaked not in page.text.replace("is nan at step", ""), leaked


@pytest.fixture(scope="module")
def page(finished, page_of):
    return page_of(finished)


def test_page_loads_nothing_from_anywhere(page):
    assert_whole(page)
    loaded = page.values("src", "href", "srcset", "poster", "data", "action", "xlink:href")
    assert loaded
    assert [value[:60] for value in loaded if not value.startswith(("data:", "#"))] == []
    code = re.sub(r'"data:[^"]*"', "", page.source)
    assert not re.search(r"@import|https?:|url\((?!#)|fetch\(|XMLHttpRequest|<link", code)
    assert len(page.source) < 4_000_000


def test_every_trial_is_in_the_leaderboard_and_in_every_chart(finished, page):
    rows = list(csv.DictReader((finished / "leaderboard.csv").read_text().splitlines()))
    assert len(rows) == 5
    charts = page.source.count("<svg")
    assert charts == 12  # the score and the parameters twice, wide and narrow, and eight panels
    for row in rows:
        assert row["trial"] in page.text
        assert f"{float(row['score']):#.4g}" in page.text
        others = 3 + (row["state"] == "failed")  # a row, a place in the legend, samples; and why it failed
        assert page.source.count(f'data-trial="{row["trial"]}"') == charts + others
    order = [page.text.index(row["trial"], page.text.index("Warnings and errors")) for row in rows]
    assert order == sorted(order)


def test_page_says_what_was_found_and_run(finished, page):
    final = json.loads((finished / "scores.json").read_text())["scores"][0]
    best = json.loads((finished / "best.json").read_text())
    for said in (
        f"{final['value']:#.4g}Assessor Fréchet distance",
        "5,000 generated",
        "7,203 real",
        f"Assessor Fréchet distance {best['score']['value']:#.4g}",
        best["checkpoint"],
        "python -m jobs.pipeline configs/demo.yaml search.trials=5",
        "1 of 5",
        "TrainingError: generator_loss is nan at step 325",
        "Inception weights are not at hand",
        "11%",
        "the repeats share samples of no_glasses (412 samples, each up to 2 times)",
        "87%95%: 79% to 92%",
        "24%95%: 22% to 26%",
        "area under ROC",
        "13 min",
        "optimizer.generator_lr",
        "2.14.1",
        f"python -m jobs.pipeline {finished} training.total_images=256000",
    ):
        assert said in page.text, said


def test_pictures_have_words_for_who_cannot_see_them(page):
    images = sum(1 for tag, name, _ in page.attributes if (tag, name) == ("img", "src"))
    alts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert (
        images == len(alts) == 4 + 10 + 5 + 1
    )  # artifacts, film, last samples, and the empty picture to enlarge others in
    assert alts.count("") == 1
    assert "th" in {tag for tag, name, value in page.attributes if name == "scope"}


def test_the_same_files_give_the_same_page(finished, page, page_of):
    assert page_of(finished).source == page.source


EVIL = """<script>alert("x")</script>'"&<img src=x onerror=alert(1)>\u202e{{ 7 * 7 }}"""


@pytest.mark.long
def test_text_from_files_stays_text(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=2, failed=0)
    rows = list(csv.DictReader((run / "leaderboard.csv").read_text().splitlines()))
    for row in rows:
        trial = run / "trials" / row["trial"]
        params = {EVIL: EVIL, "model.latent_size": EVIL}
        (trial / "params.json").write_text(json.dumps(params))
        (trial / "state.json").write_text(json.dumps({"state": EVIL, "error": EVIL}))
        report = json.loads((trial / "metrics.jsonl").read_text().splitlines()[-1])
        report |= {"images_seen": report["images_seen"] + 1, "warnings": [EVIL]}
        with (trial / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(report) + "\n")
    about = json.loads((run / "run.json").read_text())
    about |= {"command": ["python", EVIL], "machine": {EVIL: EVIL}, "versions": {EVIL: EVIL}}
    about |= {"warnings": [EVIL, {"text": EVIL, "command": EVIL}], "notes": [EVIL], "started": EVIL, "ended": EVIL}
    about["data"] = {"path_name": EVIL, "source": EVIL, "labels": [EVIL]}
    about["assessors"] = {"finder": {"accuracy": {EVIL: {"metric": EVIL, "value": 1, "n": 2}}}}
    (run / "run.json").write_text(json.dumps(about))
    score = {"metric": EVIL, "value": 3.0, "protocol": {EVIL: EVIL, "features": EVIL}, "checkpoint": EVIL}
    (run / "scores.json").write_text(json.dumps({"scores": [score]}))
    best = json.loads((run / "best.json").read_text()) | {"trial": rows[0]["trial"], "score": score}
    (run / "best.json").write_text(json.dumps(best))
    arithmetic = {"expression": EVIL, "measured": [{"attribute": EVIL, "share": 0.5, "random_share": 0.1}]}
    (run / "artifacts" / "arithmetic.json").write_text(json.dumps(arithmetic))

    page = page_of(run)
    assert page.unbalanced == []
    assert page.source.count("<script") == 1
    assert "onerror" not in {name for _, name, _ in page.attributes}
    assert [value for value in page.values("src") if not value.startswith("data:")] == []
    assert page.text.count("{{ 7 * 7 }}") > 20


REMOVED = {
    "no artifacts": ["artifacts"],
    "no arithmetic": ["artifacts/arithmetic.png", "artifacts/arithmetic.json"],
    "no documents": ["artifacts/arithmetic.json", "artifacts/interpolation.json"],
    "no scores": ["scores.json"],
    "no best": ["best.json", "scores.json", "artifacts"],
    "no account of itself": ["run.json"],
    "no leaderboard yet": ["leaderboard.csv"],
    "no trials": ["trials", "leaderboard.csv", "best.json"],
    "only the experiment": ["trials", "leaderboard.csv", "best.json", "scores.json", "artifacts", "run.json"],
}


@pytest.mark.long
@pytest.mark.parametrize("missing", REMOVED)
def test_what_is_missing_leaves_a_sentence(missing, finished, page_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    for name in REMOVED[missing]:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    page = page_of(run)
    assert_whole(page)
    waiting = {
        "artifacts": ("interpolation", "arithmetic"),
        "artifacts/arithmetic.png": ("arithmetic",),
        "best.json": ("growth",),
        "trials": ("leaderboard", "curves", "growth"),
        "run.json": ("about",),
    }
    for name in REMOVED[missing]:
        assert all('class="later"' in page.section(anchor) for anchor in waiting.get(name, ()))


@pytest.mark.long
def test_a_run_of_one_trial_that_has_only_begun(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=1)
    trial = next((run / "trials").iterdir())
    for name in ("leaderboard.csv", "best.json", "scores.json"):
        (run / name).unlink()
    shutil.rmtree(run / "artifacts")
    shutil.rmtree(trial / "samples")
    first = (trial / "metrics.jsonl").read_text().splitlines()[0]
    (trial / "metrics.jsonl").write_text(first + "\n")
    (trial / "scores.jsonl").unlink()
    (trial / "params.json").write_text("{}")
    (trial / "state.json").write_text('{"state": "running"}')
    page = page_of(run)
    assert_whole(page)
    for said in ("1 trial of DCGAN", "running", "Generator loss"):
        assert said in page.text, said
    assert '<p class="figure">' not in page.source
    assert 'class="later"' in page.section("curves")


@pytest.mark.long
def test_an_imported_run_shows_its_score_and_what_a_training_would_begin_with(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=1)
    for name in ("leaderboard.csv", "best.json"):
        (run / name).unlink()
    trial = next((run / "trials").iterdir())
    for name in ("metrics.jsonl", "scores.jsonl"):
        (trial / name).unlink()
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "imported": {"from": "keras"}}))
    final = json.loads((run / "scores.json").read_text())["scores"][0]
    page = page_of(run)
    assert_whole(page)
    assert page.source.count('<p class="figure">') == 1
    assert f'<p class="figure">{final["value"]:#.4g}<span>' in page.source
    assert f"jobs.train CONFIG training.start_from={run}" in page.text
    assert f"jobs.pipeline {run}" not in page.text
    assert all('class="later"' in page.section(anchor) for anchor in ("curves", "growth"))
    (run / "scores.json").unlink()
    assert '<p class="figure">' not in page_of(run).source


def test_a_run_whose_trials_all_failed_before_they_reported(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=3, failed=3, artifacts=False)
    for name in ("best.json", "scores.json", "leaderboard.csv"):
        (run / name).unlink()
    for trial in (run / "trials").iterdir():
        for name in ("metrics.jsonl", "scores.jsonl"):
            (trial / name).unlink()
    page = page_of(run)
    assert_whole(page)
    assert "3 of 3" in page.text
    assert page.text.count("TrainingError") == 3
    assert 'class="later"' in page.section("curves")


@pytest.mark.long
def test_an_expression_that_could_not_be_run_says_how_to_finish_it(finished, page_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    command = "python -m jobs.arithmetic RUN 'latents.groups={glasses: […]}'"
    notes = [{"text": "it needs glasses, of which nothing is known", "command": command}]
    (run / "artifacts" / "arithmetic.json").write_text(json.dumps({"expression": "", "measured": [], "notes": notes}))
    (run / "artifacts" / "arithmetic.png").unlink()
    page = page_of(run)
    assert_whole(page)
    assert page.text.count(command) == 2  # at the top, and where the numbered samples are
    assert 'class="later"' not in page.section("arithmetic")
    assert ("details", "open", "") in page.attributes


@pytest.mark.long
def test_a_damaged_picture_is_left_out(finished, page_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    samples = run / "artifacts" / "samples.png"
    samples.write_bytes(samples.read_bytes()[:200])
    (run / "artifacts" / "interpolation.png").write_bytes(b"")
    page = page_of(run)
    assert_whole(page)
    assert 'class="later"' in page.section("interpolation")


@pytest.mark.long
def test_numbers_that_are_not_finite_interrupt_a_curve(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=1)
    metrics = next((run / "trials").iterdir()) / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    rows[30]["generator_loss"] = None
    for row in rows:
        row["discriminator_loss"] = None
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = page_of(run)
    assert_whole(page)
    chart = page.source.split('id="chart-generator_loss"')[1].split("</svg>")[0]
    assert chart.count("<polyline") == 2
    assert 'id="chart-discriminator_loss"' not in page.source


@pytest.mark.long
def test_scheduled_values_have_a_panel_and_a_short_name(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=3)
    assert "chart-generator_lr" not in page_of(run).source
    for number, trial in enumerate(sorted((run / "trials").iterdir())):
        falling = {"from": 4e-4 / (number + 1), "to": 5e-5, "over": 100_000}
        params = json.loads((trial / "params.json").read_text()) | {"optimizer.generator_lr": falling}
        (trial / "params.json").write_text(json.dumps(params))
        values = {"shape": "cosine"} | falling
        rows = [json.loads(line) for line in (trial / "metrics.jsonl").read_text().splitlines()]
        rows = [row | {"generator_lr": value_at(values, row["images_seen"]), "r2_penalty": 0.1} for row in rows]
        (trial / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    update_results(RunFolder.open(run))
    page = page_of(run)
    assert_whole(page)
    assert "Schedule of generator lr optimizer.generator_lr" in page.text
    assert page.source.split('id="chart-generator_lr"')[1].split("</svg>")[0].count("<polyline") == 3
    assert 'id="chart-r2_penalty"' in page.source
    assert "0.0002 to 5e-05 over 100,000" in page.section("leaderboard")


@pytest.mark.long
def test_thirty_trials_have_five_colours_and_one_highlight(make_run, page_of, tmp_path):
    page = page_of(make_run(tmp_path, trials=30))
    assert_whole(page)
    legend = page.source.split('class="legend"')[1].split("</div>")[0]
    assert legend.count("<button") == 5
    assert "25 more" in legend
    assert page.source.count('class="curve c0"') == 10
    last = page.source.split("<svg")[1].split("</svg>")[0].rsplit('class="curve ', 1)[1]
    assert last.startswith("c0")  # drawn last, over the others


@pytest.mark.long
def test_scores_of_every_checkpoint_are_curves_a_panel_a_protocol(finished, page_of, tmp_path):
    place = shutil.copytree(finished, tmp_path / "copy")
    run = RunFolder.open(place)
    trial = run.trials()[0].id
    protocol = {"name": "recall5k_768", "family": "recall"}
    run.add_scores(
        [
            {
                "metric": "recall5k_768",
                "value": value,
                "sd": 0.01,
                "protocol": {**protocol, "real": {"count": real}},
                "checkpoint": f"trials/{trial}/checkpoints/{images_seen:012d}",
            }
            for real in (100, 90)
            for images_seen, value in ((64, 0.1), (128, 0.3))
        ]
    )
    page = page_of(place)
    assert_whole(page)
    assert page.source.count("<svg") == 12 + 2
    assert page.section("scores").count("<svg") == page.text.count("recall5k_768; higher") == 2


def scored(run, metric, value, checkpoint, **more):
    protocol = {"name": metric, "family": metric.rstrip("0123456789k_"), **more.pop("protocol", {})}
    run.add_scores([{"metric": metric, "value": value, "protocol": protocol, "checkpoint": checkpoint, **more}])


def test_scores_of_other_truncations_have_a_figure_and_stand_apart(finished, page_of, tmp_path):
    place = shutil.copytree(finished, tmp_path / "copy")
    run = RunFolder.open(place)
    best, before = run.best()["checkpoint"], page_of(place).section("scores")
    points = [Point(psi, 1 - psi / 2, psi / 2, 10 / psi) for psi in (0.5, 1.0)]
    run.artifacts.write_bytes("truncation.png", png_bytes(draw_truncation(points, title="Samples")))
    run.artifacts.write_json("truncation.json", {"checkpoint": best, "points": []})
    scored(run, "fid5k_768_psi0_5", 0.0123, best, protocol={"family": "fid", "fake": {"truncation": 0.5}})
    page = page_of(place)
    assert_whole(page)
    section = page.section("scores")
    assert section.count("<img") == before.count("<img") + 1
    assert "FID-768 at ψ 0.5" in section.split("<h3>Truncation</h3>")[1]
    assert best in section.split("<h3>Truncation</h3>")[1]
    assert "fid5k_768_psi0_5" not in section.split("<h3>Truncation</h3>")[0]
    assert "0.01230" not in page.source.split('<section class="hero"')[1].split("</section>")[0]  # the best distance


@pytest.mark.long
def test_scores_that_several_trials_have_are_columns_to_sort_by(finished, page_of, tmp_path):
    place = shutil.copytree(finished, tmp_path / "copy")
    run = RunFolder.open(place)
    rows = [row for row in run.leaderboard() if row["score"] is not None]
    for number, row in enumerate(rows[:2]):
        best = f"trials/{row['trial']}/checkpoints/{row['score_images_seen']:012d}"
        scored(run, "recall5k_768", 0.125 + number / 8, best)
        scored(run, "recall5k_768", 0.9, best.replace(f"{row['score_images_seen']:012d}", f"{16:012d}"))
    scored(run, "fid5k_768", 0.5, f"trials/{rows[0]['trial']}/checkpoints/{rows[0]['score_images_seen']:012d}")
    page = page_of(place)
    assert_whole(page)
    board = page.source.split('<table class="leaderboard">')[1].split("</table>")[0]
    assert 'data-first="descending" title="recall5k_768">Recall-768</th>' in board
    cells = [re.search(r'data-value="(0\.[0-9]+)">0\.[0-9]{4}</td>', line)[1] for line in board.split("<tr ")[1:3]]
    assert cells == ["0.125", "0.25"]
    assert "0.9000" not in board  # of another checkpoint than the trial's best
    assert "fid5k_768" not in board  # one trial alone has it


@pytest.mark.long
def test_an_extrapolated_distance_shows_its_fit(finished, page_of, tmp_path):
    place = shutil.copytree(finished, tmp_path / "copy")
    run = RunFolder.open(place)
    counts = [500, 1000, 2000, 5000]
    detail = {"slope": 300.0, "r_squared": 0.9876, "counts": counts, "distances": [2 + 300 / n for n in counts]}
    best = run.best()["checkpoint"]
    scored(run, "fid_infinity5k_768", 2.0, best, protocol={"family": "fid_infinity"}, detail=detail)
    page = page_of(place)
    assert_whole(page)
    chart = page.source.split('id="chart-fit-0"')[1].split("</figure>")[0]
    assert "98.8%" in chart
    assert "FID∞-768 2.000" in chart
    assert chart.count("<circle") == len(counts)
    ends = [tuple(map(float, point.split(","))) for point in re.search(r'polyline points="([^"]+)"', chart)[1].split()]
    dots = [tuple(map(float, dot)) for dot in re.findall(r'circle cx="([^"]+)" cy="([^"]+)"', chart)]
    (x0, y0), (x1, y1) = ends
    for x, y in dots:  # all on the line
        assert y == pytest.approx(y0 + (x - x0) / (x1 - x0) * (y1 - y0), abs=0.2)
    level = float(re.search(r'class="reference"><path d="M[0-9.]+ ([0-9.]+)H', chart)[1])
    assert level == pytest.approx(y0, abs=0.2)  # where the line meets infinitely many samples


def test_scores_of_classes_are_a_table_and_nothing_else(finished, page, page_of, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    whole = next(score for score in run.scores() if "frechet" in score["metric"])
    scores = []
    for value, distance in (("0", 12.5), ("1", 37.25)):
        fake = {**whole["protocol"]["fake"], "count": 437, "label": "<b>hat", "value": value}
        protocol = {**whole["protocol"], "fake": fake}
        scores.append({**whole, "metric": f"{whole['metric']}_per_class", "value": distance, "protocol": protocol})
        asked = {"family": "obeyed", "real": {"count": 38}, "fake": fake}
        found = {"metric": "obeyed_per_class", "value": 0.875, "detail": {"real": 0.97}, "protocol": asked}
        scores.append({**found, "checkpoint": whole["checkpoint"], "generator": whole["generator"]})
    run.add_scores(scores)
    with_classes = page_of(tmp_path / "run")
    assert_whole(with_classes)
    added = with_classes.section("scores")
    for said in ("Classes of &lt;b&gt;hat", "Assessor Fréchet distance", "437", "12.50", "37.25", "88%", "97% of 38"):
        assert said in added
    for anchor in ("leaderboard", "curves"):
        assert with_classes.section(anchor) == page.section(anchor)
    compared = [read_row("", each, whole["checkpoint"]) for each in (run, RunFolder.open(finished))]
    assert compared[0] == compared[1]
