"""Ray Train's trainer with two processes a trial less; it starts some seconds sooner."""

import asyncio
from typing import Any

import ray.train.torch
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.execution.controller import TrainController


class LeanTrainer(ray.train.torch.TorchTrainer):
    """For a process that is an actor: the controller runs in it, and no Ray Data set is served.

    Both take hold of what Ray keeps to itself (2.60): without these two methods it is Ray's trainer again, whose
    controller and data set manager each import what the trial's driver has imported before.
    """

    def _create_default_callbacks(self) -> list[Any]:
        return [each for each in super()._create_default_callbacks() if not isinstance(each, DatasetsCallback)]

    def _initialize_and_run_controller(self, **arguments: Any) -> ray.train.Result:
        controller = TrainController(**arguments)
        asyncio.run(controller.run())
        return controller.get_result()
