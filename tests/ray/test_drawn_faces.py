"""On the demo's own GAN every direction with a name does what its name says, as far as the generator has learned it."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from framework.checkpoint import load_generator
from framework.latents.attributes.groups import labels_of
from framework.latents.directions.attributes import attributes_of
from framework.latents.directions.direction import load_direction, unit
from framework.latents.steering.move import effect_of, move_and_assess
from framework.models.assessor.assessor import Assessor
from framework.runs import RunFolder
from tests.ray.conftest import ROOT

LEARNED_SHARE = 0.05  # of samples that show an attribute (and of those that do not), for it to count as learned
FITTED, HELD_OUT = 4_000, 1_000
METHODS = ("difference", "interfacegan", "ganalyze")
BINARY = ("glasses", "smiling", "beard", "hat")  # ganalyze trains a minute an attribute: these alone


@pytest.fixture(scope="module")
def demo(jobs):
    """The run that `make demo` makes, with the directions of every method that works by attribute, measured.

    LATENTSCAPE_DEMO_RUNS may name a folder of runs that has it already, such as ./runs; it is copied.
    """
    if there := os.environ.get("LATENTSCAPE_DEMO_RUNS"):
        shutil.copytree(there, jobs.storage, dirs_exist_ok=True)
    else:
        made = jobs.run("pipeline", str(ROOT / "configs" / "demo.yaml"), f"storage.path={jobs.storage}", timeout=3_000)
        assert made.code == 0, made.err
    run = str(jobs.storage / "demo")
    for method in METHODS:
        some = [f"latents.directions.attributes=[{','.join(BINARY)}]"] if method == "ganalyze" else []
        found = jobs.run("discover", run, f"latents.directions.method={method}", *some, timeout=1_500)
        assert found.code == 0, found.err
    for fixed, free in (("glasses", "smiling"), ("smiling", "glasses")):
        keys = (
            f"latents.directions.fixed=[{fixed}]",
            f"latents.directions.attributes=[{free}]",
            "latents.directions.method=interfacegan",
        )
        found = jobs.run("discover", run, *keys)
        assert found.code == 0, found.err
    steered = jobs.run("steer", run, "--json", timeout=3_000)
    assert steered.code == 0, steered.err
    return run, steered.document["effects"]


@pytest.fixture(scope="module")
def parts(demo):
    """Generator, measurer, its attributes, and which of them the generator has learned."""
    generator = load_generator(demo[0])
    digest = next(iter(demo[1].values()))["assessor"]
    folders = Path(RunFolder.open(demo[0]).folder.location).parent.glob(".cache/assessors/*/measurer")
    measurer = next(one for folder in folders if (one := Assessor.load(folder)).digest == digest)
    attributes = attributes_of(labels_of(measurer), None)
    scores = measurer.predict(generator.images(generator.sample_latents(2_000, 3)))
    learned = []
    for attribute in attributes:
        share = float((attribute.values(scores) > 0).mean())
        print(f"{attribute.name}: {share:.1%} of samples show it")
        if LEARNED_SHARE <= share <= 1 - LEARNED_SHARE:
            learned.append(attribute.name)
    return generator, measurer, attributes, learned


@pytest.mark.slow
@pytest.mark.timeout(9_000)
def test_directions_beat_random_ones_and_come_near_the_best_linear_one(demo, parts):
    generator, measurer, attributes, learned = parts
    assert {"glasses", "smiling"} <= set(learned)
    latents = generator.sample_latents(FITTED, 5)
    scores = measurer.predict(generator.images(latents))
    strengths = next(iter(demo[1].values()))["strengths"]
    held_out = generator.sample_latents(HELD_OUT, 7)
    for attribute in attributes:
        if attribute.name not in learned:
            continue
        ridge = unit(RidgeCV(np.logspace(-1, 4, 11)).fit(latents, attribute.values(scores)).coef_)
        known: dict[float, float] = {}
        for method in METHODS if attribute.name in BINARY else METHODS[:2]:
            file = f"{attribute.name}-{method}.safetensors"
            found = load_direction(RunFolder.open(demo[0]).directions, file)
            if found.natural_step not in known:
                best = dataclasses.replace(found, vector=ridge)  # as far, on the same latents' like
                moved = move_and_assess(generator, measurer, [attribute], best, held_out, strengths)
                known[found.natural_step] = effect_of(moved, strengths, {}).slopes[attribute.name].mean
            most = known[found.natural_step]
            effect = demo[1][file]["attributes"][attribute.name]
            print(
                f"{attribute.name} by {method}: {effect['slope']:+.3f} logits a step of {found.natural_step:.3f}, "
                f"ridge {most:+.3f}, 99% of random under {effect['random_99th']:.3f}"
            )
            assert effect["slope"] > effect["random_99th"], (attribute.name, method)
            assert effect["slope"] >= 0.8 * most, (attribute.name, method)


@pytest.mark.slow
def test_what_is_held_fixed_leaks_at_most_half_as_much(demo):
    for free, fixed in (("smiling", "glasses"), ("glasses", "smiling")):
        loose = demo[1][f"{free}-interfacegan.safetensors"]["attributes"]
        held = demo[1][f"{free}_without_{fixed}-interfacegan.safetensors"]["attributes"]
        before = abs(loose[fixed]["slope"] / loose[free]["slope"])
        after = abs(held[fixed]["slope"] / held[free]["slope"])
        print(f"{free}: leaks {before:.3f} of itself to {fixed}, held fixed {after:.3f}")
        assert after <= before / 2
