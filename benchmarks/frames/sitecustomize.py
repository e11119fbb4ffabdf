"""On PYTHONPATH of `benchmarks.code_shape`: writes the stack of our own code where a process first reaches a point.

The names of several versions of the code are listed; a version has one of each.
"""

import functools
import importlib.abc
import importlib.machinery
import json
import os
import sys
from pathlib import Path

PLACE = os.environ.get("LATENTSCAPE_FRAMES")
# Module -> the point that a call of its function marks, and the function.
POINTS = {
    "ray.tune.tuner": [("tune", "Tuner.fit")],
    "ray.train.v2.torch.torch_trainer": [("train", "TorchTrainer.__init__")],
    "framework.training.steps.gan_step": [("step", "JointStep._move")],
    "framework.training.step": [("step", "JointStep._move")],
    "framework.orchestration.pool.actors": [("actors", "Actors._hand_out"), ("actors", "ActorPool._hand_out")],
    "framework.orchestration.actors": [("actors", "Actors._hand_out")],
    "framework.evaluation.features.extractor": [("extractor", "Extractor.columns")],
    "framework.evaluation.features": [("extractor", "Extractor.columns")],
}


def marked(point: str, function):
    @functools.wraps(function)
    def call(*arguments, **keywords):
        file = Path(PLACE) / f"{point}.frames"
        if not file.exists():
            stack, frame = [], sys._getframe(1)
            while frame is not None:
                name = frame.f_code.co_filename
                if ("/framework/" in name or "/jobs/" in name) and "site-packages" not in name:
                    stack.append(f"{Path(name).stem}.{frame.f_code.co_name}")
                frame = frame.f_back
            file.write_text(json.dumps([*stack[::-1], point]))
        return function(*arguments, **keywords)

    return call


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):  # noqa: ARG002
        if name not in POINTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            for point, place in POINTS[name]:
                owner, attribute = module, place
                if "." in place:
                    first, attribute = place.split(".")
                    owner = getattr(module, first, None)
                if owner is not None and hasattr(owner, attribute):
                    setattr(owner, attribute, marked(point, getattr(owner, attribute)))

        spec.loader.exec_module = exec_module
        return spec


if PLACE:
    sys.meta_path.insert(0, Finder())
