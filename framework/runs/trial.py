"""One trial's folder: its settings, state, metrics, checkpoints and samples."""

import json
import math
from typing import Any

from framework.errors import StorageError
from framework.storage import Folder

PARAMS = "params.json"
STATE = "state.json"
METRICS = "metrics.jsonl"
SCORES = "scores.jsonl"
LINEAGE = "lineage.jsonl"
ENDED = ("finished", "stopped", "failed")  # states that a search does not go on from


class TrialFolder:
    """`trials/<id>/` of a run: params.json, state.json, metrics.jsonl, scores.jsonl, checkpoints/, samples/, events."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.id = folder.name
        self.checkpoints = folder / "checkpoints"

    @property
    def params(self) -> dict[str, Any]:
        """Dotted key -> value of what the search set; empty before `write_params`."""
        return self._document(PARAMS)

    def write_params(self, params: dict[str, Any]) -> None:
        """Replace params.json."""
        self.folder.write_json(PARAMS, params)

    @property
    def state(self) -> dict[str, Any]:
        """`state` (pending, running, interrupted, waiting, finished, stopped, failed), `error`; {} before the first."""
        return self._document(STATE)

    def write_state(self, **state: Any) -> None:
        """Replace state.json; an error of a life before this one is gone with it."""
        self.folder.write_json(STATE, plain(state))

    def metrics(self) -> list[dict[str, Any]]:
        """One row a report, in the order of images_seen; a score stands in the row of the clock it is of.

        A restart reports anew what came after its checkpoint: the rows of the life that was lost are left out,
        and so is a line that a kill cut short.
        """
        rows: list[dict[str, Any]] = []
        for row in self._rows():
            while rows and rows[-1].get("images_seen", 0) >= row.get("images_seen", math.inf):
                rows.pop()
            rows.append(row)
        scores = {line["images_seen"]: line for line in self.scores()}
        rows = [{**row, **scores.pop(row.get("images_seen"), {})} for row in rows]
        # A kill between a checkpoint and its report leaves no row of that clock; its score comes all the same.
        return sorted([*rows, *scores.values()], key=lambda row: row.get("images_seen", 0)) if scores else rows

    def last_report(self) -> dict[str, Any]:
        """The newest row, also one of a life that was lost; {} before the first."""
        rows = self._rows()
        return rows[-1] if rows else {}

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add a row to metrics.jsonl; a number that is not finite becomes null, since JSON has none."""
        self.folder.append_text(METRICS, json.dumps(plain(row), ensure_ascii=False) + "\n")

    def scores(self) -> list[dict[str, Any]]:
        """In the order they came: `images_seen` and `checkpoint` they are of, `score`, and what its making took."""
        return [line for line in self._rows(SCORES) if "images_seen" in line]

    def append_score(self, line: dict[str, Any]) -> None:
        """Add a line to scores.jsonl; it stands in for one of the same clock."""
        self.folder.append_text(SCORES, json.dumps(plain(line), ensure_ascii=False) + "\n")

    def forget_scores_past(self, images_seen: int) -> None:
        """Drop the scores of later clocks: a life that begins there makes them anew."""
        every = self.scores()
        kept = [line for line in every if line["images_seen"] <= images_seen]
        if len(kept) < len(every):
            self.folder.write_text(SCORES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))

    def lineage(self) -> list[dict[str, Any]]:
        """What it took over from others, oldest first: `images_seen`, `from_trial`, `from_images_seen`, `changed`."""
        return self._rows(LINEAGE)

    def append_lineage(self, line: dict[str, Any]) -> None:
        """Add a line to lineage.jsonl."""
        self.folder.append_text(LINEAGE, json.dumps(line) + "\n")

    def samples(self) -> list[str]:
        """Paths within the trial of its grids, oldest first: `samples/000000064000.png`."""
        return [f"samples/{name}" for name in (self.folder / "samples").list() if name.endswith(".png")]

    def write_sample(self, images_seen: int, png: bytes) -> str:
        """Keep the grid made at this clock; gives its path within the trial."""
        name = f"samples/{images_seen:012d}.png"
        self.folder.write_bytes(name, png)
        return name

    def _rows(self, name: str = METRICS) -> list[dict[str, Any]]:
        if not self.folder.exists(name):
            return []
        rows = []
        for line in self.folder.read_text(name).splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                rows.append(row)
        return rows

    def _document(self, name: str) -> dict[str, Any]:
        document = self.folder.read_json(name) if self.folder.exists(name) else {}
        if not isinstance(document, dict):
            raise StorageError(f"{self.folder.location}/{name}: wants a JSON object")
        return document


def plain(value: Any) -> Any:
    """The same document with None for each number that JSON cannot say.

    >>> plain({"loss": float("nan"), "seen": [1, 2.5]})
    {'loss': None, 'seen': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
