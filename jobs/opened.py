"""The study a job works in: images and assessors at hand, Ray connected for the length of a block.

Every node is asked for the results' folder here, before anything is left to it.
"""

import contextlib
from collections.abc import Callable, Iterator

from framework.checkpoint import RunFolder
from framework.config import Experiment, with_overrides
from framework.orchestration.cluster import connect
from framework.orchestration.nodes import check_storage_everywhere
from framework.orchestration.study import Study, begin_run, prepare_images, train_assessors
from framework.orchestration.target import Target, find_target
from jobs.cli import Arguments


@contextlib.contextmanager
def begin_study(arguments: Arguments, experiment: Experiment) -> Iterator[Study]:
    """For the jobs that take CONFIG: its run, begun or gone on with, and nobody else's for this block."""
    console = arguments.console
    images = prepare_images(experiment, console)
    with begin_run(experiment, images, arguments.command, console) as run:
        assessors = train_assessors(run, images, console)
        with connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say) as cluster:
            check_storage_everywhere(run)
            yield Study(run, images, assessors, cluster, console)


@contextlib.contextmanager
def open_study(
    arguments: Arguments, *, check: Callable[[RunFolder, Target], object] | None = None
) -> Iterator[tuple[Study, Target]]:
    """For the jobs that take CHECKPOINT_OR_RUN: its run, overrides laid over the run's own settings.

    Args:
        arguments: As typed.
        check: Refuses what can be refused before images are prepared and Ray is there.
    """
    target = find_target(arguments.positionals[0])
    console = arguments.console
    run = RunFolder.open(target.run)
    run = RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides))
    if check is not None:
        check(run, target)
    images = prepare_images(run.experiment, console)
    assessors = train_assessors(run, images, console)
    with connect(arguments.title(run.folder.name), verbose=arguments.verbose, say=console.say) as cluster:
        check_storage_everywhere(run)
        yield Study(run, images, assessors, cluster, console), target
