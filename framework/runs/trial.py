"""The folder of a trial: its settings, state, metrics, checkpoints and samples."""

import json
import math
from typing import Any

from framework.errors import StorageError
from framework.runs.documents import LineageLine, Params, Row, ScoreLine, State, read_document, read_lines
from framework.storage import Folder

PARAMS = "params.json"
STATE = "state.json"
METRICS = "metrics.jsonl"
SCORES = "scores.jsonl"
LINEAGE = "lineage.jsonl"
ENDED = ("finished", "stopped", "failed")  # states in which a search does not resume the trial


class TrialFolder:
    """`trials/<id>/` of a run: params.json, state.json, metrics.jsonl, scores.jsonl, checkpoints/, samples/, events."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.id = folder.name
        self.checkpoints = folder / "checkpoints"

    @property
    def params(self) -> dict[str, Any]:
        """Dotted key -> value, of the settings that the search chose; empty before `write_params`."""
        return read_document(self.folder, PARAMS, Params) if self.folder.exists(PARAMS) else {}

    def write_params(self, params: dict[str, Any]) -> None:
        """Replaces params.json."""
        self.folder.write_json(PARAMS, params)

    @property
    def state(self) -> dict[str, Any]:
        """`state` (pending, running, interrupted, waiting, finished, stopped or failed); {} at first.

        `error` says why it failed, and `reason` why it ended before its total_images.
        """
        return read_document(self.folder, STATE, State) if self.folder.exists(STATE) else {}

    def write_state(self, **state: Any) -> None:
        """Replaces state.json, including any earlier error."""
        self.folder.write_json(STATE, plain(state))

    def metrics(self) -> list[dict[str, Any]]:
        """One row per report, in the order of images_seen; a score is in the row of its checkpoint's images_seen.

        A resumed training reports again what came after its checkpoint. The rows that it replaces are left out, and
        so is an incomplete line of a killed process.
        """
        rows: list[dict[str, Any]] = []
        for row in self._reports():
            while rows and rows[-1]["images_seen"] >= row["images_seen"]:
                rows.pop()
            rows.append(row)
        scores = {line["images_seen"]: line for line in self.scores()}
        rows = [{**row, **scores.pop(row["images_seen"], {})} for row in rows]
        # If a process was killed between a checkpoint and its report, the score of the checkpoint has no row yet.
        return sorted([*rows, *scores.values()], key=lambda row: row["images_seen"]) if scores else rows

    def last_report(self) -> dict[str, Any]:
        """The newest row, even if a resumed training has replaced it; {} before the first report."""
        rows = self._reports()
        return rows[-1] if rows else {}

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Adds a row to metrics.jsonl; numbers that are not finite become null."""
        self.folder.append_text(METRICS, json.dumps(plain(row), ensure_ascii=False) + "\n")

    def check_metrics(self) -> None:
        """Raises a StorageError if metrics.jsonl is gone, as its rows cannot be written again."""
        if not self.folder.exists(METRICS):
            raise StorageError(f"{(self.folder / METRICS).location}: was deleted while the training was writing to it")

    def scores(self) -> list[dict[str, Any]]:
        """Scores in the order of their arrival: `images_seen`, `checkpoint`, `score`, and its cost."""
        return read_lines(self.folder, SCORES, ScoreLine)

    def append_score(self, line: dict[str, Any]) -> None:
        """Adds a line to scores.jsonl; it replaces an earlier line of the same images_seen."""
        self.folder.append_text(SCORES, json.dumps(plain(line), ensure_ascii=False) + "\n")

    def forget_scores_past(self, images_seen: int) -> None:
        """Deletes the scores of later checkpoints, because a training that resumes here computes them again."""
        lines = self.scores()
        kept = [line for line in lines if line["images_seen"] <= images_seen]
        if len(kept) < len(lines):
            self.folder.write_text(SCORES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))

    def lineage(self) -> list[dict[str, Any]]:
        """The checkpoints copied from other trials: `images_seen`, `from_trial`, `from_images_seen`, `changed`."""
        return read_lines(self.folder, LINEAGE, LineageLine)

    def append_lineage(self, line: dict[str, Any]) -> None:
        """Adds a line to lineage.jsonl."""
        self.folder.append_text(LINEAGE, json.dumps(line) + "\n")

    def samples(self) -> list[str]:
        """The paths of its sample grids within the trial, oldest first: `samples/000000064000.png`."""
        return [f"samples/{name}" for name in (self.folder / "samples").list() if name.endswith(".png")]

    def write_sample(self, images_seen: int, png: bytes) -> str:
        """Writes the sample grid of this number of images seen, and returns its path within the trial."""
        name = f"samples/{images_seen:012d}.png"
        self.folder.write_bytes(name, png)
        return name

    def _reports(self) -> list[dict[str, Any]]:
        return read_lines(self.folder, METRICS, Row)


def warnings_in(rows: list[dict[str, Any]]) -> list[str]:
    """The warnings and the alarms of scores in rows of metrics, oldest first."""
    return [str(text) for row in rows for text in (*(row.get("warnings") or ()), row.get("alarm")) if text]


def plain(value: Any) -> Any:
    """The same document with None in place of numbers that are not finite, which JSON cannot represent.

    >>> plain({"loss": float("nan"), "seen": [1, 2.5]})
    {'loss': None, 'seen': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
