"""Makes run folders of made-up figures through the product's own writers: for tests, and to look at the report.

python tests/report/make_run.py DESTINATION [--trials 30] [--name drawn-32] [--searched 4] [--lineage] [--directions 9]
"""

import argparse
import dataclasses
import functools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, LatentsConfig, experiment_from_text, flat_latents, with_overrides
from framework.data import PackedStore
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol, make_score
from framework.images import grid, png_bytes
from framework.latents.arithmetic.document import document_of
from framework.latents.arithmetic.picture import draw
from framework.latents.arithmetic.run import ArithmeticResult
from framework.latents.arithmetic.selection import Candidates, RepeatedDraws
from framework.latents.arithmetic.trace import ArithmeticTrace, Measured, Members, conditions_of
from framework.latents.artifacts import (
    write_arithmetic,
    write_corners,
    write_interpolation,
    write_loop,
    write_samples,
    write_sheet,
)
from framework.latents.attributes.expression import parse_expression
from framework.latents.attributes.groups import known_names, labels_of, resolve_group
from framework.latents.attributes.shares import expected, measured_rows
from framework.latents.directions.direction import SUFFIX, Direction, save_direction, unit
from framework.latents.films import gif_bytes, mp4_bytes
from framework.latents.projection.project import Projected
from framework.latents.protocols import Assessed
from framework.latents.steering.effects import Effect, Slopes
from framework.latents.steering.move import data_strengths, draw_film, draw_strip, edit_of
from framework.latents.steering.reach import Reach
from framework.models import sample_latents
from framework.models.assessor.assessor import Assessor, AssessorNetwork, AttributeSpec
from framework.orchestration.context import about_images, describe_assessor
from framework.orchestration.studies import project as projecting
from framework.orchestration.studies import steer as steering
from framework.orchestration.studies.photos import Photo
from framework.runs import RunFolder, TrialFolder
from framework.search.leaderboard import update_results
from framework.training import AssessorPair, Scored

EXPERIMENT = """
data: {source: drawn_faces, resolution: 32, limit: 8000}
model: {width: 48}
training: {schedule: joint, batch_size: 64, total_images: 128000, report_every_images: 1600}
evaluation: {features: assessor, every_images: 16000}
latents: {walks: {loop_samples: 2}}
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
REPORT_EVERY, SCORE_EVERY, TOTAL = 1_600, 16_000, 128_000
SIZE: dict[str, Any] = {"height": 32, "width": 32, "channels": 3}
WARNING = "the discriminator has won: real and fake accuracy over 0.99 for 20,000 images"
ACCURACY = {
    "glasses": {"metric": "auroc", "value": 0.9981, "n": 797},
    "smiling": {"metric": "auroc", "value": 0.9644, "n": 797},
    "age_group": {"metric": "accuracy", "value": 0.871, "n": 797},
}


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
    run = _begin(destination, name, trials, searched)
    for index in range(trials):
        _write_trial(run, index, trials - failed, trials, rng, searched, lineage=lineage)
    if lineage:
        _write_lineage(run, rng)
    update_results(run)
    best = run.best()
    if best is not None:
        _add_final_score(run, best)
        if artifacts:
            _write_artifacts(run, best["checkpoint"])
        if directions:
            _write_directions(run, rng, directions)
    return Path(run.folder.location)


def _begin(destination: Path, name: str, trials: int, searched: int) -> RunFolder:
    """The run before its first trial, of a machine that is not this one."""
    space = {key: SPACE[key] for key in list(SPACE)[:searched]}
    text = f"name: {name}\n{EXPERIMENT}search: {json.dumps({'space': space})}\n"
    experiment = with_overrides(experiment_from_text(text, source="make_run"), {"storage.path": str(destination)})
    command = ["python", "-m", "jobs.pipeline", "configs/demo.yaml", f"search.trials={trials}"]
    run = RunFolder.create(experiment, command, data=about_images(_images()))
    assessors = _assessors()
    run.note(
        assessors={which: describe_assessor(assessors, which) for which in ("finder", "measurer")},
        machine={"host": "workstation", "cores": 2, "memory": "16 GiB", "gpus": [], "cluster": "embedded Ray"},
        versions={"latentscape": "0.1.0", "python": "3.11.2", "torch": "2.14.1", "ray": "2.60.0"},
        started="2026-03-01T14:05:09+00:00",
        ended="2026-03-01T14:17:51+00:00",
        notes=["Inception weights are not at hand: the score is the Fréchet distance on the assessor's features."],
    )
    return run


@functools.cache
def _images() -> PackedStore:
    """8,000 black ones, a tenth held out."""
    count, held_out = 8_000, 797
    return PackedStore(
        path=Path("nowhere"),
        source="drawn_faces",
        images=np.broadcast_to(np.uint8(0), (count, 32, 32, 3)),
        names=[f"{number}.png" for number in range(count)],
        hashes=[f"{number:064x}" for number in range(count)],
        held_out=np.arange(count) < held_out,
        labels={label: np.zeros(count, np.float32) for label in ("glasses", "smiling", "beard", "hat", "age_group")},
        label_classes={"age_group": ["young", "old"]},
        rejected=[],
        labels_matched=None,
    )


@functools.cache
def _assessors() -> AssessorPair:
    """Two that have learned nothing."""
    attributes = [AttributeSpec("glasses"), AttributeSpec("smiling"), AttributeSpec("age_group", ["young", "old"])]
    shape = {"resolution": 32, "channels": 3, "width": 8}
    made = []
    for seed in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = AssessorNetwork(outputs=4, **shape)
        made.append(Assessor(network, attributes=attributes, accuracy=ACCURACY, **shape))
    return AssessorPair(*made, left_out={}, folder=Path("nowhere"))


def _score(value: float, *, count: int) -> dict[str, Any]:
    """One by the assessor's features, of so many generated images."""
    measurer, images = _assessors().measurer, _images()
    features = FeatureSpec("assessor", "nowhere", measurer.digest, measurer.feature_size, "none")
    real = ImageSetSpec(count=len(images.training_indices), split="training", digest=images.digest, **SIZE)
    protocol = Protocol.of(features, real=real, fake=ImageSetSpec(count=count, split="generated", seed=0, **SIZE))
    return make_score(protocol.name, value, protocol)


def _write_trial(
    run: RunFolder, index: int, good: int, trials: int, rng: np.random.Generator, searched: int, *, lineage: bool
) -> None:
    trial = run.trial(f"{index + 1:03d}-{index * 4919 + 4096:04x}")
    params: dict[str, Any] = {
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
    trial.write_params(dict(list(params.items())[:searched]))
    if fails:
        error = "TrainingError: generator_loss is nan at step 325; learning rate 9.1e-4"
        trial.write_state(state="failed", error=error)
    else:
        trial.write_state(state="stopped" if early else "finished")
    _write_reports(run, trial, length, quality, rng, warns=index % 7 == 3)
    drawn = range(0, length + 1, 8_000) if index < 4 or trials <= 8 else [length]
    for images_seen in drawn:
        _write_samples(trial, images_seen, quality)


def _write_reports(
    run: RunFolder, trial: TrialFolder, length: int, quality: float, rng: np.random.Generator, *, warns: bool
) -> None:
    """Metrics, scores, and of the checkpoints the best one."""
    best: dict[str, Any] | None = None
    for row, value in _reports(length, quality, rng):
        images_seen = row["images_seen"]
        if warns and images_seen == length:
            row["warnings"] = [WARNING]
        if value is not None:
            row["checkpoint"] = f"{images_seen:012d}"
            score = _score(value, count=1000)
            line = Scored(row["checkpoint"], images_seen, score, 1.5, 0.0, images_seen + REPORT_EVERY)
            best = line if best is None or value < best.document["value"] else best
            written = dataclasses.asdict(line)
            trial.append_score({**written, "score": written.pop("document"), "best_score": best.document["value"]})
        trial.append_metrics(row)
    if best is not None:
        _save_checkpoint(run.experiment, trial, best)


def _save_checkpoint(experiment: Experiment, trial: TrialFolder, scored: Scored) -> None:
    learned = {"data": _images().digest, **experiment.learned()}
    store = CheckpointStore(trial.checkpoints, digest=experiment.digest(_images().digest), learned=learned, keep=2)
    config = {**experiment.model.model_dump(), "resolution": 32, "channels": 3, "images_seen": scored.images_seen}
    weights = {"of": torch.tensor([float(trial.id[:3])])}  # no two trials' are the same
    checkpoint = store.save({}, info={}, images_seen=scored.images_seen, generator=(weights, config))
    store.record_score(checkpoint, scored.document, scored.document["value"])


def _write_lineage(run: RunFolder, rng: np.random.Generator) -> None:
    """Every 32,000 images the worst quarter of the trials that are still there goes on from the best quarter."""
    key = "optimizer.generator_lr"
    rows = sorted((row for row in update_results(run) if not row["error"]), key=lambda row: row["trial"])
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
            rate = float(f"{donor[key] * rng.choice([0.8, 1.25]):.4g}")
            line = {"images_seen": end, "from_trial": donor["trial"], "from_images_seen": end,
                    "changed": {key: [row[key], rate]}}  # fmt: skip
            row[key] = rate
            trial = run.trial(row["trial"])
            trial.append_lineage(line)
            trial.write_params({**trial.params, key: rate})


def _reports(length: int, quality: float, rng: np.random.Generator) -> Iterator[tuple[dict[str, Any], float | None]]:
    """Rows, and the value of the score where one is made."""
    wander = 0.0
    for images_seen in range(REPORT_EVERY, length + 1, REPORT_EVERY):
        part = images_seen / TOTAL
        wander = 0.9 * wander + rng.normal(0, 0.05)
        row = {
            "images_seen": images_seen,
            "real_images_seen": images_seen,
            "step": images_seen // 64,
            "workers": 2,
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
            "life_began_at_images_seen": 0,
            "images_trained_twice": 0,
        }
        value = None
        if images_seen % SCORE_EVERY == 0:
            value = (14 + 90 * math.exp(-5 * part * max(quality, 0.2))) * (1.6 - 0.5 * quality) + rng.normal(0, 0.6)
            row["sample_spread"] = 0.5 + 0.4 * (1 - math.exp(-6 * part)) + rng.normal(0, 0.02)
        yield row, value


def _write_samples(trial: TrialFolder, images_seen: int, quality: float) -> None:
    trial.write_sample(images_seen, _sample_grid(round(20 * images_seen / TOTAL * max(quality, 0.3))))


@functools.cache
def _sample_grid(twentieths: int) -> bytes:
    """Of faces that are so far out of the noise."""
    return png_bytes(grid(faded_faces(64, np.random.default_rng(1), part=twentieths / 20), columns=8))


def _add_final_score(run: RunFolder, best: dict[str, Any]) -> None:
    about = {"checkpoint": best["checkpoint"], "generator": _digest(run, best["checkpoint"])}
    run.add_scores([_score(best["score"]["value"] * 0.93, count=5000) | about])


def _digest(run: RunFolder, checkpoint: str) -> str:
    """Of the generator's weights."""
    return run.folder.read_json(f"{checkpoint}/generator/config.json")["weights_sha256"]


class Drawn:
    """A generator of drawn faces that turn into each other as their latents do."""

    latent_size, resolution, channels = 32, 32, 3

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """As any generator's."""
        return sample_latents(n, self.latent_size, seed=seed, start=start)

    def images(self, latents: np.ndarray) -> np.ndarray:
        """[n, z] -> [n, 32, 32, 3] uint8: each face of the bank as much as the latent lies its way."""
        ways = np.random.default_rng(2).normal(size=(self.latent_size, len(_bank())))
        parts = np.exp(latents @ ways)
        mixed = (parts / parts.sum(axis=1, keepdims=True)) @ _bank().reshape(len(_bank()), -1)
        return mixed.reshape(-1, self.resolution, self.resolution, self.channels).astype(np.uint8)


def _write_artifacts(run: RunFolder, checkpoint: str) -> None:
    generator, config = Drawn(), run.experiment.latents
    about = {"checkpoint": checkpoint, "generator": _digest(run, checkpoint), "settings": flat_latents(config)}
    write_samples(run.artifacts, generator, config)
    write_interpolation(run.artifacts, generator, config, about=about)
    write_sheet(run.artifacts, generator, config, about={"checkpoint": checkpoint, "generator": about["generator"]})
    result = _arithmetic(config, generator)
    write_arithmetic(run.artifacts, result, about=about)
    run.add_scores([{**result.document["scores"][0], "checkpoint": checkpoint}])


def _arithmetic(config: LatentsConfig, generator: Drawn) -> ArithmeticResult:
    """glasses - no_glasses + smiling, as if 81 of 100 results had shown both and 11% of all samples did."""
    assessors = _assessors()
    labels = labels_of(assessors.finder)
    terms = parse_expression(config.arithmetic.expression, known=known_names(config, labels))
    groups = {term.group: resolve_group(term.group, config, labels) for term in terms}
    random, results = (
        _shown(glasses=480, both=220, smiling=960, of=2000),
        _shown(glasses=87, both=81, smiling=93, of=100),
    )
    latents, numbers = generator.sample_latents(2000, config.seed), [16, 37, 83]
    members = {
        name: Members(numbers, latents[[number - 1 for number in numbers]], np.array([0.96, 0.97, 0.93]))
        for name in groups
    }
    drawn = np.arange(300).reshape(100, 3)
    hands = {
        name: RepeatedDraws(np.arange(412), 0.95, drawn, most_uses=2 if name == "no_glasses" else 1) for name in groups
    }
    rows = measured_rows(expected(terms, conditions_of(groups)), results, random)
    shown = {"glasses": np.array([0.97]), "smiling": np.array([0.94])}
    study = ArithmeticTrace(
        config,
        terms,
        groups,
        members,
        assessors,
        Candidates(latents, Assessed(random, random)),
        Assessed(shown, shown),
        Measured(hands, rows, norm=5.5),
    )
    document = document_of(study, requested=config.arithmetic.expression, notes=study.notes())
    return ArithmeticResult(draw(study, generator), document, study.result)


def _shown(*, glasses: int, both: int, smiling: int, of: int) -> dict[str, np.ndarray]:
    """Probabilities of so many images, so many of which show each label, and both."""
    place = np.arange(of)
    smiles = (place < both) | ((place >= glasses) & (place < glasses + smiling - both))
    return {"glasses": np.where(place < glasses, 0.95, 0.05), "smiling": np.where(smiles, 0.95, 0.05)}


def _write_directions(run: RunFolder, rng: np.random.Generator, count: int) -> None:
    """Directions made for one attribute each by four methods, then some that were made for none."""
    generator, config, measurer = Drawn(), run.experiment.latents, _assessors().measurer
    digest, strengths = _digest(run, run.best()["checkpoint"]), config.steering.strengths
    stems = [f"{name}-{method}" for method in DIRECTION_METHODS for name in DIRECTION_ATTRIBUTES]
    stems = [*stems[:12], "zoom-steerable", *stems[12:], *(f"sefa_{number}" for number in range(1, 99))][:count]
    chance = {name: rng.normal(0, 0.35, 100) for name in DIRECTION_ATTRIBUTES}
    latents = generator.sample_latents(config.steering.strip_samples, config.seed)
    names = [f"sample {number}" for number in range(1, len(latents) + 1)]
    pictures, effects = run.artifacts / steering.PICTURES, {}
    for stem in stems:
        direction = _direction(stem, digest, rng)
        effect = _effect(direction, strengths, chance, rng)
        edit = edit_of(direction)
        about = {"generator": digest, "assessor": measurer.digest, "data": _images().digest}
        about |= {"random_directions": 100, "direction_digest": direction.digest}
        about |= {"direction": direction.name, "method": direction.method, "target": direction.target}
        about |= {} if edit is None else {"edit_unit": edit.unit}
        effects[f"{stem}{SUFFIX}"] = about | effect.document()
        save_direction(dataclasses.replace(direction, effect=effects[f"{stem}{SUFFIX}"]), run.directions)
        strip = draw_strip(generator, direction, latents, strengths, names)
        pictures.write_bytes(f"{stem}.png", png_bytes(strip))
        for ending, data in _films().items():
            pictures.write_bytes(f"{stem}{ending}", data)
    run.artifacts.write_json(steering.EFFECTS, effects)
    write_loop(run.artifacts, generator, config)
    write_corners(run.artifacts, generator, config)
    _write_projections(run, generator, digest)
    if run.artifacts.exists("interpolation.json"):
        walked = run.artifacts.read_json("interpolation.json")
        walked["path_length"] = {"lerp": 12.34, "slerp": 15.5, "straight": 8.2, "features": "measurer"}
        run.artifacts.write_json("interpolation.json", walked)


@functools.cache
def _films() -> dict[str, bytes]:
    """The same one for every direction: it takes a while to make."""
    generator = Drawn()
    direction = _direction("drawn-difference", "", np.random.default_rng(0))
    film = draw_film(generator, direction, generator.sample_latents(2, 0), [-3.0, 3.0])
    return {".mp4": mp4_bytes(film, rounds=2), ".gif": gif_bytes(film)}


def _direction(stem: str, generator: str, rng: np.random.Generator) -> Direction:
    method = stem.rpartition("-")[2].partition("_")[0]
    target = stem.partition("-")[0] if "-" in stem else ""
    vector = unit(rng.normal(size=Drawn.latent_size))
    return Direction(stem, method, vector, 1.0, generator, target=target)


def _effect(
    direction: Direction, strengths: list[float], chance: dict[str, np.ndarray], rng: np.random.Generator
) -> Effect:
    slopes = {
        name: Slopes.of(
            rng.normal((1.2 + 2.6 * rng.random()) if name == direction.target else rng.normal(0, 0.5), 0.9, 1000)
        )
        for name in DIRECTION_ATTRIBUTES
    }
    far = data_strengths(strengths)
    distance = np.abs(far) ** 1.5 * rng.uniform(0.08, 0.4)
    reach = None
    if direction.method == "steerable":
        reach = Reach(strengths, [0.6 * np.sign(s) * min(abs(s), 2) for s in strengths], 2.0, 0.45)
    return Effect(strengths, 1000, slopes, chance, np.abs(strengths) * 7, far, distance, reach)


def _write_projections(run: RunFolder, generator: Drawn, digest: str) -> None:
    """Two photographs, and 16 images of the generator itself, of which 14 were found back."""
    latents = generator.sample_latents(16, 7)
    pixels = generator.images(latents)

    def found(number: int, error: float) -> projecting._Found:
        best = Projected(latents[number], error, None, [error, error + 3])
        return projecting._Found(best, latents[number], error + 9, 61.5, None)

    photos = [Photo(name, pixels[number], "0" * 64) for number, name in enumerate(("anna", "ben"))]
    projected = [found(0, 21.25), found(1, 30.5)]
    controls = [found(number, 4.75 if number < 14 else 9.0) for number in range(16)]
    document = {
        "checkpoint": run.best()["checkpoint"],
        "generator": digest,
        "features": "pixels",
        "starts": 2,
        "steps": 300,
        "images": _images().digest,
        "photos": [one.row(photo) for photo, one in zip(photos, projected, strict=True)],
        "held_out_generated": projecting._about_controls(controls, latents),
    }
    picture = projecting._picture(generator.images, photos, projected)
    run.artifacts.write_bytes(projecting.PICTURE, png_bytes(picture))
    run.artifacts.write_json(projecting.DOCUMENT, document)


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
    print(make_run(**vars(parser.parse_args())))
