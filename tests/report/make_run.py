"""Makes run folders that look like real ones, with any number of trials: for tests, and to look at the report.

python tests/report/make_run.py DESTINATION [--trials 30] [--name drawn-32] [--searched 4] [--lineage] [--directions 9]
"""

import argparse
import csv
import functools
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from framework.config import experiment_from_text
from framework.images import Row, Term, equation, grid, labelled_sheet, png_bytes, strips
from framework.latents.films import gif_bytes, mp4_bytes, there_and_back
from framework.latents.steering.effects import Effect, Slopes
from framework.latents.steering.reach import Reach

EXPERIMENT = """
data: {source: drawn_faces, resolution: 32, limit: 8000}
model: {width: 48}
training: {schedule: joint, batch_size: 64, total_images: 128000, report_every_images: 1600}
evaluation: {features: assessor, every_images: 16000}
compute: {workers: 2}
"""
SPACE = {
    "optimizer.generator_lr": {"loguniform": [1e-4, 1e-3]},
    "model.latent_size": {"choice": [32, 64]},
    "optimizer.discriminator_lr": {"loguniform": [1e-4, 1e-3]},
    "objective.augmentations": {"choice": [[], ["translation"], ["color", "translation", "cutout"]]},
    "model.dropout": {"uniform": [0.0, 0.6]},
    "model.width": {"choice": [32, 48, 64, 96]},
}  # the first of them are searched
DIRECTION_ATTRIBUTES = ("glasses", "smiling", "beard", "hat", "old", "female")
DIRECTION_METHODS = ("interfacegan", "difference", "ganalyze", "compass")
EXPRESSION = "glasses - no_glasses + smiling"
ARITHMETIC_NOTE = "no_glasses: the repeats share 412 samples, each in up to 2 of them"
REPORT_EVERY, SCORE_EVERY, TOTAL = 1_600, 16_000, 128_000
SIZE = {"height": 32, "width": 32, "channels": 3}
SCORE_PROTOCOL = {
    "name": "assessor_frechet_distance", "features": {"name": "assessor", "sha256": "5c1f" * 16}, "tap": 288,
    "resize": "none", "real": {"count": 7203, "split": "training", "digest": "9ab3" * 16, **SIZE},
    "fake": {"count": 1000, "split": "generated", "seed": 0, **SIZE},
    "pixels": "uint8, generated ones rounded and clipped", "precision": "features float32, moments float64",
}  # fmt: skip


def make_run(
    destination: Path,
    *,
    trials: int = 4,
    failed: int | None = None,
    seed: int = 0,
    name: str = "drawn-32",
    artifacts: bool = True,
    searched: int = 2,
    lineage: bool = False,
    directions: int = 0,
) -> Path:
    """Writes a finished run of so many trials; its folder.

    Args:
        destination: Where the run's folder is made.
        trials: How many.
        failed: The last of them so many failed; none named: one of several.
        seed: Of everything drawn.
        name: The run's.
        artifacts: Whether there are pictures of the best checkpoint.
        searched: How many keys differ between trials.
        lineage: Whether the weak trials went on from the strong ones, as a population based training does.
        directions: How many were found and measured, with films, walks and projected photographs.
    """
    rng = np.random.default_rng(seed)
    failed = min(1, trials - 1) if failed is None else failed
    run = destination / name
    run.mkdir(parents=True)
    space = {key: SPACE[key] for key in list(SPACE)[:searched]}
    (run / "experiment.yaml").write_text(f"name: {name}\n{EXPERIMENT}search: {json.dumps({'space': space})}\n")
    rows = [
        _write_trial(run, index, trials - failed, trials, rng, searched, lineage=lineage) for index in range(trials)
    ]
    if lineage:
        _write_lineage(run, [row for row in rows if row["error"] == ""], rng)
    rows.sort(key=lambda row: (row["score"] == "", row["score"] or 0, row["trial"]))
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
    with (run / "leaderboard.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["rank", *(key for key in rows[0] if key != "rank")])
        writer.writeheader()
        writer.writerows(rows)
    _write_about(run, trials)
    if rows[0]["score"] != "":
        _write_best(run, rows[0])
        if artifacts:
            _write_artifacts(run, rng)
        if directions:
            _write_directions(run, rng, directions)
    return run


def _write_trial(
    run: Path, index: int, good: int, trials: int, rng: np.random.Generator, searched: int, *, lineage: bool
) -> dict:
    trial = run / "trials" / f"{index + 1:03d}-{index * 4919 + 4096:04x}"
    (trial / "samples").mkdir(parents=True)
    params = {
        "optimizer.generator_lr": float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-3)))),
        "model.latent_size": int(rng.choice([32, 64])),
    }
    for key in list(SPACE)[2:searched]:
        kind, arguments = next(iter(SPACE[key].items()))
        drawn = {"choice": lambda a: a[int(rng.integers(len(a)))], "uniform": lambda a: float(rng.uniform(*a)),
                 "loguniform": lambda a: float(np.exp(rng.uniform(*np.log(a))))}  # fmt: skip
        params[key] = drawn[kind](arguments)
    quality = 1.0 - abs(math.log10(params["optimizer.generator_lr"]) + 3.4) * 0.8 + rng.normal(0, 0.04)
    fails = index >= good
    early = index % 3 == 2 and trials > 3 and not lineage
    length = 20_800 if fails else 48_000 if early else TOTAL
    metrics = list(_reports(length, quality, rng))
    if fails:
        state = {"state": "failed", "error": "TrainingError: generator_loss is nan at step 325; learning rate 9.1e-4"}
    else:
        state = {"state": "stopped" if early else "finished"}
    warning = "the discriminator has won: real and fake accuracy over 0.99 for 20,000 images"
    if index % 7 == 3 and metrics:
        metrics[-1]["warnings"] = [warning]
    params = dict(list(params.items())[:searched])
    (trial / "params.json").write_text(json.dumps(params))
    (trial / "state.json").write_text(json.dumps(state))
    (trial / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    scores = [(row["score"]["value"], row["images_seen"]) for row in metrics if "score" in row]
    if index < 4 or trials <= 8:
        for images_seen in range(0, length + 1, 8_000):
            _write_samples(trial / "samples" / f"{images_seen:012d}.png", images_seen / TOTAL, quality)
    else:
        _write_samples(trial / "samples" / f"{length:012d}.png", length / TOTAL, quality)
    best = min(scores, default=("", ""))
    return {
        "trial": trial.name, **params, "score": best[0], "score_images_seen": best[1],
        "last_score": scores[-1][0] if scores else "", "images_seen": metrics[-1]["images_seen"],
        "images_per_second": 402.5 + index, "state": state["state"],
        "warnings": warning if index % 7 == 3 else "", "error": state.get("error", ""),
    }  # fmt: skip


def _write_lineage(run: Path, rows: list[dict], rng: np.random.Generator) -> None:
    """Every 32,000 images the worst quarter of the trials that are still there goes on from the best quarter."""
    for end in range(32_000, TOTAL, 32_000):
        alive = [row for row in rows if row["images_seen"] > end]
        ranked = sorted(alive, key=lambda row: row["score"] + rng.normal(0, 15))
        count = len(ranked) // 4
        takers = ranked[len(ranked) - count :]
        if end == TOTAL // 2:  # what becomes the best one goes on from another at half time
            takers = [min(rows, key=lambda row: row["score"])]
        for row in takers:
            donors = [donor for donor in ranked[: count + 1] if donor is not row]
            donor = donors[int(rng.integers(count))]
            key = "optimizer.generator_lr"
            rate = float(f"{donor[key] * rng.choice([0.8, 1.25]):.4g}")
            line = {"images_seen": end, "from_trial": donor["trial"], "from_images_seen": end,
                    "changed": {key: [row[key], rate]}}  # fmt: skip
            row[key] = rate
            trial = run / "trials" / row["trial"]
            with (trial / "lineage.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            params = json.loads((trial / "params.json").read_text())
            (trial / "params.json").write_text(json.dumps({**params, key: rate}))


def _reports(length: int, quality: float, rng: np.random.Generator):
    wander = 0.0
    for images_seen in range(REPORT_EVERY, length + 1, REPORT_EVERY):
        part = images_seen / TOTAL
        wander = 0.9 * wander + rng.normal(0, 0.05)
        row = {
            "images_seen": images_seen,
            "real_images_seen": images_seen,
            "step": images_seen // 64,
            "discriminator_loss": 0.62 + 0.3 * math.exp(-9 * part) + 0.3 * wander + rng.normal(0, 0.02),
            "generator_loss": 0.85 + (1.6 - quality) * part + wander + rng.normal(0, 0.05),
            "accuracy_real": min(1, 0.68 + 0.1 * part - 0.2 * wander + rng.normal(0, 0.03)),
            "accuracy_fake": min(1, 0.74 + 0.12 * part - 0.2 * wander + rng.normal(0, 0.03)),
            "logit_mean_real": 0.5 + part + wander,
            "logit_mean_fake": -0.8 - part - wander,
            "discriminator_gradient_norm": 1.2 + abs(wander),
            "generator_gradient_norm": 2.0 + abs(wander),
            "images_per_second": 400 + rng.normal(0, 9),
            "data_wait_share": 0.004,
            "memory_bytes": 900_000_000,
            "wall_seconds": images_seen / 400,
        }
        if images_seen % SCORE_EVERY == 0:
            value = (14 + 90 * math.exp(-5 * part * max(quality, 0.2))) * (1.6 - 0.5 * quality) + rng.normal(0, 0.6)
            row["score"] = {"metric": "assessor_frechet_distance", "value": value, "protocol": SCORE_PROTOCOL}
            row["checkpoint"] = f"{images_seen:012d}"
            row["sample_spread"] = 0.5 + 0.4 * (1 - math.exp(-6 * part)) + rng.normal(0, 0.02)
        yield row


def _write_samples(path: Path, part: float, quality: float) -> None:
    faces = faded_faces(64, np.random.default_rng(1), part=part * max(quality, 0.3))
    path.write_bytes(png_bytes(grid(faces, columns=8)))


def _write_about(run: Path, trials: int) -> None:
    assessor = {
        "accuracy": {
            "glasses": {"metric": "auroc", "value": 0.9981, "n": 797},
            "smiling": {"metric": "auroc", "value": 0.9644, "n": 797},
            "age_group": {"metric": "accuracy", "value": 0.871, "n": 797},
        }
    }
    about = {
        "command": ["python", "-m", "jobs.pipeline", "configs/demo.yaml", f"search.trials={trials}"],
        "machine": {"host": "workstation", "cores": 2, "memory": "16 GiB", "gpus": [], "cluster": "embedded Ray"},
        "versions": {"latentscape": "0.1.0", "python": "3.11.2", "torch": "2.14.1", "ray": "2.60.0"},
        "data": {
            "source": "drawn_faces", "path_name": None, "images": 8000, "training": 7203, "held_out": 797,
            "rejected": 0, "digest": "9ab3" * 16, "resolution": 32,
            "labels": ["glasses", "smiling", "beard", "hat", "age_group"],
        },
        "assessors": {"finder": assessor, "measurer": assessor},
        "started": "2026-03-01T14:05:09+00:00",
        "ended": "2026-03-01T14:17:51+00:00",
        "warnings": [],
        "notes": ["Inception weights are not at hand: the score is the Fréchet distance on the assessor's features."],
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(about))


def _write_best(run: Path, row: dict) -> None:
    score = {"metric": "assessor_frechet_distance", "value": row["score"], "protocol": SCORE_PROTOCOL}
    checkpoint = f"trials/{row['trial']}/checkpoints/{row['score_images_seen']:012d}"
    best = {"trial": row["trial"], "checkpoint": checkpoint, "images_seen": row["score_images_seen"], "score": score}
    (run / "best.json").write_text(json.dumps(best))
    final = {
        **score,
        "value": row["score"] * 0.93,
        "protocol": {**SCORE_PROTOCOL, "fake": {**SCORE_PROTOCOL["fake"], "count": 5000}},
    }
    shown = {
        "metric": "latent_arithmetic_share",
        "value": 0.81,
        "protocol": {
            "expression": EXPRESSION, "shows": "glasses and smiling", "repeats": 100, "random_share": 0.11,
            "random_samples": 2000, "finder": "1f2e" * 16, "measurer": "77aa" * 16, "group_size": 3,
        },
    }  # fmt: skip
    scores = [{**score, "checkpoint": checkpoint} for score in (final, shown)]
    (run / "scores.json").write_text(json.dumps({"scores": scores}))


def _write_artifacts(run: Path, rng: np.random.Generator) -> None:
    folder = run / "artifacts"
    folder.mkdir()
    made = functools.partial(faded_faces, rng=rng, part=1.0)
    pictures = {"samples": grid(made(9), columns=3, scale=4, padding=8)}
    ends = made(2).astype(float)
    walk = np.stack([ends[0] + (ends[1] - ends[0]) * t for t in np.linspace(0, 1, 6)]).astype(np.uint8)
    captions = [f"t = {t:.2g}" for t in np.linspace(0, 1, 6)]
    rows = [Row(walk, captions, "linear (lerp)"), Row(walk, captions, "spherical (slerp)")]
    pictures["interpolation"] = strips(rows, title="From sample 1 to sample 2 of seed 0")
    numbers = [str(number) for number in range(1, 101)]
    pictures["sheet"] = labelled_sheet(made(100), numbers, columns=10, title="100 samples of seed 0, by number")
    members = [f"{number}\n0.9{number % 10}" for number in (16, 37, 83)]
    terms = [
        Term(sign, name, made(3), members, made(1)[0])
        for sign, name in (("+", "glasses"), ("-", "no_glasses"), ("+", "smiling"))
    ]
    shown = "result\nglasses 0.97\nsmiling 0.94"
    pictures["arithmetic"] = equation(terms, made(1)[0], shown, title=EXPRESSION, note=ARITHMETIC_NOTE)
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(png_bytes(picture))
    walked = {"seed": 0, "from": "sample 1", "to": "sample 2", "t": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}
    (folder / "interpolation.json").write_text(json.dumps(walked))
    document = {
        "expression": EXPRESSION,
        "requested_expression": EXPRESSION,
        "measured": [
            _measured("glasses and smiling", 0.81, [0.72, 0.87], 0.11),
            _measured("glasses", 0.87, [0.79, 0.92], 0.24),
            _measured("smiling", 0.93, [0.86, 0.97], 0.48),
        ],
        "notes": [{"text": ARITHMETIC_NOTE}],
    }
    (folder / "arithmetic.json").write_text(json.dumps(document))


def _measured(attribute: str, share: float, interval: list[float], chance: float) -> dict:
    random = {"random_share": chance, "random_interval": [chance - 0.02, chance + 0.02], "random_samples": 2000}
    return {"attribute": attribute, "share": share, "interval": interval, "repeats": 100, **random}


def _write_directions(run: Path, rng: np.random.Generator, count: int) -> None:
    """Directions made for one attribute each by four methods, then some that were made for none."""
    strengths = [float(strength) for strength in range(-3, 4)]
    folder, found = run / "artifacts" / "directions", run / "directions"
    folder.mkdir(parents=True)
    found.mkdir()
    stems = [f"{name}-{method}" for method in DIRECTION_METHODS for name in DIRECTION_ATTRIBUTES]
    stems = [*stems[:12], "zoom-steerable", *stems[12:], *(f"sefa_{number}" for number in range(1, 99))][:count]
    chance = {name: rng.normal(0, 0.35, 100) for name in DIRECTION_ATTRIBUTES}
    effects = {}
    walk = _walk(rng, strengths)
    film = there_and_back(np.concatenate(list(_walk(rng, list(np.linspace(-3, 3, 24)))), axis=2))
    films = {".mp4": mp4_bytes(film), ".gif": gif_bytes(film)}
    captions = [f"{strength:+g}" if strength else "0, the start" for strength in strengths]
    for stem in stems:
        target = stem.partition("-")[0]
        slopes = {
            name: Slopes.of(rng.normal((1.2 + 2.6 * rng.random()) if name == target else rng.normal(0, 0.5), 0.9, 1000))
            for name in DIRECTION_ATTRIBUTES
        }
        distance = np.abs(strengths) ** 1.5 * rng.uniform(0.08, 0.4)
        reach = None
        if stem.endswith("-steerable"):
            reach = Reach(strengths, [0.6 * np.sign(s) * min(abs(s), 2) for s in strengths], 2.0, 0.45)
        effect = Effect(strengths, 1000, slopes, chance, np.abs(strengths) * 7, strengths, distance, reach)
        about = {"direction": stem, "method": stem.rpartition("-")[2].partition("_")[0], "target": target,
                 "generator": "cc31" * 16, "assessor": "77aa" * 16}  # fmt: skip
        about |= {} if reach is None else {"edit_unit": "10 degrees, anticlockwise"}
        effects[f"{stem}.safetensors"] = effect.document() | about
        (found / f"{stem}.safetensors").write_bytes(b"")
        strip = strips([Row(row, captions, "") for row in walk], title=stem)
        (folder / f"{stem}.png").write_bytes(png_bytes(strip))
        for ending, data in films.items():
            (folder / f"{stem}{ending}").write_bytes(data)
    artifacts = run / "artifacts"
    (artifacts / "effects.json").write_text(json.dumps(effects))
    (artifacts / "loop.mp4").write_bytes(films[".mp4"])
    (artifacts / "loop.gif").write_bytes(films[".gif"])
    between = grid(faded_faces(25, rng, part=1.0), columns=5, scale=2)
    for name in ("corners.png", "projected.png"):
        (artifacts / name).write_bytes(png_bytes(between))
    photos = [
        {"name": f"{name}.jpg", "pixel_error": error, "nearest_random_error": error + 9, "random_error": 61.5,
         "start_errors": [error, error + 3]}
        for name, error in (("anna", 21.25), ("ben", 30.5))
    ]  # fmt: skip
    made = {"pixel_error_median": 4.75, "count": 16, "found_back": 14}
    projections = {"photos": photos, "generator": "cc31" * 16, "held_out_generated": made}
    (artifacts / "projections.json").write_text(json.dumps(projections))
    if (artifacts / "interpolation.json").exists():
        walked = json.loads((artifacts / "interpolation.json").read_text())
        walked["path_length"] = {"lerp": 12.34, "slerp": 15.5, "straight": 8.2, "features": "measurer"}
        (artifacts / "interpolation.json").write_text(json.dumps(walked))


def _walk(rng: np.random.Generator, strengths: list[float]) -> np.ndarray:
    """Faces [4, strengths, 32, 32, 3] uint8 that turn into others."""
    ends = [faded_faces(4, rng, part=1.0).astype(float) for _ in range(2)]
    parts = [(strength + 3) / 6 for strength in strengths]
    return np.stack([ends[0] * (1 - part) + ends[1] * part for part in parts], axis=1).astype(np.uint8)


def faded_faces(count: int, rng: np.random.Generator, *, part: float) -> np.ndarray:
    """Drawn faces [count, 32, 32, 3] uint8 that come out of noise as `part` goes from 0 to 1."""
    clear = 1 - math.exp(-5 * max(part, 0.0))
    faces = _bank()[rng.integers(0, len(_bank()), count)].astype(float)
    noise = rng.normal(128, 40, (count, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(faces * clear + noise * (1 - clear) + rng.normal(0, 4, faces.shape), 0, 255).astype(np.uint8)


@functools.cache
def _bank() -> np.ndarray:
    rng = np.random.default_rng(0)
    faces = [Image.fromarray(_face(rng, 128)).resize((32, 32), Image.Resampling.LANCZOS) for _ in range(160)]
    return np.stack([np.asarray(face) for face in faces])


def _face(rng: np.random.Generator, size: int) -> np.ndarray:
    image = Image.new("RGB", (size, size), tuple(int(value) for value in rng.integers(90, 220, 3)))
    draw = ImageDraw.Draw(image)
    skin = tuple(int(value) for value in np.array([236, 196, 165]) * rng.uniform(0.5, 1.0))
    hair = tuple(int(value) for value in np.array([120, 84, 50]) * rng.uniform(0.2, 1.5))
    at = lambda *box: [value * size for value in box]  # noqa: E731
    draw.ellipse(at(0.16, 0.06, 0.84, 0.8), fill=hair)
    draw.ellipse(at(0.22, 0.16, 0.78, 0.95), fill=skin)
    for x in (0.38, 0.62):
        draw.ellipse(at(x - 0.05, 0.44, x + 0.05, 0.5), fill="white")
        draw.ellipse(at(x - 0.025, 0.445, x + 0.025, 0.495), fill=(40, 30, 30))
        if rng.random() < 0.3:
            draw.rounded_rectangle(
                at(x - 0.1, 0.4, x + 0.1, 0.54), radius=size / 40, outline=(20, 20, 20), width=size // 40
            )
    draw.polygon(at(0.5, 0.5, 0.46, 0.64, 0.54, 0.64), fill=tuple(int(value * 0.85) for value in skin))
    if rng.random() < 0.5:
        draw.chord(at(0.36, 0.62, 0.64, 0.84), 10, 170, fill=(150, 40, 50))
    else:
        draw.line(at(0.41, 0.77, 0.59, 0.77), fill=(140, 50, 50), width=size // 30)
    return np.asarray(image)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--name", default="drawn-32")
    parser.add_argument("--failed", type=int)
    parser.add_argument("--searched", type=int, default=2)
    parser.add_argument("--lineage", action="store_true")
    parser.add_argument("--directions", type=int, default=0)
    folder = make_run(**vars(parser.parse_args()))
    experiment_from_text((folder / "experiment.yaml").read_text(), source="experiment.yaml")
    print(folder)
