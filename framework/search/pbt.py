"""Population based training (Jaderberg et al. 2017): weak trials continue from the checkpoints of strong ones.

All trials train until the same number of images seen, the end of the generation, and are scored there. Then each of
the worst trials (a quarter by default) takes the checkpoint and the learning rates of one of the best trials, with
each learning rate multiplied by 0.8 or 1.25. The decisions depend only on the scores and the seed, and are written
to a file before they are carried out, so a search that was killed in between does the same again.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.saved import name_at
from framework.config import Experiment
from framework.runs import RunFolder
from framework.runs.documents import Exploits, Population, read_document
from framework.search.registry import TrialRecord, TrialRegistry

POPULATION = "population.json"
INTENT = "population-exploits.json"  # exists only while the exploits of a generation are carried out
_FACTORS = (0.8, 1.25)


@dataclass(frozen=True)
class Exploit:
    """One trial continues from the checkpoint of another trial.

    Attributes:
        trial: The trial that gets the checkpoint.
        donor: The trial whose checkpoint is copied.
        images_seen: Images seen at that checkpoint.
        parameters: The new parameters of the trial.
        changed: Dotted key -> [before, after] for each parameter of the trial that changes.
    """

    trial: str
    donor: str
    images_seen: int
    parameters: dict[str, JsonValue]
    changed: dict[str, list[Any]]


def generation_ends(experiment: Experiment) -> list[int]:
    """Images seen at which the population is compared; the last one is the end of the training."""
    total = experiment.training.total_images
    interval = experiment.search.generation_images or experiment.evaluation.every_images
    return [*range(interval, total, interval), total]


def decide(
    records: Sequence[TrialRecord], *, end: int, space: Mapping[str, Mapping[str, Any]], quantile: float, seed: int
) -> list[Exploit]:
    """Decides at the end of a generation which trials continue from the checkpoints of which others.

    Args:
        records: The population, ranked by newest scores; trials without a score come last.
        end: Images seen at the end of the generation.
        space: `search.space`; a learning rate stays within its range.
        quantile: The share of trials that are replaced, and the share that are copied from.
        seed: Seed of the choice of donors and factors; each trial and generation has an independent draw.
    """
    ranked = sorted(records, key=lambda record: (_newest_score(record), record.trial))
    count = min(math.ceil(len(ranked) * quantile), len(ranked) // 2)
    best, worst = ranked[:count], ranked[len(ranked) - count :]
    numbers = {record.trial: number for number, record in enumerate(sorted(records, key=lambda record: record.trial))}
    exploits = []
    for record in sorted(worst, key=lambda record: record.trial):
        random = np.random.default_rng([seed, end, numbers[record.trial]])
        donor = best[int(random.integers(len(best)))]
        if _newest_score(donor) == math.inf:
            continue
        parameters = {
            key: _mutated(value, space[key], factor=_FACTORS[int(random.integers(2))])
            for key, value in donor.parameters.items()
        }
        changed = {
            key: [record.parameters[key], value] for key, value in parameters.items() if record.parameters[key] != value
        }
        exploits.append(Exploit(record.trial, donor.trial, donor.images_seen, parameters, changed))
    return exploits


def exploit(run: RunFolder, registry: TrialRegistry, *, end: int) -> list[Exploit]:
    """Decides and carries out the exploits at the end of a generation. Started again after a kill, it does the same.

    Returns:
        The exploits.
    """
    search = run.experiment.search
    alive = [record for record in registry.settings() if not record.ended]
    intent = read_document(run.folder, INTENT, Exploits) if run.folder.exists(INTENT) else {}
    if intent.get("end") != end:
        decided = decide(alive, end=end, space=search.space, quantile=search.quantile, seed=search.seed)
        intent = {"end": end, "exploits": [dataclasses.asdict(each) for each in decided]}
        run.folder.write_json(INTENT, intent)
    exploits = [Exploit(**each) for each in intent["exploits"]]
    for each in exploits:
        _carry_out(run, each)
    run.folder.write_json(POPULATION, {"images_seen": end})
    run.folder.delete(INTENT)
    return exploits


def _carry_out(run: RunFolder, exploit: Exploit) -> None:
    """Copies the checkpoint, then adds the lineage line, then writes the parameters; skips steps already done."""
    trial = run.trial(exploit.trial)
    source = Checkpoint(run.trial(exploit.donor).checkpoints / name_at(exploit.images_seen))
    CheckpointStore.adopt(trial.checkpoints, source, origin=f"trials/{exploit.donor}/checkpoints/{source.name}")
    if exploit.images_seen not in [line["images_seen"] for line in trial.lineage()]:
        line = {
            "images_seen": exploit.images_seen,
            "from_trial": exploit.donor,
            "from_images_seen": exploit.images_seen,
            "changed": exploit.changed,
        }
        trial.append_lineage(line)
    trial.write_params(exploit.parameters)


def compared_until(run: RunFolder) -> int:
    """Images seen at the end of the last generation whose exploits were all carried out; 0 before the first."""
    return read_document(run.folder, POPULATION, Population)["images_seen"] if run.folder.exists(POPULATION) else 0


def _newest_score(record: TrialRecord) -> float:
    return record.curve[-1][1] if record.curve and math.isfinite(record.curve[-1][1]) else math.inf


def _mutated(value: Any, spec: Mapping[str, Any], *, factor: float) -> Any:
    """A learning rate times a factor, limited to the range of its key; for a choice, the next value up or down."""
    name, arguments = next(iter(spec.items()))
    if name in ("choice", "grid"):
        ordered = sorted(arguments)
        at = ordered.index(value) + (1 if factor > 1 else -1)
        return ordered[min(max(at, 0), len(ordered) - 1)]
    return float(f"{min(max(value * factor, arguments[0]), arguments[1]):.4g}")
