"""The context a job works in: its run, images and assessors, and a connection to Ray for the length of a block.

Every node must be able to reach the folder of the results; that is checked here, before any work is sent to a node.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from framework.checkpoint import load_generator
from framework.checkpoint.foreign import code_of
from framework.checkpoint.reference import CheckpointRef, find_target
from framework.config import Experiment, with_overrides
from framework.config.code import FEATURES, allow, code_fault, entry_of, named_code
from framework.errors import CheckpointError, ConfigError
from framework.evaluation.requests.missing_weights import fetch_missing
from framework.orchestration.cluster.connect import connect, is_cluster_elsewhere, planned_cluster
from framework.orchestration.cluster.nodes import check_storage_everywhere
from framework.orchestration.context import RunContext, begin_run, end_run, prepare_images, train_assessors
from framework.runs import RunFolder
from framework.runs.folder import run_place
from framework.training.conditions import check_conditions, training_labels
from jobs.cli.forecast import refuse_oversized, refuse_samples
from jobs.cli.job import Arguments, Console

Check = Callable[[RunFolder, CheckpointRef], object]
_TRAININGS = ("pipeline", "search", "train")
_KINDS_OF_CODE = {"latents.directions.score": "Score", FEATURES: "Features"}


@contextlib.contextmanager
def begin_context(arguments: Arguments, experiment: Experiment) -> Iterator[RunContext]:
    """The context for a job with a CONFIG argument: creates or resumes its run, and locks the run for this block."""
    console = arguments.console
    refuse_samples(experiment)
    run = RunFolder(run_place(experiment), experiment)
    fetch_missing(experiment.evaluation, run=run, counter=console.counter, say=console.say)
    is_ours = not is_cluster_elsewhere()
    if is_ours:
        refuse_oversized(experiment, planned_cluster())  # before hours of packing
    images = prepare_images(experiment, console)
    for line in check_conditions(training_labels(images), experiment):
        console.say(line)
    with (
        begin_run(experiment, images, arguments.command, console) as run,
        connect(
            arguments.title(experiment.name),
            verbose=arguments.verbose,
            say=console.say,
            code=code_files(arguments, experiment),
        ) as cluster,
    ):
        if arguments.notes:
            run.note(notes=list(arguments.notes))
        check_storage_everywhere(run, cluster, console.say)
        if not (is_ours and cluster.embedded):
            refuse_oversized(experiment, cluster)
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
    run, target = checked_target(arguments, check)
    experiment, console = run.experiment, arguments.console
    images = prepare_images(experiment, console)
    begins = arguments.takes_config
    with begin_run(experiment, images, arguments.command, console) if begins else contextlib.nullcontext(run) as run:
        with connect(
            arguments.title(run.folder.name),
            verbose=arguments.verbose,
            say=console.say,
            code=code_files(arguments, experiment),
        ) as cluster:
            check_storage_everywhere(run, cluster, console.say)
            assessors = train_assessors(run, images, console, cluster) if assessed else None
            yield RunContext(run, images, assessors, cluster, console), target
        if begins:
            end_run(run)


def checked_target(arguments: Arguments, check: Check | None) -> tuple[RunFolder, CheckpointRef]:
    """The run and the generator that the arguments name, checked.

    Raises:
        LatentscapeError: As `find_context`, and whatever `check` raises.
    """
    run, target = find_context(arguments)
    if target.entry is not None:
        open_foreign(target.location, run.experiment, arguments.console)
    refuse_samples(run.experiment)
    if run.experiment.latents.condition:
        load_generator(target.location).conditioned(run.experiment.latents.condition)  # an unknown value is an error
    if check is not None:
        check(run, target)
    return run, target


def find_context(arguments: Arguments) -> tuple[RunFolder, CheckpointRef]:
    """The run and the generator that the arguments name; allows code, but runs none. A CONFIG's run may not exist yet.

    Raises:
        ConfigError: A config without model.entry, or a run that names code which the command does not name.
        CheckpointError: The run or checkpoint does not exist, or model.entry was given for a run of trainings.
    """
    run, target = _found(arguments)
    allow_code(arguments, run.experiment)
    return run, target


def _found(arguments: Arguments) -> tuple[RunFolder, CheckpointRef]:
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
    run = RunFolder.open(target.run)
    return RunFolder(run.folder, with_overrides(run.experiment, arguments.overrides)), target


def open_foreign(location: str, experiment: Experiment, console: Console) -> None:
    """Loads the user's generator, and checks that its images fit the data.

    Raises:
        ConfigError: The generator's images have another size or number of channels than the data.
    """
    entry = entry_of(location)
    generator = load_generator(location)
    side, channels, data = generator.resolution, generator.channels, experiment.data
    if (side, channels) != (data.resolution, data.channels):
        raise ConfigError(
            f"model.entry: {entry}: makes images of {side}x{side} with {channels} channels, but data.resolution is "
            f"{data.resolution} and data.channels is {data.channels}; change these keys, or resize in your function"
        )
    console.say(f"Generator: latents of {generator.latent_size} numbers, images of {side}x{side}")


def training_experiment(arguments: Arguments) -> Experiment:
    """The experiment for a job that trains a generator; allows the code that it is scored by.

    Raises:
        ConfigError: As `Arguments.experiment_to_train` and `allow_code`.
    """
    experiment = arguments.experiment_to_train()
    allow_code(arguments, experiment)
    return experiment


def allow_code(arguments: Arguments, experiment: Experiment | None = None) -> None:
    """The one place where a job allows code: what its user has named, each with a line that says so.

    A run or a config may have come from anybody, so the user must confirm the code that it names.

    Raises:
        ConfigError: A run or a config names code, but the command does not.
    """
    for key, entry in _code_of_keys(arguments, experiment):
        if key not in arguments.overrides:
            raise ConfigError(f"{arguments.positionals[0]}: {code_fault(key, entry)}")
    for key, entry in _all_code(arguments, experiment):
        what = _KINDS_OF_CODE.get(key, "Generator")
        arguments.console.say_once(f"{what}: runs your code, {entry} ({code_of(entry) or 'installed'})")
        allow([entry])


def code_files(arguments: Arguments, experiment: Experiment | None = None) -> list[Path]:
    """The files or folders of the allowed modules, which are sent to the nodes of a cluster."""
    return list(filter(None, (code_of(entry) for _, entry in _all_code(arguments, experiment))))


def _all_code(arguments: Arguments, experiment: Experiment | None) -> Iterator[tuple[str, str]]:
    """The code that is named: (key, entry); the key is empty for a positional argument."""
    yield from (("", entry) for entry in filter(None, map(entry_of, arguments.positionals)))
    yield from _code_of_keys(arguments, experiment)


def _code_of_keys(arguments: Arguments, experiment: Experiment | None) -> Iterator[tuple[str, str]]:
    """The code that keys of an experiment name and this job would run: (key, entry).

    A training runs only the features that it is scored by. A study has no scores. The others' gate stays shut.
    """
    for key, entry in named_code(experiment).items() if experiment else ():
        scores = arguments.job in (*_TRAININGS, "evaluate")
        if scores if key == FEATURES else arguments.job not in _TRAININGS:
            yield key, entry
