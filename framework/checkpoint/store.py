"""All checkpoints of one trial: saving, going on from the newest intact one, keeping the best."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

from framework.checkpoint.saved import MANIFEST, Checkpoint, fill, is_name, name_at
from framework.errors import CheckpointError, StorageError
from framework.runs.settings import differences
from framework.storage import Folder

BEST = "best.json"


class CheckpointStore:
    """The checkpoints in one folder. Any number of readers; one writer, of whose threads one writes at a time.

    Args:
        folder: Where they lie; need not be there yet.
        digest: `Experiment.digest` of what is trained: a checkpoint with another one is refused.
        learned: `{"data": <content digest>, **experiment.learned()}`: names the keys that differ.
        keep: How many of the newest are kept beside the best, or all.
    """

    def __init__(self, folder: Folder, *, digest: str, learned: dict[str, Any], keep: int | Literal["all"]) -> None:
        self.folder = folder
        self._digest = digest
        self._learned = learned
        self._keep = keep
        self._awaited: set[str] = set()
        self._lock = threading.Lock()  # a checkpoint may be written by a thread of its own, scores noted by another

    def save(
        self,
        parts: Mapping[str, Mapping[str, torch.Tensor]],
        *,
        info: Mapping[str, Any],
        images_seen: int,
        generator: tuple[Mapping[str, torch.Tensor], Mapping[str, Any]],
        encoder: Mapping[str, torch.Tensor] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint, whole or not at all, then remove those that need not be kept.

        Args:
            parts: Name -> flat tensors; each becomes `state/<name>.safetensors`.
            info: All else that a restart needs, as JSON.
            images_seen: The clock; a checkpoint of the same clock is replaced, and its score forgotten.
            generator: Weights and config of `generator/`, which `load_generator` reads without the rest.
            encoder: Weights of the encoder beside it, of a family that has one.
        """
        name = name_at(images_seen)
        header = {"images_seen": images_seen, "digest": self._digest, "learned": self._learned}
        with self._lock:
            self.folder.sweep()
            if name in _scores(self.folder):
                self._write_scores({known: entry for known, entry in _scores(self.folder).items() if known != name})
            with (self.folder / name).staged(last=MANIFEST) as place:
                fill(place, parts=parts, info=info, generator=generator, encoder=encoder, header=header)
            self._prune(newest=name)
        return Checkpoint(self.folder / name)

    def all(self) -> list[Checkpoint]:
        """Every checkpoint that has its manifest, oldest first; not yet checked for damage."""
        return [Checkpoint(folder) for folder in self._folders() if folder.exists(MANIFEST)]

    def newest(self, *, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest intact checkpoint, to go on from; None where there is none.

        Args:
            warn: Told of each damaged checkpoint that was passed over, in one line.

        Raises:
            CheckpointError: It was made with other settings or other data; one line for each key that differs.
        """
        for folder in reversed(self._folders()):
            checkpoint = Checkpoint(folder)
            fault = checkpoint.fault()
            if fault is None:
                self._check_digest(checkpoint)
                return checkpoint
            warn(f"checkpoint {checkpoint.name} is passed over: {fault}")
        return None

    def await_score(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, whatever else is saved, until `record_score` has its score."""
        self._awaited.add(checkpoint.name)

    def record_score(self, checkpoint: Checkpoint, score: dict[str, Any], value: float) -> None:
        """Note a checkpoint's score in best.json; lower is better, and one that is not finite is never the best.

        A score that comes late is as good as any; one of a checkpoint that is gone is not noted.
        """
        with self._lock:
            self._awaited.discard(checkpoint.name)
            if not checkpoint.folder.exists(MANIFEST) or not math.isfinite(value):
                return
            entry = {"images_seen": checkpoint.images_seen, "value": value, "score": score}
            self._write_scores({**_scores(self.folder), checkpoint.name: entry})

    def has_score(self, checkpoint: Checkpoint) -> bool:
        """Whether `record_score` has noted one for it, or it was adopted, its score being another trial's."""
        return checkpoint.name in _scores(self.folder) or checkpoint.name in _adopted(self.folder)

    @staticmethod
    def adopt(folder: Folder, source: Checkpoint, *, origin: str) -> None:
        """Copies another trial's checkpoint into a folder of checkpoints, to go on from.

        One of the same clock that is there is replaced. The copy never is the folder's best: its score is its
        origin's. Done again, nothing changes.

        Args:
            folder: Where it goes.
            source: The checkpoint.
            origin: Its path within the run, noted in best.json.
        """
        adopted = {**_adopted(folder), source.name: origin}
        scores = {name: entry for name, entry in _scores(folder).items() if name != source.name}
        (folder / source.name).upload(source.folder.local_copy(), last=MANIFEST)
        _write_scores(folder, scores, adopted)

    def best(self) -> tuple[Checkpoint, dict[str, Any]] | None:
        """The intact checkpoint with the lowest value, and its score document; None before the first score."""
        scores = _scores(self.folder)
        for name in _by_value(scores):
            checkpoint = Checkpoint(self.folder / name)
            if checkpoint.fault() is None:
                return checkpoint, scores[name]["score"]
        return None

    @staticmethod
    def best_in(folder: Folder) -> tuple[str, dict[str, Any]] | None:
        """Name and score document of the best checkpoint in a folder, as best.json says; for who only reads."""
        scores = _scores(folder)
        names = _by_value(scores)
        return (names[0], scores[names[0]]["score"]) if names else None

    def _folders(self) -> list[Folder]:
        return [self.folder / name for name in self.folder.list() if is_name(name)]

    def _write_scores(self, scores: dict[str, dict[str, Any]]) -> None:
        _write_scores(self.folder, scores, _adopted(self.folder))

    def _prune(self, *, newest: str) -> None:
        """Remove all but the newest `keep`, the best, and those whose score is awaited.

        `newest` was just written: a later name is a damaged one that the trial could not go on from, or else
        another's; only an intact one counts as newer.
        """
        if isinstance(self._keep, str):
            return
        names = [folder.name for folder in self._folders()]
        later = [name for name in names if name > newest and Checkpoint(self.folder / name).fault() is None]
        kept = {newest, *self._awaited}
        kept.update([*[name for name in names if name <= newest], *later][-self._keep :])
        scores = _scores(self.folder)
        there = [name for name in _by_value(scores) if name in names]
        kept.update(there[:1])
        for name in names:
            if name not in kept:
                (self.folder / name).delete()
        if any(name not in kept for name in scores):
            self._write_scores({name: entry for name, entry in scores.items() if name in kept})

    def _check_digest(self, checkpoint: Checkpoint) -> None:
        if checkpoint.manifest["digest"] == self._digest:
            return
        found = differences(checkpoint.manifest["learned"], self._learned)
        reasons = "; ".join(found.values()) or "data: other images there than here"
        raise CheckpointError(
            f"{checkpoint.folder.location}: was made with other settings ({reasons}); "
            "give back its settings, or another name to begin anew"
        )


def _scores(folder: Folder) -> dict[str, dict[str, Any]]:
    """Checkpoint's name -> images_seen, value, score."""
    if not folder.exists(BEST):
        return {}
    try:
        return dict(folder.read_json(BEST)["scores"])
    except (StorageError, KeyError, TypeError, ValueError):
        raise CheckpointError(f"{folder.location}/{BEST}: is damaged; delete it to go on without it") from None


def _adopted(folder: Folder) -> dict[str, str]:
    """Checkpoint's name -> where it was copied from."""
    return dict(folder.read_json(BEST).get("adopted", {})) if folder.exists(BEST) else {}


def _write_scores(folder: Folder, scores: dict[str, dict[str, Any]], adopted: dict[str, str]) -> None:
    ranked = _by_value(scores)
    document = {"checkpoint": ranked[0], **scores[ranked[0]]} if ranked else {"checkpoint": None}
    folder.write_json(BEST, {**document, "scores": scores} | ({"adopted": adopted} if adopted else {}))


def _by_value(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names, best first; of equal ones the earlier."""
    return sorted(scores, key=lambda name: (scores[name]["value"], name))
