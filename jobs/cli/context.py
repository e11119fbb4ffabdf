"""The study a job works in: images and assessors at hand, Ray connected for the length of a block.

Every node is asked for the results' folder here, before anything is left to it.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from framework.checkpoint import load_generator
from framework.checkpoint.foreign import ENTRY, code_of, entry_of
from framework.checkpoint.reference import Target, find_target
from framework.config import Experiment, with_overrides
from framework.errors import CheckpointError, ConfigError
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.nodes import check_storage_everywhere
from framework.orchestration.context import Study, begin_run, end_run, prepare_images, train_assessors
from framework.runs import RunFolder
from framework.runs.folder import run_place
from jobs.cli.job import Arguments, Console


@contextlib.contextmanager
def begin_study(arguments: Arguments, experiment: Experiment) -> Iterator[Study]:
    """For the jobs that take CONFIG: its run, begun or gone on with, and nobody else's for this block."""
    console = arguments.console
    run_place(experiment)  # a place that would vanish is refused before images are packed, which may take long
    images = prepare_images(experiment, console)
    with (
        begin_run(experiment, images, arguments.command, console) as run,
        connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say) as cluster,
    ):
        check_storage_everywhere(run)
        assessors = train_assessors(run, images, console, cluster)
        yield Study(run, images, assessors, cluster, console)


@contextlib.contextmanager
def open_study(
    arguments: Arguments, *, check: Callable[[RunFolder, Target], object] | None = None, assessed: bool = True
) -> Iterator[tuple[Study, Target]]:
    """For the jobs that take CHECKPOINT_OR_RUN: its run, overrides laid over the run's own settings.

    A CONFIG with model.entry: its run, begun or gone on with, of the generator that a function of the user's gives.

    Args:
        arguments: As typed.
        check: Refuses what can be refused before images are prepared and Ray is there.
        assessed: Whether the job wants assessors.
    """
    run, target = find_study(arguments)
    experiment, console = run.experiment, arguments.console
    own = _own_score(arguments, experiment)
    if target.entry is not None:
        open_foreign(target.location, experiment, console)
    if check is not None:
        check(run, target)
    images = prepare_images(experiment, console)
    begins = arguments.takes_config
    with begin_run(experiment, images, arguments.command, console) if begins else contextlib.nullcontext(run) as run:
        with connect(
            arguments.title(run.folder.name),
            verbose=arguments.verbose,
            say=console.say,
            code=codes([target.location, *own]),
        ) as cluster:
            check_storage_everywhere(run)
            assessors = train_assessors(run, images, console, cluster) if assessed else None
            yield Study(run, images, assessors, cluster, console), target
        if begins:
            end_run(run)


def find_study(arguments: Arguments) -> tuple[RunFolder, Target]:
    """The run that is meant, which a CONFIG may yet have to begin, and its generator; runs no code of the user's.

    Raises:
        ConfigError: A config without model.entry, or a run whose generator is code that was not named here.
        CheckpointError: There is no run or checkpoint, or model.entry was said of a run of trainings.
    """
    first, named = arguments.positionals[0], arguments.overrides.get("model.entry")
    if arguments.takes_config:
        experiment = arguments.experiment()
        if experiment.model.entry is None:
            raise ConfigError(
                f"{first}: jobs.{arguments.job} takes a run or a checkpoint, or a config with "
                "model.entry=package.module:function"
            )
        place = run_place(experiment)
        return RunFolder(place, experiment), Target.of_entry(place.location, experiment.model.entry)
    if named is not None:
        run = RunFolder.open(first)
        if run.experiment.model.entry is None:
            raise CheckpointError(
                f"{first}: is no run of a generator of your own; name a config beside model.entry, which begins one"
            )
        run = RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides))
        return run, Target.of_entry(run.folder.location, str(named))
    target = find_target(first)
    if target.entry is not None:
        # The folder may have come from anywhere, and what it names would be run.
        raise ConfigError(
            f"{first}: its generator is code, which a run does not start by its own word; "
            f"if that code is yours, add model.entry={target.entry}"
        )
    run = RunFolder.open(target.run)
    return RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides)), target


def open_foreign(location: str, experiment: Experiment, console: Console) -> None:
    """Runs the user's code and says so; what it gives has to fit the images.

    Raises:
        ConfigError: It makes images of another size.
    """
    entry = entry_of(location)
    say_code([location], console)
    generator = load_generator(location)
    side, channels, data = generator.resolution, generator.channels, experiment.data
    if (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"model.entry: {entry}: makes images of {side}x{side} with {channels} channels, and data.resolution is "
            f"{data.resolution} with data.channels {data.channels}; set these, or let the function resize"
        )
    console.say(f"Generator: latents of {generator.latent_size} numbers, images of {side}x{side}")


def _own_score(arguments: Arguments, experiment: Experiment) -> list[str]:
    """The user's function that `latents.directions.score` names, as an entry, said before it is run.

    Raises:
        ConfigError: A run names it, and not this call.
    """
    score = experiment.latents.directions.score
    if score is None:
        return []
    if "latents.directions.score" not in arguments.overrides and not arguments.takes_config:
        raise ConfigError(
            f"{arguments.positionals[0]}: its latents.directions.score is code, which a run does not start by its own "
            f"word; if that code is yours, add latents.directions.score={score}"
        )
    arguments.console.say(f"Score: runs code of yours, {score} ({code_of(score) or 'installed'})")
    return [f"{ENTRY}{score}"]


def say_code(locations: Sequence[str], console: Console) -> None:
    """A line for each entry, before it is run."""
    for entry in filter(None, map(entry_of, locations)):
        console.say(f"Generator: runs code of yours, {entry} ({code_of(entry) or 'installed'})")


def codes(locations: Sequence[str]) -> list[Path]:
    """The modules of entries, for the nodes of a cluster to get."""
    return list(filter(None, map(code_of, filter(None, map(entry_of, locations)))))
