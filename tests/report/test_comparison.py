"""What compares trials: parallel coordinates, importance, last samples, lineage, failures, and the leaderboard."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from framework.errors import StorageError
from framework.images import grid, png_bytes
from framework.report import read_results
from framework.report.charts.lineage import ancestry_of_best, copies, lineage
from framework.report.charts.parallel import parallel
from framework.report.charts.search_keys import keys_of
from framework.report.read.final_images import first_tiles
from framework.report.read.trials import Ancestry
from framework.report.run_page.comparison import comparison_of, distinct_settings
from framework.report.run_page.leaderboard import leaderboard_of
from framework.runs import RunFolder
from tests.conftest import missing

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def many(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("many"), trials=24, searched=4, artifacts=False)


@pytest.fixture(scope="module")
def population(make_run, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("population"), trials=12, searched=3, lineage=True, artifacts=False)


def results_of(run, **changed):
    return dataclasses.replace(read_results(RunFolder.open(run)), **changed)


def test_parallel_axes_follow_the_space(many):
    drawn = parallel(results_of(many), name="p", width=1120)
    assert drawn is not None
    assert [axis.key for axis in drawn.axes] == [
        *("optimizer.generator_lr", "model.latent_size", "optimizer.discriminator_lr", "objective.augmentations"),
        "score",
    ]
    rate, size, _, kinds, _ = drawn.axes
    heights = {label: y for y, label in rate.ticks}
    assert heights["1e−4"] == drawn.bottom  # the range's ends are the axis's, whether a trial is there or not
    assert heights["0.001"] == drawn.top
    doubled = [heights["1e−4"] - heights["2e−4"], heights["5e−4"] - heights["0.001"]]
    assert doubled[0] == pytest.approx(doubled[1], abs=0.2)  # a factor is a length
    assert [label for _, label in size.ticks] == ["32", "64"]
    assert [label for _, label in kinds.ticks] == ["none", "translation", "color, tran…"]
    assert len(drawn.lines) == 24
    assert all(drawn.top <= y <= drawn.bottom for line in drawn.lines for _, y in line.points)


@pytest.mark.parametrize("higher", [False, True])
def test_better_scores_lie_higher_whichever_way_they_go(many, higher):
    results = results_of(many)
    if higher:
        results.best["score"]["metric"] = "precision5k_768"
    drawn = parallel(results, name="p", width=1120)
    scores = {trial.id: trial.score for trial in results.trials}
    by_height = sorted(drawn.lines, key=lambda line: line.points[-1][1])
    assert [scores[line.trial] for line in by_height] == sorted(scores.values(), reverse=higher)
    assert [line.place for line in by_height] == pytest.approx([index / 23 for index in range(24)], abs=0.001)


def test_parallel_wants_two_keys_and_two_trials(make_run, tmp_path):
    for searched in (0, 1):
        run = make_run(tmp_path, trials=3, searched=searched, name=f"searched-{searched}", artifacts=False)
        assert parallel(results_of(run), name="p", width=1120) is None
    assert parallel(results_of(make_run(tmp_path, trials=1, name="one")), name="p", width=1120) is None


def test_repeats_with_other_seeds_are_one_setting(many):
    results = results_of(many)
    first = results.trials[0]
    again = dataclasses.replace(
        first, id=f"{first.id}-seed1", score=first.score + 4.0, params={**first.params, "seed": 1}
    )
    trials = [*results.trials, again]
    keys = keys_of(results.experiment, trials)
    assert "seed" not in [key.key for key in keys]
    settings = distinct_settings(keys, trials)
    assert len(settings) == 24
    assert settings[0] == (first, pytest.approx(first.score + 2.0))


def test_importance_is_worked_out_for_independent_trials_that_are_enough(many, population, finished):
    part = comparison_of(results_of(many))
    assert {one.key for one in part.important} == {key.key for key in keys_of(*_space(many))}
    few = comparison_of(results_of(finished))
    assert (few.important, missing(few.unjudged, "8 settings", "5 settings")) == ([], [])
    dependent = comparison_of(results_of(population))
    assert dependent.important == []
    assert dependent.unjudged


def _space(run):
    results = results_of(run)
    return results.experiment, results.trials


def test_first_tiles_are_the_grids_and_as_small_as_asked():
    faces = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3) * 6
    png = png_bytes(grid(faces, columns=8))
    image = np.asarray(Image.open(io.BytesIO(first_tiles(png, tile=32, most_bytes=40_000))).convert("RGB"))
    assert image.shape == (2 * 34 + 2, 4 * 34 + 2, 3)
    centres = image[18::34, 18::34, 0].astype(int)
    np.testing.assert_allclose(centres, [[0, 6, 12, 18], [48, 54, 60, 66]], atol=3)
    noise = np.random.default_rng(0).integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)
    assert len(first_tiles(png_bytes(grid(noise, columns=8)), tile=128, most_bytes=7_500)) <= 7_500
    assert first_tiles(png[:100], tile=32, most_bytes=40_000) is None


def test_last_samples_stand_in_rank_order_with_their_clock(many):
    part = comparison_of(results_of(many))
    ranks = [final.trial.rank for final in part.finals]
    assert ranks == list(range(1, 25))
    early = next(final for final in part.finals if final.trial.state == "stopped")
    assert early.picture.caption == "48,000"
    assert part.latent_sizes == ["32", "64"]


def test_the_best_ones_descent_goes_back_through_its_donors(many):
    a, b, c = results_of(many).trials[:3]
    a = dataclasses.replace(a, score_images_seen=90, lineage=[Ancestry(60, b.id, 60, {}), Ancestry(90, c.id, 90, {})])
    b = dataclasses.replace(b, lineage=[Ancestry(30, c.id, 28, {})])
    found = ancestry_of_best([a, b, c], a)
    assert found == {a.id: [(60, 90)], b.id: [(30, 60)], c.id: [(0, 28)]}  # the copy at 90 came after the score
    endless = dataclasses.replace(a, lineage=[Ancestry(60, a.id, 95, {})])
    assert ancestry_of_best([endless], endless) == {a.id: [(60, 90)]}
    assert ancestry_of_best([a], None) == {}


def test_lineage_is_drawn_and_told_where_there_is_one(many, population, page_of):
    results = results_of(population)
    drawn = lineage(results, name="l", width=1120)
    every = copies(results.trials)
    assert len(drawn.rows) == 12
    assert len(drawn.arrows) == len(every) >= 5
    assert any(arrow.best for arrow in drawn.arrows)
    assert [copy.ancestry.images_seen for copy in every] == sorted(copy.ancestry.images_seen for copy in every)
    page = page_of(population)
    assert every[0].changed.startswith("generator_lr ")
    assert f"{every[0].ancestry.from_trial} at 32,000 images: {every[0].changed}" in page.text
    assert 'id="lineage"' not in page_of(many).source


def test_a_damaged_lineage_line_is_named(population):
    run = RunFolder.open(population)
    trial = next(trial for trial in run.trials() if trial.folder.exists("lineage.jsonl"))
    before = trial.folder.read_text("lineage.jsonl")
    count = sum(len(trial.lineage) for trial in read_results(run).trials)
    try:
        for line in ("[]", '{"images_seen": null}'):
            trial.folder.write_text("lineage.jsonl", f"{before}{line}\n")
            with pytest.raises(StorageError, match=rf"lineage\.jsonl, line {before.count(chr(10)) + 1}: "):
                read_results(run)
        trial.folder.write_text("lineage.jsonl", before + '{"images_seen": 5, "from_tr')  # of a job that was killed
        assert sum(len(trial.lineage) for trial in read_results(run).trials) == count
    finally:
        trial.folder.write_text("lineage.jsonl", before)


def test_failures_are_told_with_their_reason_and_settings(many, page_of):
    (failure,) = comparison_of(results_of(many)).failures
    assert failure.error == "TrainingError: generator_loss is nan at step 325; learning rate 9.1e-4"
    assert failure.images_seen == 20_800
    page = page_of(many)
    section = page.source.split('id="failures"')[1].split("</section>")[0]
    assert failure.trial.id in section
    assert failure.error in section
    assert failure.label in section


def test_columns_of_other_versions_are_shown(many, tmp_path):
    run = RunFolder.open(many)
    before = run.folder.read_text("leaderboard.csv")
    rows = list(csv.DictReader(io.StringIO(before)))
    for row in rows:
        row |= {"seeds": "", "score_mean": "", "score_sd": "", "within_noise": "", "seed": "", "flavour": ""}
    rows[0] |= {"seeds": 3, "score_mean": 15.25, "score_sd": 0.5, "within_noise": "yes", "flavour": "sweet"}
    try:
        with (many / "leaderboard.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        board = leaderboard_of(read_results(run))
    finally:
        run.folder.write_text("leaderboard.csv", before)
    titles = [column.title for column in board.columns]
    shown = dict(zip(titles, (cell.text for cell in board.rows[0].cells), strict=True))
    assert {
        "Seeds": "3",
        "Mean score": "15.25",
        "± sd": "0.5000",
        "Within noise of the first": "yes",
    }.items() <= shown.items()
    assert shown["Flavour"] == "sweet"
    assert "Seed" not in titles  # empty in every row
    numeric = {column.title: column.numeric for column in board.columns}
    assert numeric["Mean score"]
    assert not numeric["Flavour"]


def test_a_trial_that_failed_without_a_word_is_told_too(many, page_of):
    run = RunFolder.open(many)
    trial = run.trials()[0]
    before = trial.folder.read_json("state.json")
    try:
        trial.folder.write_json("state.json", {"state": "failed"})
        failures = comparison_of(read_results(run)).failures
        page = page_of(many)
    finally:
        trial.folder.write_json("state.json", before)
    (failure,) = (failure for failure in failures if failure.trial.id == trial.id)
    assert failure.error
    assert failure.error in page.section("failures")


def test_two_hundred_trials_keep_the_page_under_5_mb(make_run, page_of, tmp_path):
    run = make_run(tmp_path, trials=200, searched=6, failed=9)
    page = page_of(run)
    assert page.unbalanced == []
    assert len(set(page.ids)) == len(page.ids)
    assert len(page.source) < 5_000_000
    assert page.by_class["path"] == 400  # every trial, in the wide and the narrow drawing
    section = page.source.split('id="samples"')[1].split("</section>")[0]
    assert section.count("<img") == 200
    first, *others = comparison_of(results_of(run)).important
    assert (first.key, first.could_be_chance) == ("optimizer.generator_lr", False)  # what make_run's quality follows
    assert all(one.could_be_chance for one in others)
