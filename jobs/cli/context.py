"""The context a job works in: its run, images and assessors, and a connection to Ray for the length of a block.

Every node must be able to reach the folder of the results; that is checked here, before any work is sent to a node.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from framework.checkpoint import load_generator
from framework.checkpoint.foreign import ENTRY, code_of, entry_of
from framework.checkpoint.reference import CheckpointRef, find_target
from framework.config import Experiment, with_overrides
from framework.errors import CheckpointError, ConfigError
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.nodes import check_storage_everywhere
from framework.orchestration.context import RunContext, begin_run, end_run, prepare_images, train_assessors
from framework.runs import RunFolder
from framework.runs.folder import run_place
from jobs.cli.job import Arguments, Console

Check = Callable[[RunFolder, CheckpointRef], object]


@contextlib.contextmanager
def begin_context(arguments: Arguments, experiment: Experiment) -> Iterator[RunContext]:
    """The context for a job with a CONFIG argument: creates or resumes its run, and locks the run for this block."""
    console = arguments.console
    run_place(experiment)  # refuses storage that would vanish, before the images are packed, which may take long
    images = prepare_images(experiment, console)
    with (
        begin_run(experiment, images, arguments.command, console) as run,
        connect(arguments.title(experiment.name), verbose=arguments.verbose, say=console.say) as cluster,
    ):
        check_storage_everywhere(run)
        assessors = train_assessors(run, images, console, cluster)
        yield RunContext(run, images, assessors, cluster, console)


@contextlib.contextmanager
def open_context(
    arguments: Arguments, *, check: Check | None = None, assessed: bool = True
) -> Iterator[tuple[RunContext, CheckpointRef]]:
    """The context for a job with a CHECKPOINT_OR_RUN argument: its run, with the overrides applied to its settings.

    A CONFIG with model.entry is accepted too; its run is created or resumed, and its generator is the user's own.

    Args:
        arguments: The parsed command line.
        check: Raises an error for a request that can be refused before images are prepared and Ray is started.
        assessed: Whether the job needs assessors.
    """
    run, target, own = checked_target(arguments, check)
    experiment, console = run.experiment, arguments.console
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
            yield RunContext(run, images, assessors, cluster, console), target
        if begins:
            end_run(run)


def checked_target(arguments: Arguments, check: Check | None) -> tuple[RunFolder, CheckpointRef, list[str]]:
    """The run and the generator that the arguments name, checked, and the entries of the user's code besides it.

    Raises:
        LatentscapeError: As `find_context`, and whatever `check` raises.
    """
    run, target = find_context(arguments)
    own = _own_score(arguments, run.experiment)
    if target.entry is not None:
        open_foreign(target.location, run.experiment, arguments.console)
    if check is not None:
        check(run, target)
    return run, target, own


def find_context(arguments: Arguments) -> tuple[RunFolder, CheckpointRef]:
    """The run and the generator that the arguments name; runs no user code. The run of a CONFIG may not exist yet.

    Raises:
        ConfigError: A config without model.entry, or a run whose generator is code that the command does not name.
        CheckpointError: The run or checkpoint does not exist, or model.entry was given for a run of trainings.
    """
    first, named = arguments.positionals[0], arguments.overrides.get("model.entry")
    if arguments.takes_config:
        experiment = arguments.experiment()
        if experiment.model.entry is None:
            raise ConfigError(
                f"{first}: jobs.{arguments.job} needs a run or a checkpoint; a config is accepted only with "
                "model.entry=package.module:function"
            )
        place = run_place(experiment)
        return RunFolder(place, experiment), CheckpointRef.of_entry(place.location, experiment.model.entry)
    if named is not None:
        run = RunFolder.open(first)
        if run.experiment.model.entry is None:
            raise CheckpointError(
                f"{first}: this run has no custom generator; pass a config with model.entry to create one"
            )
        run = RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides))
        return run, CheckpointRef.of_entry(run.folder.location, str(named))
    target = find_target(first)
    if target.entry is not None:
        # The folder may have come from anywhere, so the user must confirm the code that it names.
        raise ConfigError(
            f"{first}: this run loads its generator from Python code; to allow running it, add "
            f"model.entry={target.entry}"
        )
    run = RunFolder.open(target.run)
    return RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides)), target


def open_foreign(location: str, experiment: Experiment, console: Console) -> None:
    """Loads the user's generator, after a line that says so, and checks that its images fit the data.

    Raises:
        ConfigError: The generator's images have another size or number of channels than the data.
    """
    entry = entry_of(location)
    say_code([location], console)
    generator = load_generator(location)
    side, channels, data = generator.resolution, generator.channels, experiment.data
    if (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"model.entry: {entry}: makes images of {side}x{side} with {channels} channels, but data.resolution is "
            f"{data.resolution} and data.channels is {data.channels}; change these keys, or resize in your function"
        )
    console.say(f"Generator: latents of {generator.latent_size} numbers, images of {side}x{side}")


def _own_score(arguments: Arguments, experiment: Experiment) -> list[str]:
    """The user's function that `latents.directions.score` names, as an entry; a line announces it before it runs.

    Raises:
        ConfigError: The run names the function, but this command does not.
    """
    score = experiment.latents.directions.score
    if score is None:
        return []
    if "latents.directions.score" not in arguments.overrides and not arguments.takes_config:
        raise ConfigError(
            f"{arguments.positionals[0]}: the run's latents.directions.score is Python code; to allow running it, add "
            f"latents.directions.score={score}"
        )
    arguments.console.say(f"Score: runs your code, {score} ({code_of(score) or 'installed'})")
    return [f"{ENTRY}{score}"]


def say_code(locations: Sequence[str], console: Console) -> None:
    """Prints a line for each entry, before its code runs."""
    for entry in filter(None, map(entry_of, locations)):
        console.say(f"Generator: runs your code, {entry} ({code_of(entry) or 'installed'})")


def codes(locations: Sequence[str]) -> list[Path]:
    """The files or folders of the entries' modules, which are sent to the nodes of a cluster."""
    return list(filter(None, map(code_of, filter(None, map(entry_of, locations)))))
