"""Train one setting with DDP under Ray Train: a run with one trial. Run it again to resume."""

import shlex
from typing import Any

from framework.config import Experiment
from framework.config.describe import KeyHelp
from framework.data import find_prepared
from framework.errors import ConfigError
from framework.images.png import png_bytes
from framework.orchestration.context import end_run
from framework.orchestration.search.run import train_single
from framework.runs import cache_folder
from framework.storage import Folder
from framework.training.reports.augmentation_sheet import augmentation_sheet
from jobs.cli.context import begin_context, training_experiment
from jobs.cli.forecast import forecast
from jobs.cli.job import TRAINING_SECTIONS, Arguments, Job, run_job, shown, with_plan
from jobs.cli.places import file_place
from jobs.cli.tables import print_results

SHEET = "augmentation_sheet"
OWN = (KeyHelp(SHEET, "", "", "a file .png", "with --dry-run: the picture of augmented training images to write"),)
JOB = Job("train", __doc__, "CONFIG", TRAINING_SECTIONS, own=OWN)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be trained; writes the sheet of augmentations if one is asked for, and nothing else."""
    sheet = file_place(arguments.own[SHEET], key=SHEET, ending=".png", example="augmentations.png")
    experiment = training_experiment(arguments)
    document = forecast(experiment, arguments.console, trials=1)
    return document if sheet is None else document | {SHEET: _write_sheet(*sheet, experiment, arguments)}


def _write_sheet(folder: Folder, name: str, experiment: Experiment, arguments: Arguments) -> str:
    """Writes the sheet; gives its location.

    Raises:
        ConfigError: There are no augmentations, or the images are not packed yet.
    """
    if not experiment.objective.augmentations:
        raise ConfigError(f"{SHEET}: objective.augmentations is empty; add e.g. objective.augmentations=[color]")
    images = find_prepared(experiment.data, cache=cache_folder(experiment.storage))
    if images is None:
        keys = [word for word in arguments.command if word.startswith(("data.", "storage."))]
        command = shlex.join(["python", "-m", "jobs.prepare_data", arguments.positionals[0], *keys])
        raise ConfigError(f"{SHEET}: the images are not packed yet; first run {command}")
    folder.write_bytes(name, png_bytes(augmentation_sheet(images, experiment)))
    arguments.console.say(f"Written: {shown((folder / name).location)}")
    return (folder / name).location


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Prepares images and assessors if necessary, trains, and prints the trial's row of the leaderboard."""
    if arguments.own[SHEET]:
        raise ConfigError(f"{SHEET}: is written by --dry-run only; add --dry-run, or leave it out")
    experiment, console = training_experiment(arguments), arguments.console
    with begin_context(arguments, experiment) as context:
        rows = train_single(context)
        end_run(context.run)
    return print_results(context.run, rows, console)


if __name__ == "__main__":
    run_job(JOB, body)
