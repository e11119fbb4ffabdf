"""Predicts what scores cost before anything is computed: passes, images, memory and disk space."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from framework.checkpoint.reference import CheckpointRef
from framework.config import EvaluationConfig
from framework.config.metrics import METRICS
from framework.errors import ConfigError
from framework.evaluation import CLASSES, FeatureSpec, Request, SourceSpec, pair_passes
from framework.evaluation.requests.passes import needs_rows
from framework.evaluation.requests.run_metrics import RunScoringPass
from framework.evaluation.values.neighbours import NEIGHBOURS
from framework.metrics import cover_bytes
from framework.models.arithmetic.blocks import SHARD_IMAGES
from framework.runs import machine

# Memory of one process without that of the metrics. The most that was measured (x86-64, blocks of 32 images of 32 and
# of 256 px) is 707, 790 and 826 MiB for the taps 64, 768 and 2048 without Ray; Ray's part of a worker is about 100 MiB.
PROCESS_BYTES = 950 * 2**20
# Float64 matrices that exist at the same time while a distance between moments is computed; copies of a split's logits.
_MATRICES, _LOGITS = 12, 5
# Matrices during a kernel distance: its own, and the buffers of the matrix product.
_KERNELS = 4


@dataclass(frozen=True)
class PassCost:
    """The cost of one pass.

    Attributes:
        metrics: The names of its scores.
        done: Number of checkpoints that already have all scores of this pass.
        todo: Number of checkpoints, or of collections of images, to score.
        real: Images of the reference, which are measured once; 0 if no metric needs them, only moments are available,
            or an earlier pass measures them by the same features.
        held_out: Real images that training never sees, which are measured once.
        samples: Images to score, for each checkpoint and each latent seed.
        seeds: Number of latent seeds.
        memory_bytes: The most that the metrics hold in one process, in addition to the process itself.
        disk_bytes: Size of the stored features of real images and, while it is scored, of one checkpoint's samples.
        classes: The classes that are scored by themselves, each as its label and its value. `done` and `todo` count
            checkpoints for each class then, and `real` is the sum over the classes.
    """

    metrics: list[str]
    features: FeatureSpec
    done: int
    todo: int
    real: int
    held_out: int
    samples: int
    seeds: int
    memory_bytes: int
    disk_bytes: int
    classes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images that go through the extractor in total, if no real image was measured before."""
        return (self.real + self.held_out + self.todo * self.seeds * self.samples) if self.todo else 0

    def document(self) -> dict[str, Any]:
        """The cost as JSON."""
        features = {"name": self.features.name, "tap": self.features.tap, "resize": self.features.resize}
        counts = {key: getattr(self, key) for key in ("done", "todo", "real", "held_out", "samples", "seeds", "images")}
        divided = {"classes": list(self.classes)} if self.classes else {}
        return {
            "metrics": self.metrics,
            **divided,
            "features": features | {"precision": self.features.precision},
            **counts,
            "memory_bytes_per_process": PROCESS_BYTES + self.memory_bytes,
            "disk_bytes": self.disk_bytes,
        }


def plan_run(asked: Sequence[RunScoringPass], targets: Sequence[CheckpointRef]) -> list[PassCost]:
    """The cost of the passes over a run's checkpoints."""
    plans = []
    for run_pass in asked:
        todo = run_pass.todo(targets)
        sides, requests = run_pass.sides, run_pass.made.requests
        held_out = sides.held_out.count if sides.held_out and any(each.needs_held_out for each in requests) else 0
        real = sides.training
        plans.append(
            _plan(
                requests,
                run_pass.features,
                classes=() if real.label is None else (f"{real.label} {real.value}",),
                names=[run_pass.protocol(request).name for request in requests],
                counts=(real.count or 0, held_out or 0, run_pass.made.samples),
                todo=len(todo),
                done=len(targets) - len(todo),
                seeds=run_pass.made.seeds,
            )
        )
    return _with_all_classes(_counted_once(plans))


def plan_pair(
    asked: Sequence[Request], *, settings: EvaluationConfig, reference: SourceSpec, scored: SourceSpec
) -> list[PassCost]:
    """The cost of the passes of `evaluate A B`."""
    plans = []
    for score_pass, real, fake in pair_passes(asked, reference=reference, scored=scored):
        spec = score_pass.features(settings, assessor_folder=None)
        names = [request.protocol(spec, fake=fake.side, real=real.side).name for request in score_pass.requests]
        counts = (
            (real.side.count or 0) if real.kind != "statistics" else 0,
            0,
            (fake.side.count or 0) if fake.kind != "statistics" else 0,
        )
        plans.append(_plan(score_pass.requests, spec, names=names, counts=counts, todo=1, done=0, seeds=range(1)))
    return _counted_once(plans)


def refuse_oversized(plans: Sequence[PassCost]) -> None:
    """Refuses passes that need more memory in one process than this machine has.

    Raises:
        ConfigError: One does.
    """
    most = machine.memory_bytes()
    for plan in plans:
        if plan.todo and plan.memory_bytes > most:
            raise ConfigError(
                f"evaluation.samples: {', '.join(plan.metrics)} of {plan.samples:,} samples need "
                f"{plan.memory_bytes / 2**20:,.0f} MiB in one process, but this machine has {most / 2**20:,.0f} MiB; "
                "lower it"
            )


def memory_bytes(metrics: Collection[str], *, real: int, fake: int, size: int) -> int:
    """The most memory that one process needs for these metrics, without the features that it maps from files.

    Args:
        metrics: The metrics of one pass.
        real: Number of real images.
        size: Number of features per image.

    >>> memory_bytes(["fid"], real=5_000, fake=5_000, size=768) == memory_bytes(["fid"], real=50, fake=50_000, size=768)
    True
    """
    parts = [_MATRICES * 8 * size**2 + 2 * 8 * SHARD_IMAGES * size]  # moments, and the distance between two of them
    if "kid" in metrics:
        subset = METRICS["kid"].settings_for(real=real, fake=fake)["subset_size"]
        assert isinstance(subset, int)
        parts.append(8 * (_KERNELS * subset**2 + 2 * subset * size))
    if "inception_score" in metrics:
        parts.append(_LOGITS * 8 * fake * CLASSES // 10)
    if set(NEIGHBOURS) & set(metrics):
        parts.append(cover_bytes(real, fake, size))
    return max(parts)


def _counted_once(plans: Sequence[PassCost]) -> list[PassCost]:
    """The plans without the real images that an earlier one measures by the same features."""
    counted, measured = [], set()
    for plan in plans:
        parts = {part: (plan.features, plan.classes, part) for part in ("real", "held_out")}
        counted.append(dataclasses.replace(plan, **{part: 0 for part, key in parts.items() if key in measured}))
        measured |= {key for part, key in parts.items() if plan.todo and getattr(plan, part)}
    return counted


def _with_all_classes(plans: Sequence[PassCost]) -> list[PassCost]:
    """One plan for the passes that differ only in the class."""
    merged: dict[Any, PassCost] = {}
    for plan in plans:
        key = (plan.features, *plan.metrics) if plan.classes else id(plan)
        other = merged.get(key)
        sums = ("done", "todo", "disk_bytes", "classes")
        added = {} if other is None else {name: getattr(other, name) + getattr(plan, name) for name in sums}
        real = (0 if other is None else other.real) + (plan.real if plan.todo or not plan.classes else 0)
        merged[key] = dataclasses.replace(plan, real=real, **added)
    return list(merged.values())


def _plan(
    requests: Sequence[Request],
    features: FeatureSpec,
    *,
    names: list[str],
    counts: tuple[int, int, int],
    todo: int,
    done: int,
    seeds: range,
    classes: tuple[str, ...] = (),
) -> PassCost:
    real, held_out, samples = counts
    metrics = [request.metric for request in requests]
    kept = 0
    if needs_rows(requests):
        kept = 4 * ((real + held_out + samples) * features.tap + (samples * CLASSES if features.logits else 0))
    return PassCost(
        metrics=names,
        features=features,
        done=done,
        todo=todo,
        real=real if any(METRICS[metric].has_real for metric in metrics) else 0,
        held_out=held_out,
        samples=samples,
        seeds=len(seeds),
        memory_bytes=memory_bytes(metrics, real=real or 2, fake=samples or 2, size=features.tap),
        disk_bytes=kept,
        classes=classes,
    )
