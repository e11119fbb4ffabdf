"""What a training step asks of the GPU, as the loop runs it, counted on a pretended one.

    python tests/device/count.py                 prints the table, of the framework that Python finds
    python tests/device/count.py --lines vae     also the lines that copy and wait, of cases with that in their name
    python tests/device/count.py --renew         writes budgets.json, which tests/device/test_budgets.py holds steps to

A change may lower a budget and not raise it: look at the diff. Another checkout is counted with PYTHONPATH=CHECKOUT.
"""

import argparse
import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, load_experiment, with_overrides
from framework.data import PackedStore
from framework.storage import open_folder
from framework.training import Trainer, WorkerGroup
from framework.training.steps.families import family_of

try:
    from tests.device.pretended import Record, pretended
except ModuleNotFoundError:  # run as a file, from a folder where `tests` is another package
    from pretended import Record, pretended

BUDGETS = Path(__file__).with_name("budgets.json")
BATCH = 4
_STEPS = 3  # the second is counted: the first makes Adam's moments, the last is followed by a report

_NOTEBOOK = {"training.schedule": "notebook"}
_JOINT = {"training.schedule": "joint", "model.architecture": "skip"}
_RESIDUAL = {"training.schedule": "joint", "model.architecture": "residual", "model.width": 8}
_PENALTY = {"objective.r1_gamma": 1.0, "objective.r1_every_steps": 1}
_AUGMENTED = {"objective.augmentations": ["color", "translation", "cutout"], "model.dropout": 0.3}
_FACES = load_experiment(Path(__file__).parents[2] / "configs" / "faces.yaml").learned()
_SIZES = ("model.width", "model.latent_size", "training.batch_size")
_SIDES = (32, 64, 128)
_SIDE = (32,)
_KINDS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "gan notebook": (_NOTEBOOK, _SIDES),
    "gan notebook, R1": (_NOTEBOOK | _PENALTY, _SIDE),
    "gan joint, skip": (_JOINT, _SIDES),
    "gan joint, skip, augmented, R1, hinge": (_JOINT | _PENALTY | _AUGMENTED | {"objective.loss": "hinge"}, _SIDE),
    "gan joint, residual": (_RESIDUAL, _SIDE),
    "gan joint, residual, R1": (_RESIDUAL | _PENALTY, _SIDE),
    "gan joint, both, R1": (_JOINT | _PENALTY | {"model.discriminator": "both"}, _SIDE),
    # With both penalties in each step.
    "gan of configs/faces.yaml": (
        {key: value for key, value in _FACES.items() if key not in _SIZES} | {"objective.r1_every_steps": 1},
        (32, 128),
    ),
    "autoencoder": ({"model.family": "autoencoder"}, (28, *_SIDES)),
    "vae": ({"model.family": "vae"}, (28, *_SIDES)),
}
CASES = {f"{name}, {side} px": (keys, side) for name, (keys, sides) in _KINDS.items() for side in sides}


@dataclass(frozen=True)
class Counts:
    """How often; of a step, but for `pause`.

    Attributes:
        operations: Kernels, or what comes to a few of them.
        blocking: Copies to the GPU that the host waits for.
        waits: Whatever else makes it wait.
        layouts: Convolutions of what is not channels_last.
        aside: Lines that block or wait in other threads.
        pause: Waits and blocking copies of a report with samples and a checkpoint.
    """

    operations: int
    blocking: int
    waits: int
    layouts: int
    aside: int
    pause: int


@dataclass(frozen=True)
class Counted:
    """What a case comes to, and the lines that it comes from."""

    counts: Counts
    step: Record
    pause: Record
    aside: Counter[str]


def counted(name: str, **more: Any) -> Counted:
    """Trains a case of `CASES` for a few steps, the keys changed by `more`."""
    keys, side = CASES[name]
    given = experiment_of(side, **keys | more)
    images = images_of(side)
    with tempfile.TemporaryDirectory() as folder, pretended() as gpu:
        store = store_of(given, images, folder)
        begun(given, images, store)
        gpu.taken()
        marks: list[Record] = []

        def mark() -> bool:
            marks.append(gpu.taken())
            return False

        workers = WorkerGroup(device="cuda")
        Trainer(
            experiment=given,
            images=images,
            store=store,
            workers=workers,
            report=_nothing,
            should_stop=mark,
            log=_nothing,
        ).run()
        marks.append(gpu.taken())
    # marks[k]: between the starts of steps k - 1 and k; the last also holds what follows the last step.
    step, last = marks[2], marks[-1]
    pause = Record(blocking=last.blocking - step.blocking, waits=last.waits - step.waits)
    aside: Counter[str] = sum((each.aside for each in marks), Counter())
    totals = {kind: getattr(step, kind).total() for kind in ("operations", "blocking", "waits", "layouts")}
    counts = Counts(**totals, aside=len(aside), pause=pause.blocking.total() + pause.waits.total())
    return Counted(counts, step, pause, aside)


def check(name: str, found: Counted, budget: dict[str, int]) -> None:
    """AssertionError that names what costs more than its budget, and every line it comes from."""
    told = {"pause": found.pause.told("blocking", "waits"), "aside": "\n".join(found.aside)}
    over = [
        f"{name}: {kind} {count}, budget {budget[kind]}\n{told.get(kind) or found.step.told(kind)}"
        for kind, count in asdict(found.counts).items()
        if count > budget[kind]
    ]
    if over:
        raise AssertionError("\n".join(reversed(over)))  # operations last: there are many


def budgets() -> dict[str, dict[str, int]]:
    """Those of budgets.json, by case."""
    return json.loads(BUDGETS.read_text())


def experiment_of(side: int, **keys: Any) -> Experiment:
    """Small; widths change no count."""
    grey = keys.get("model.family", "gan") != "gan" and side == 28
    likelihood = {"objective.likelihood": "bernoulli"} if grey else {}
    settings = {
        "data.resolution": side,
        "model.width": 4,
        "model.latent_size": 6,
        "training.batch_size": BATCH,
        "training.total_images": BATCH * (_STEPS + 1),
        "compute.precision": "float32",
    }
    return with_overrides(Experiment(), settings | likelihood | keys)


def images_of(side: int, count: int = 24) -> PackedStore:
    """Noise, grey where the side is 28, a fifth held out."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, side, side, 1 if side == 28 else 3), np.uint8)
    images.flags.writeable = False  # as a store's memory map
    return PackedStore(
        path=Path("nowhere"),
        source="noise",
        images=images,
        names=[f"{number}.png" for number in range(count)],
        hashes=[hashlib.sha256(image.tobytes()).hexdigest() for image in images],
        held_out=np.arange(count) % 5 == 0,
        labels={"bright": random.integers(0, 2, count).astype(np.float32)},
        label_classes={},
        rejected=[],
        labels_matched=None,
    )


def store_of(experiment: Experiment, images: PackedStore, folder: str | Path) -> CheckpointStore:
    """The checkpoints of a training."""
    learned = {"data": images.digest, **experiment.learned()}
    return CheckpointStore(
        open_folder(str(folder)), digest=experiment.digest(images.digest), learned=learned, keep="all"
    )


def begun(experiment: Experiment, images: PackedStore, store: CheckpointStore) -> None:
    """Saves a training as it is after its first step, by its clock: it goes on without the report that comes first."""
    shape = {"resolution": images.resolution, "channels": images.channels, "precision": "float32"}
    state = family_of(experiment).state.fresh(experiment, **shape, device="cpu")
    state.steps, state.images_seen = 1, BATCH
    state.save(store)


def _nothing(*_: Any) -> None:
    """Nobody looks at reports here."""


def _renew(found: dict[str, Counts]) -> None:
    rows = [f"  {json.dumps(name)}: {json.dumps(asdict(counts))}" for name, counts in found.items()]
    BUDGETS.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", metavar="NAME", help="also print the lines of cases with this in their name")
    parser.add_argument("--renew", action="store_true", help="write budgets.json")
    asked = parser.parse_args()
    found: dict[str, Counts] = {}
    print(f"{'':50}" + "".join(f"{name:>12}" for name in Counts.__annotations__))
    for name in CASES:
        case = counted(name)
        found[name] = case.counts
        print(f"{name:50}" + "".join(f"{number:12,}" for number in asdict(case.counts).values()))
        if asked.lines is not None and asked.lines in name:
            print(case.step.told("operations", "blocking", "waits", "copies", "layouts"))
            print("aside:", *case.aside, sep="\n  ")
            print("pause:", case.pause.told("blocking", "waits"), sep="\n")
    if asked.renew:
        _renew(found)


if __name__ == "__main__":
    main()
