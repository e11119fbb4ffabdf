"""Every latent study on one Ray: what measure.py measures for tests/ray/test_directions.py.

Directions of every method are found, steered along and measured by one worker and by two, then asked for again;
a photograph is projected by one and by two.
"""

import contextlib

from framework.checkpoint import load_generator
from framework.checkpoint.reference import best_target
from framework.config import with_overrides
from framework.latents.directions.direction import load_direction
from framework.orchestration.context import RunContext, prepare_images, train_assessors
from framework.orchestration.studies.discover import discover_directions
from framework.orchestration.studies.photos import read_photos
from framework.orchestration.studies.project import project_photos
from framework.orchestration.studies.steer import steer
from framework.runs import RunFolder

FINDERS = {
    "sefa": {"latents.directions.components": 2},
    "ganspace": {"latents.directions.components": 2, "latents.directions.samples": 512},
    "interfacegan": {
        "latents.directions.samples": 512,
        "latents.directions.per_class": 50,
        "latents.directions.fixed": ["glasses"],
    },
    "difference": {
        "latents.directions.samples": 512,
        "latents.directions.per_class": 50,
        "latents.directions.attributes": ["smiling"],
    },
    "ganalyze": {"latents.directions.samples": 64, "latents.directions.attributes": ["smiling"]},
    "steerable": {"latents.directions.samples": 64, "latents.directions.edits": ["brightness"]},
}
STEERED = ["brightness-steerable"]


class Teller:
    """Keeps what is said and how many shards each step had."""

    def __init__(self):
        self.said, self.steps = [], {}

    def say(self, text):
        self.said.append(text)

    def update(self, text):
        pass

    def counter(self, what):
        def count(done, total):
            self.steps[what] = total

        return count

    def first_interrupt(self, ask):
        return contextlib.nullcontext()

    def end(self, text):
        raise AssertionError(text)


def measure(run, photo, cluster):
    """All of it; gives what each gave."""
    teller = Teller()
    images = prepare_images(run.experiment, teller)
    assessors = train_assessors(run, images, teller)
    target, found = best_target(run), {}

    def context(**keys):
        teller.said, teller.steps = [], {}
        asked = RunFolder(run.folder, with_overrides(run.experiment, keys))
        return RunContext(asked, images, assessors, cluster, teller)

    def directions(workers):
        run.folder.delete("directions")
        files = {}
        for method, keys in FINDERS.items():
            asked = context(**{"latents.directions.method": method, "evaluation.workers": workers, **keys})
            files |= {file: load_direction(run.directions, file).digest for file in discover_directions(asked, target)}
        return files

    found["discovered"] = [directions(1), directions(2)]
    asked = context(**{"latents.directions.method": "ganalyze", **FINDERS["ganalyze"]})
    discover_directions(asked, target)
    found["asked again"] = [teller.said, teller.steps]

    def steered(workers, *, anew):
        if anew:
            run.folder.delete("artifacts/effects.json")
            run.folder.delete("artifacts/random_effects.json")
        keys = {
            "latents.steering.directions": STEERED,
            "latents.steering.strengths": [-1.0, 0.0, 1.0],
            "evaluation.workers": workers,
        }
        effects = steer(context(**keys), target)
        return [effects, sorted(teller.steps)]

    found["steered"] = [steered(1, anew=True), steered(2, anew=True), steered(2, anew=False)]

    def projected(workers):
        photos = read_photos([photo], load_generator(target.location))
        keys = {"latents.projection.steps": 10, "latents.projection.controls": 1, "evaluation.workers": workers}
        return project_photos(context(**keys), target, photos)

    found["projected"] = [projected(1), projected(2)]
    return found
