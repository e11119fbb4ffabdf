"""What a job's CHECKPOINT_OR_RUN means: a generator, and the run whose settings and folder go with it.

A run may also be of a generator of the user's own: it has no trials, and its target is an entry.
"""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from framework.checkpoint.foreign import ENTRY, entry_of
from framework.checkpoint.imported import imported_checkpoint
from framework.checkpoint.saved import is_name
from framework.errors import CheckpointError
from framework.runs import RunFolder
from framework.storage import Folder, open_folder

_LEVELS_UP = 5  # RUN/trials/<id>/checkpoints/<name>/generator


@dataclass(frozen=True)
class Target:
    """A checkpoint of a run, or the foreign generator that a run is of.

    Args:
        run: Location of RUN.
        checkpoint: Path of the checkpoint within RUN; `entry:package.module:function` of a foreign generator.
    """

    run: str
    checkpoint: str

    @classmethod
    def of_entry(cls, run: str, entry: str) -> "Target":
        """A foreign generator, by `model.entry`."""
        return cls(run, f"{ENTRY}{entry}")

    @property
    def typed(self) -> str:
        """The run as a job's arguments name it in a shell.

        >>> Target.of_entry("runs/a b", "faces:generator").typed
        "'runs/a b' model.entry=faces:generator"
        """
        named = [] if self.entry is None else [f"model.entry={self.entry}"]
        return shlex.join([self.run, *named])

    @property
    def entry(self) -> str | None:
        """`package.module:function` of a foreign generator; None for a checkpoint."""
        return entry_of(self.checkpoint)

    @property
    def images_seen(self) -> int:
        """The checkpoint's clock; 0 for a foreign generator."""
        return 0 if self.entry else int(PurePosixPath(self.checkpoint).name)

    @property
    def location(self) -> str:
        """Where the checkpoint lies, or the entry: what `load_generator` opens."""
        return self.checkpoint if self.entry else (open_folder(self.run) / self.checkpoint).location


def find_target(location: str) -> Target:
    """The best checkpoint of a run or trial, or the checkpoint itself; of a foreign generator's run that generator.

    An entry is only named here: whoever opens it runs code.

    Raises:
        CheckpointError: It is neither, or nothing was scored yet.
    """
    folder = open_folder(location)
    if not folder.exists():
        raise CheckpointError(f"{location}: is not there")
    run = RunFolder.open(_enclosing(folder).location)
    steps = _steps(folder, run)
    if len(steps) >= 4:  # trials/<id>/checkpoints/<name>
        return Target(run.folder.location, str(PurePosixPath(*steps[:4])))
    if len(steps) >= 2:  # trials/<id>
        trial = run.trial(steps[1])
        best = trial.checkpoints.read_json("best.json") if trial.checkpoints.exists("best.json") else {}
        if not best.get("checkpoint"):
            raise CheckpointError(f"{location}: this trial has no scored checkpoint; name one of its checkpoints")
        return Target(run.folder.location, f"trials/{trial.id}/checkpoints/{best['checkpoint']}")
    if run.experiment.model.entry is not None and run.best() is None:
        return Target.of_entry(run.folder.location, run.experiment.model.entry)
    return best_target(run)


def every_target(location: str) -> list[Target]:
    """Every kept checkpoint of every trial of a run, or of the trial, or the checkpoint alone; oldest first.

    Raises:
        CheckpointError: There is none.
    """
    folder = open_folder(location)
    run = RunFolder.open(_enclosing(folder).location)
    steps = _steps(folder, run)
    if len(steps) >= 4:
        return [find_target(location)]
    trials = [run.trial(steps[1])] if len(steps) >= 2 else run.trials()
    found = [
        Target(run.folder.location, f"trials/{trial.id}/checkpoints/{name}")
        for trial in trials
        for name in trial.checkpoints.list()
        if is_name(name)
    ]
    if not found:
        raise CheckpointError(f"{location}: has no checkpoint yet")
    return found


def best_target(run: RunFolder) -> Target:
    """The best checkpoint of a run that has scores; of one that was imported its only one."""
    best, imported = run.best(), imported_checkpoint(run)
    if best is None and imported is not None:
        return Target(run.folder.location, imported)
    if best is None:
        raise CheckpointError(f"{run.folder.location}: this run has no scored checkpoint yet")
    return Target(run.folder.location, best["checkpoint"])


def _steps(folder: Folder, run: RunFolder) -> tuple[str, ...]:
    """The way from the run to what lies in it."""
    inside, outside = (PurePosixPath(place.location.partition("?")[0]) for place in (folder, run.folder))
    return inside.relative_to(outside).parts


def _enclosing(folder: Folder) -> Folder:
    here = folder
    for _ in range(_LEVELS_UP + 1):
        if here.exists("experiment.yaml"):
            return here
        here = here.parent
    raise CheckpointError(
        f"{folder.location}: lies in no run; jobs want a run, or a checkpoint within one "
        f"(framework.load_generator opens an exported generator)"
    )
