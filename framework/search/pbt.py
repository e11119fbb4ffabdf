"""Population based training (Jaderberg et al. 2017): weak trials go on from the checkpoints of strong ones.

All trials train to a common clock, the generation's end, and are scored there. Then each of the worst quarter takes
the checkpoint of one of the best quarter and that one's learning rates, each times 0.8 or 1.25. What is decided
follows from the scores and the seed alone, and is written down before it is done: a search that was killed half-way
does the same.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.saved import name_at
from framework.config import Experiment
from framework.runs import RunFolder
from framework.search.registry import Entry, Ledger

POPULATION = "population.json"
INTENT = "population-exploits.json"  # there only while a generation's exploits are being done
_FACTORS = (0.8, 1.25)


@dataclass(frozen=True)
class Exploit:
    """One trial takes over another's checkpoint.

    Attributes:
        trial: Who takes.
        donor: From whom.
        images_seen: The clock of both.
        parameters: What the taker trains with from here on.
        changed: Dotted key -> [before, after], of what the taker trained with.
    """

    trial: str
    donor: str
    images_seen: int
    parameters: dict[str, Any]
    changed: dict[str, list[Any]]


def generation_ends(experiment: Experiment) -> list[int]:
    """The clocks at which the population is compared, the last one being the end of the training."""
    total = experiment.training.total_images
    every = experiment.search.generation_images or experiment.evaluation.every_images
    return [*range(every, total, every), total]


def decide(
    entries: Sequence[Entry], *, end: int, space: Mapping[str, Mapping[str, Any]], quantile: float, seed: int
) -> list[Exploit]:
    """Who takes over from whom at a generation's end.

    Args:
        entries: The population; each is judged by its newest score, one without any comes last.
        end: The generation's.
        space: `search.space`: a learning rate stays within its range.
        quantile: Share of the population that is replaced, and share that is copied from.
        seed: Of the choice of donors and factors; each trial and generation draws its own.
    """
    ranked = sorted(entries, key=lambda entry: (_newest_score(entry), entry.trial))
    count = min(math.ceil(len(ranked) * quantile), len(ranked) // 2)
    best, worst = ranked[:count], ranked[len(ranked) - count :]
    numbers = {entry.trial: number for number, entry in enumerate(sorted(entries, key=lambda entry: entry.trial))}
    found = []
    for entry in sorted(worst, key=lambda entry: entry.trial):
        random = np.random.default_rng([seed, end, numbers[entry.trial]])
        donor = best[int(random.integers(len(best)))]
        if _newest_score(donor) == math.inf:
            continue
        parameters = {
            key: _mutated(value, space[key], factor=_FACTORS[int(random.integers(2))])
            for key, value in donor.parameters.items()
        }
        changed = {
            key: [entry.parameters[key], value] for key, value in parameters.items() if entry.parameters[key] != value
        }
        found.append(Exploit(entry.trial, donor.trial, donor.images_seen, parameters, changed))
    return found


def exploit(run: RunFolder, ledger: Ledger, *, end: int) -> list[Exploit]:
    """Decides and does what a generation's end asks for; begun anew after a kill, it does the same.

    Returns:
        What was done, for whoever tells it.
    """
    search = run.experiment.search
    alive = [entry for entry in ledger.settings() if not entry.ended]
    intent = run.folder.read_json(INTENT) if run.folder.exists(INTENT) else {}
    if intent.get("end") != end:
        made = decide(alive, end=end, space=search.space, quantile=search.quantile, seed=search.seed)
        intent = {"end": end, "exploits": [dataclasses.asdict(one) for one in made]}
        run.folder.write_json(INTENT, intent)
    made = [Exploit(**one) for one in intent["exploits"]]
    for one in made:
        _take_over(run, one)
    run.folder.write_json(POPULATION, {"images_seen": end})
    run.folder.delete(INTENT)
    return made


def _take_over(run: RunFolder, one: Exploit) -> None:
    """Checkpoint, then the line that tells of it, then the settings; each may have been done before."""
    trial = run.trial(one.trial)
    source = Checkpoint(run.trial(one.donor).checkpoints / name_at(one.images_seen))
    CheckpointStore.adopt(trial.checkpoints, source, origin=f"trials/{one.donor}/checkpoints/{source.name}")
    if one.images_seen not in [line["images_seen"] for line in trial.lineage()]:
        line = {
            "images_seen": one.images_seen,
            "from_trial": one.donor,
            "from_images_seen": one.images_seen,
            "changed": one.changed,
        }
        trial.append_lineage(line)
    trial.write_params(one.parameters)


def compared_until(run: RunFolder) -> int:
    """The clock of the last generation's end whose exploits were all done; 0 before the first."""
    return int(run.folder.read_json(POPULATION)["images_seen"]) if run.folder.exists(POPULATION) else 0


def _newest_score(entry: Entry) -> float:
    return entry.curve[-1][1] if entry.curve and math.isfinite(entry.curve[-1][1]) else math.inf


def _mutated(value: Any, spec: Mapping[str, Any], *, factor: float) -> Any:
    """A learning rate times a factor within the range of its key; of a choice, the neighbour on that side."""
    name, arguments = next(iter(spec.items()))
    if name in ("choice", "grid"):
        ordered = sorted(arguments)
        at = ordered.index(value) + (1 if factor > 1 else -1)
        return ordered[min(max(at, 0), len(ordered) - 1)]
    return float(f"{min(max(value * factor, arguments[0]), arguments[1]):.4g}")
