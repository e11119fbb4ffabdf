"""All checkpoints of one trial: saves them, keeps the best, and finds the newest undamaged one to resume from."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

from framework.checkpoint.saved import MANIFEST, Checkpoint, fill, is_name, name_at
from framework.errors import CheckpointError, StorageError
from framework.runs.documents import TrialBest, read_document
from framework.runs.settings import differences
from framework.storage import Folder
from framework.storage.folder import storage_errors

BEST = "best.json"


class CheckpointStore:
    """The checkpoints in one folder, for any number of readers and one writing process, whose threads take turns.

    Args:
        folder: The folder of the checkpoints; it need not exist yet.
        digest: `Experiment.digest` of the training; a checkpoint with another digest is refused.
        learned: `{"data": <content digest>, **experiment.learned()}`, to name the keys that differ.
        keep: How many of the newest checkpoints are kept in addition to the best one, or "all".
    """

    def __init__(self, folder: Folder, *, digest: str, learned: dict[str, Any], keep: int | Literal["all"]) -> None:
        self.folder = folder
        self._digest = digest
        self._learned = learned
        self._keep = keep
        self._awaited: set[str] = set()
        self._lock = threading.Lock()  # one thread may write a checkpoint while another records a score

    def save(
        self,
        parts: Mapping[str, Mapping[str, torch.Tensor]],
        *,
        info: Mapping[str, Any],
        images_seen: int,
        generator: tuple[Mapping[str, torch.Tensor], Mapping[str, Any]],
        encoder: Mapping[str, torch.Tensor] | None = None,
    ) -> Checkpoint:
        """Writes a checkpoint atomically, then deletes checkpoints that need not be kept.

        Args:
            parts: Name -> flat tensors; each part is written to `state/<name>.safetensors`.
            info: Everything else that is needed to resume, as JSON.
            images_seen: Images seen so far; a checkpoint of the same number is replaced, and its score is deleted.
            generator: Weights and config of `generator/`, which `load_generator` can read on its own.
            encoder: Weights of the encoder; None for families without one.
        """
        name = name_at(images_seen)
        header = {"images_seen": images_seen, "digest": self._digest, "learned": self._learned}
        with self._lock:
            self.folder.sweep()
            if name in _scores(self.folder):
                self._write_scores({known: entry for known, entry in _scores(self.folder).items() if known != name})
            target = self.folder / name
            with target.staged(last=MANIFEST) as place, storage_errors(target.location, "written"):
                fill(place, parts=parts, info=info, generator=generator, encoder=encoder, header=header)
            self._prune(newest=name)
        return Checkpoint(self.folder / name)

    def all(self) -> list[Checkpoint]:
        """All checkpoints with a manifest, oldest first; they are not checked for damage."""
        return [Checkpoint(folder) for folder in self._folders() if folder.exists(MANIFEST)]

    def newest(self, *, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest undamaged checkpoint, to resume from; None if there is none.

        Args:
            warn: Called with one line for each damaged checkpoint that is skipped.

        Raises:
            CheckpointError: The checkpoint was made with different settings or data; the message names the keys.
        """
        for folder in reversed(self._folders()):
            checkpoint = Checkpoint(folder)
            fault = checkpoint.fault()
            if fault is None:
                self._check_digest(checkpoint)
                return checkpoint
            warn(f"checkpoint {checkpoint.name} is skipped: {fault}")
        return None

    def await_score(self, checkpoint: Checkpoint) -> None:
        """Protects a checkpoint from deletion until `record_score` is called for it."""
        self._awaited.add(checkpoint.name)

    def record_score(self, checkpoint: Checkpoint, score: dict[str, Any], value: float) -> None:
        """Records a checkpoint's score in best.json; lower values are better.

        A score may arrive after newer checkpoints were saved. It is ignored if its value is not finite or its
        checkpoint was deleted.
        """
        with self._lock:
            self._awaited.discard(checkpoint.name)
            if not checkpoint.folder.exists(MANIFEST) or not math.isfinite(value):
                return
            entry = {"images_seen": checkpoint.images_seen, "value": value, "score": score}
            self._write_scores({**_scores(self.folder), checkpoint.name: entry})

    def has_score(self, checkpoint: Checkpoint) -> bool:
        """Whether its score was recorded, or the checkpoint was adopted, so that its score belongs to another trial."""
        return checkpoint.name in _scores(self.folder) or checkpoint.name in _adopted(self.folder)

    def scores(self) -> list[tuple[int, str, float | None]]:
        """(images seen, metric, value) of the recorded scores of kept checkpoints."""
        entries = _scores(self.folder).values()
        return [(entry["images_seen"], entry["score"]["metric"], entry["score"]["value"]) for entry in entries]

    @staticmethod
    def adopt(folder: Folder, source: Checkpoint, *, origin: str) -> None:
        """Copies another trial's checkpoint into a folder of checkpoints, so that a trial continues from it.

        A checkpoint of the same name is replaced. The copy is never the best of the folder, because its score belongs
        to the original. Repeating the call changes nothing.

        Args:
            folder: The folder to copy to.
            source: The checkpoint to copy.
            origin: The path of the source within the run, which best.json records.
        """
        adopted = {**_adopted(folder), source.name: origin}
        scores = {name: entry for name, entry in _scores(folder).items() if name != source.name}
        (folder / source.name).upload(source.folder.local_copy(), last=MANIFEST)
        _write_scores(folder, scores, adopted)

    def best(self) -> tuple[Checkpoint, dict[str, Any]] | None:
        """The undamaged checkpoint with the lowest score, and its score document; None before the first score."""
        scores = _scores(self.folder)
        for name in _by_value(scores):
            checkpoint = Checkpoint(self.folder / name)
            if checkpoint.fault() is None:
                return checkpoint, scores[name]["score"]
        return None

    @staticmethod
    def best_in(folder: Folder) -> tuple[str, dict[str, Any]] | None:
        """Name and score document of the best checkpoint according to a folder's best.json; for readers."""
        scores = _scores(folder)
        names = _by_value(scores)
        return (names[0], scores[names[0]]["score"]) if names else None

    def _folders(self) -> list[Folder]:
        return [self.folder / name for name in self.folder.list() if is_name(name)]

    def _write_scores(self, scores: dict[str, dict[str, Any]]) -> None:
        _write_scores(self.folder, scores, _adopted(self.folder))

    def _prune(self, *, newest: str) -> None:
        """Deletes all checkpoints but the newest `keep`, the best, and those whose score is still expected.

        `newest` was just written. A later name may be a damaged checkpoint that the trial could not resume from; only
        undamaged ones count as newer.
        """
        if isinstance(self._keep, str):
            return
        names = [folder.name for folder in self._folders()]
        later = [name for name in names if name > newest and Checkpoint(self.folder / name).fault() is None]
        kept = {newest, *self._awaited}
        kept.update([*[name for name in names if name <= newest], *later][-self._keep :])
        scores = _scores(self.folder)
        ranked = [name for name in _by_value(scores) if name in names]
        kept.update(ranked[:1])
        for name in names:
            if name not in kept:
                (self.folder / name).delete()
        if any(name not in kept for name in scores):
            self._write_scores({name: entry for name, entry in scores.items() if name in kept})

    def _check_digest(self, checkpoint: Checkpoint) -> None:
        if checkpoint.manifest["digest"] == self._digest:
            return
        changed = differences(checkpoint.manifest["learned"], self._learned)
        reasons = "; ".join(changed.values()) or "data: the images are different"
        raise CheckpointError(
            f"{checkpoint.folder.location}: was made with different settings ({reasons}); "
            "restore them, or use another name to start a new run"
        )


def _scores(folder: Folder) -> dict[str, dict[str, Any]]:
    """Name of a checkpoint -> its images_seen, value and score in best.json."""
    if not folder.exists(BEST):
        return {}
    try:
        return dict(read_document(folder, BEST, TrialBest)["scores"])
    except (StorageError, KeyError) as fault:
        reason = str(fault).removeprefix(f"{folder.location}/{BEST}: ")
        raise CheckpointError(
            f"{folder.location}/{BEST}: is damaged ({reason}); delete it to continue without the recorded scores"
        ) from None


def _adopted(folder: Folder) -> dict[str, str]:
    """Name of an adopted checkpoint -> the path that it was copied from."""
    return dict(read_document(folder, BEST, TrialBest).get("adopted", {})) if folder.exists(BEST) else {}


def _write_scores(folder: Folder, scores: dict[str, dict[str, Any]], adopted: dict[str, str]) -> None:
    ranked = _by_value(scores)
    document = {"checkpoint": ranked[0], **scores[ranked[0]]} if ranked else {"checkpoint": None}
    folder.write_json(BEST, {**document, "scores": scores} | ({"adopted": adopted} if adopted else {}))


def _by_value(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of checkpoints, best first; of equal scores, the earlier checkpoint comes first."""
    return sorted(scores, key=lambda name: (scores[name]["value"], name))
