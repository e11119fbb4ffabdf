"""Tables: as they are in a log, and within the width of a terminal."""

import pytest

from framework.report.text.format import score_in_words
from jobs.cli.tables import aligned, leaderboard_table, score_lines

ROWS = [
    {"rank": 1, "trial": "003-ab12", "optimizer.generator_lr": 0.000433, "model.latent_size": 64, "score": 0.53412,
     "score_images_seen": 56_016, "last_score": 21.0, "images_per_second": 322.24, "state": "finished"},
    {"rank": 2, "trial": "001-74fd", "optimizer.generator_lr": 0.001, "model.latent_size": 128, "score": None,
     "state": "failed", "error": "TrainingError: step 3: [old] \x1b[31mloss[/x] is nan"},
]  # fmt: skip


def test_a_log_has_all_of_the_leaderboard_on_a_line_a_trial():
    assert leaderboard_table(ROWS).splitlines() == [
        "rank  trial     generator_lr  latent_size  score   at images  last_score  images_per_second  state",
        "1     003-ab12  0.000433      64           0.5341  56,016     21          322.2              finished",
        "2     001-74fd  0.001         128          -       -          -           -                  failed",
        "      error: TrainingError: step 3: [old] \x1b[31mloss[/x] is nan",
    ]


def test_schedules_are_short():
    falling = {"from": 2e-4, "to": 5e-5, "over": 200_000, "shape": "cosine"}
    rows = [row | {"optimizer.generator_lr": falling, "optimizer.beta2.from": 0.9} for row in ROWS[:1]]
    head, line = leaderboard_table(rows).splitlines()
    assert head.split()[2:5] == ["generator_lr", "latent_size", "beta2.from"]
    assert "  0.0002 to 5e-05 over 200,000  64           0.9         " in line


@pytest.mark.parametrize("width", [50, 60, 80, 100, 140])
def test_a_terminal_has_what_there_is_room_for_and_says_what_is_left_out(width):
    lines = leaderboard_table(ROWS, width=width).splitlines()
    assert len(lines[0]) <= width
    assert lines[1].split()[:2] == ["1", "003-ab12"]
    assert "0.5341" in lines[1]
    assert lines[1].endswith("finished")
    gone = [line for line in lines if line.startswith("(columns left out for lack of room: ")]
    assert bool(gone) == (len(lines[1].split()) < 9)
    assert all("leaderboard.csv" in line for line in gone)


def test_a_long_table_in_a_log_is_neither_cut_nor_wrapped():
    lines = aligned(["name", "score"], [["x" * 300, "1"], ["y", "2"]])
    assert lines == ["name" + " " * 298 + "score", "x" * 300 + "  1", "y" + " " * 301 + "2"]


def test_a_narrow_terminal_loses_no_character():
    lines = aligned(["name", "score"], [["x" * 60, "1"], ["y", "2"]], width=40)
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 60


def test_text_of_users_is_text():
    lines = aligned(["name", "n"], [["[bold]a[/x]", "1"], [":smile:", "2"], ["\x1b[31mred\x07\n", "3"], ["名前", "4"]])
    # 名前 takes four columns.
    said = {"name": "n", "[bold]a[/x]": "1", ":smile:": "2", "\\x1b[31mred\\x07\\n": "3", "名前  ": "4"}
    assert [line.replace("名前", "名前  ") for line in lines] == [f"{name:<17}  {n}" for name, n in said.items()]


def test_numbers_end_below_each_other():
    assert aligned(["", "nats"], [["elbo", "-101.25"], ["kl", "7.50"]], right=[1]) == [
        "         nats", "elbo  -101.25", "kl       7.50",
    ]  # fmt: skip


def test_a_leak_of_augmentations_is_told_without_features():
    side = {"count": 1_000, "split": "generated", "seed": 0}
    protocol = {"family": "augmentation_leak", "operations": ["color", "noise"], "fake": side}
    score = {"metric": "augmentation_leak", "value": 0.0625, "sd": 0.01, "protocol": protocol}
    assert score_lines([score]).startswith("augmentation_leak = 0.0625 ± 0.01  (1,000 ")
    assert "(color, noise)" in score_in_words(score)
