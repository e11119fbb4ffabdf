"""The directions that a job is to steer along."""

from collections.abc import Callable, Sequence

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.errors import LatentsError
from framework.latents.directions.direction import SUFFIX, Direction, load_direction, name_of
from framework.orchestration.studies.starts import starts_of
from framework.runs import RunFolder


def chosen_files(names: Sequence[str], files: Sequence[str], *, key: str = "latents.steering.directions") -> list[str]:
    """The files that the names select, by file name, path or attribute; all files without names.

    Args:
        key: The key that has the names, for messages.

    Raises:
        LatentsError: The run has no directions, or none with that name.

    >>> chosen_files(["directions/smiling-ganalyze.safetensors", "smiling"],
    ...              ["hat-difference.safetensors", "smiling-ganalyze.safetensors"])
    ['smiling-ganalyze.safetensors']
    """
    if not files:
        raise LatentsError(f"{key}: the run has no directions yet; python -m jobs.discover finds some")
    if not names:
        return list(files)
    chosen: list[str] = []
    for name in names:
        stem = name.rpartition("/")[2].removesuffix(SUFFIX)
        matching = [file for file in files if name in (name_of(file), name_of(file).rpartition("-")[0])]
        matching = matching or [file for file in files if stem in (file.removesuffix(SUFFIX), file.rpartition("-")[0])]
        if not matching:
            known = ", ".join(map(name_of, files))
            raise LatentsError(f"{key}: there is no direction {name}; the run has {known}")
        chosen += matching
    return list(dict.fromkeys(chosen))


def named_direction(run: RunFolder, name: str, generator: LoadedGenerator, *, say: Callable[[str], None]) -> Direction:
    """The one direction of a run with this name, checked against the generator.

    Raises:
        LatentsError: There is none or there are several, it is damaged, or it has latents of another size.
    """
    folder = run.directions
    files = [file for file in folder.list() if file.endswith(SUFFIX)] if folder.exists() else []
    found = chosen_files([name], files, key="direction")
    if len(found) > 1:
        raise LatentsError(f"direction: {name} is several, {', '.join(map(name_of, found))}; name one of them")
    direction = load_direction(folder, found[0])
    warning = direction.check(latent_size=generator.latent_size, generator=generator.digest, place=found[0])
    if warning is not None:
        say(f"Warning: {warning}")
    return direction


def chosen_directions(
    run: RunFolder, target: CheckpointRef, *, say: Callable[[str], None] | None = None
) -> dict[str, Direction]:
    """File -> direction for those that `latents.steering.directions` selects, each checked against the generator.

    Raises:
        LatentsError: A direction is missing, is damaged, or has latents of another size.
    """
    folder, generator = run.directions, load_generator(target.location)
    files = [name for name in folder.list() if name.endswith(SUFFIX)] if folder.exists() else []
    directions = {}
    for file in chosen_files(run.experiment.latents.steering.directions, files):
        direction = load_direction(folder, file)
        warning = direction.check(latent_size=generator.latent_size, generator=generator.digest, place=file)
        if warning is not None and say is not None:
            say(f"Warning: {warning}")
        directions[file] = direction
    return directions


def check_steering(run: RunFolder, target: CheckpointRef) -> None:
    """Checks directions and starts before anything is computed.

    Raises:
        LatentsError: A direction or an entry of `latents.start` is missing, is damaged, or has latents of another size.
    """
    chosen_directions(run, target)
    starts_of(run, load_generator(target.location))
