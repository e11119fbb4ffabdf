"""Resolves a job's argument CHECKPOINT_OR_RUN to a generator, and to the run that contains it.

The generator of a run may also be the user's own code. Such a run has no trials, and its target is an entry.
"""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from framework.checkpoint.imported import imported_checkpoint
from framework.checkpoint.saved import is_name
from framework.config.code import ENTRY, entry_of
from framework.config.words import shown
from framework.errors import CheckpointError
from framework.runs import RunFolder
from framework.runs.documents import TrialBest, read_document
from framework.runs.folder import BEST
from framework.storage import Folder, open_folder

_LEVELS_UP = 5  # RUN/trials/<id>/checkpoints/<name>/generator


@dataclass(frozen=True)
class CheckpointRef:
    """A checkpoint of a run, or the user's own generator of a run.

    Args:
        run: Location of the run.
        checkpoint: Path of the checkpoint within the run; `entry:package.module:function` for the user's generator.
    """

    run: str
    checkpoint: str

    @classmethod
    def of_entry(cls, run: str, entry: str) -> "CheckpointRef":
        """The target for the user's own generator, named by `model.entry`."""
        return cls(run, f"{ENTRY}{entry}")

    @property
    def typed(self) -> str:
        """The job arguments that name this target in a shell.

        >>> CheckpointRef.of_entry("runs/a b", "faces:generator").typed
        "'runs/a b' model.entry=faces:generator"
        """
        named = [] if self.entry is None else [f"model.entry={self.entry}"]
        return shlex.join([self.run, *named])

    @property
    def entry(self) -> str | None:
        """`package.module:function` of the user's own generator; None for a checkpoint."""
        return entry_of(self.checkpoint)

    @property
    def images_seen(self) -> int:
        """The training images that the checkpoint had seen; 0 for the user's own generator."""
        return 0 if self.entry else int(PurePosixPath(self.checkpoint).name)

    @property
    def location(self) -> str:
        """The location of the checkpoint, or the entry; `load_generator` accepts both."""
        return self.checkpoint if self.entry else (open_folder(self.run) / self.checkpoint).location


def find_target(location: str) -> CheckpointRef:
    """The best checkpoint of a run or trial, the checkpoint itself, or the user's own generator of a run.

    An entry is only named here; its code runs when the generator is loaded.

    Raises:
        CheckpointError: The location is not a run, trial or checkpoint, or no checkpoint was scored yet.
    """
    folder = open_folder(location)
    if not folder.exists():
        raise CheckpointError(f"{location}: does not exist")
    run = RunFolder.open(_enclosing(folder).location)
    steps = _steps(folder, run)
    if len(steps) >= 4:  # trials/<id>/checkpoints/<name>
        return CheckpointRef(run.folder.location, str(PurePosixPath(*steps[:4])))
    if len(steps) >= 2:  # trials/<id>
        trial = run.trial(steps[1])
        has_best = trial.checkpoints.exists("best.json")
        best = read_document(trial.checkpoints, "best.json", TrialBest) if has_best else {}
        if not best.get("checkpoint"):
            raise CheckpointError(f"{location}: this trial has no scored checkpoint yet; name one of its checkpoints")
        return CheckpointRef(run.folder.location, f"trials/{trial.id}/checkpoints/{best['checkpoint']}")
    if run.experiment.model.entry is not None and run.best() is None:
        return CheckpointRef.of_entry(run.folder.location, run.experiment.model.entry)
    return best_target(run)


def every_target(location: str) -> list[CheckpointRef]:
    """All checkpoints of a run or trial, by trial and oldest first; for a checkpoint, only itself.

    Raises:
        CheckpointError: There are no checkpoints.
    """
    folder = open_folder(location)
    run = RunFolder.open(_enclosing(folder).location)
    steps = _steps(folder, run)
    if len(steps) >= 4:
        return [find_target(location)]
    trials = [run.trial(steps[1])] if len(steps) >= 2 else run.trials()
    targets = [
        CheckpointRef(run.folder.location, f"trials/{trial.id}/checkpoints/{name}")
        for trial in trials
        for name in trial.checkpoints.list()
        if is_name(name)
    ]
    if not targets:
        raise CheckpointError(f"{location}: has no checkpoints yet")
    return targets


def best_target(run: RunFolder) -> CheckpointRef:
    """The best checkpoint of a run; for an imported run without scores, its only checkpoint."""
    best, imported = run.best(), imported_checkpoint(run)
    if best is None and imported is not None:
        return CheckpointRef(run.folder.location, imported)
    if best is None:
        raise CheckpointError(f"{run.folder.location}: this run has no scored checkpoint yet")
    checkpoint = best.get("checkpoint")
    steps = PurePosixPath(str(checkpoint)).parts
    if len(steps) != 4 or (steps[0], steps[2]) != ("trials", "checkpoints") or not is_name(steps[3]):
        allowed = "must be trials/ID/checkpoints/NUMBER"  # anything else, such as an entry, might be code
        raise CheckpointError(f"{run.folder.location}/{BEST}: checkpoint: {allowed}, not {shown(checkpoint)}")
    return CheckpointRef(run.folder.location, str(checkpoint))


def _steps(folder: Folder, run: RunFolder) -> tuple[str, ...]:
    """The components of a folder's path within the run."""
    inside, outside = (PurePosixPath(place.location.partition("?")[0]) for place in (folder, run.folder))
    return inside.relative_to(outside).parts


def _enclosing(folder: Folder) -> Folder:
    here = folder
    for _ in range(_LEVELS_UP + 1):
        if here.exists("experiment.yaml"):
            return here
        here = here.parent
    raise CheckpointError(
        f"{folder.location}: is not in a run; name a run, or a checkpoint in one "
        f"(an exported generator can only be opened with framework.load_generator)"
    )
