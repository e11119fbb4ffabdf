"""What scores will take, said before anything is computed: passes, images through the network, memory, disk."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from framework.checkpoint.reference import Target
from framework.config import EvaluationConfig
from framework.config.metrics import METRICS
from framework.evaluation import CLASSES, FeatureSpec, Request, SourceSpec, pair_passes
from framework.evaluation.requests.passes import needs_rows
from framework.evaluation.requests.run_metrics import RunRequests
from framework.evaluation.values.compute import NEIGHBOURS
from framework.metrics import cover_bytes
from framework.models.arithmetic.blocks import SHARD_IMAGES

# Most that one process held beside the metrics' own, with the taps 64, 768 and 2048 and blocks of 32 images of 32 and
# of 256 px: 707, 790 and 826 MiB without Ray (measured on x86-64), whose part of a worker is about 100.
PROCESS_BYTES = 950 * 2**20
# Float64 matrices that live at once within a distance of moments; copies of a split's logits.
_MATRICES, _LOGITS = 12, 5
# The same within a kernel distance, with what the matrix product packs: two subsets of 1,000 images with 768 features
# took 68 to 69 MB on two x86-64 CPUs.
_KERNELS = 7


@dataclass(frozen=True)
class PassPlan:
    """One pass.

    Attributes:
        metrics: The scores that it makes, by name.
        features: Of which extractor.
        done: Checkpoints whose scores are there.
        todo: Checkpoints, or collections, to score.
        real: Images of the reference, measured once; 0 where only samples are looked at or moments are at hand.
        held_out: Real images that training never sees, measured once.
        samples: Images to score, of each checkpoint and each latent seed.
        seeds: Latent seeds.
        memory_bytes: Most that the metrics hold in one process, beside the process itself.
        disk_bytes: Features that are kept of the real images, and of one checkpoint's samples while it is scored.
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

    @property
    def images(self) -> int:
        """Through the network, all in all; real ones that were measured before go through it no more."""
        return (self.real + self.held_out + self.todo * self.seeds * self.samples) if self.todo else 0

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        features = {"name": self.features.name, "tap": self.features.tap, "resize": self.features.resize}
        counts = {key: getattr(self, key) for key in ("done", "todo", "real", "held_out", "samples", "seeds", "images")}
        return {
            "metrics": self.metrics,
            "features": features | {"precision": self.features.precision},
            **counts,
            "memory_bytes_per_process": PROCESS_BYTES + self.memory_bytes,
            "disk_bytes": self.disk_bytes,
        }


def plan_run(asked: Sequence[RunRequests], targets: Sequence[Target]) -> list[PassPlan]:
    """The passes over a run's checkpoints."""
    found = []
    for one in asked:
        todo = one.todo(targets)
        sides, requests = one.sides, one.made.requests
        held_out = sides.held_out.count if sides.held_out and any(each.needs_held_out for each in requests) else 0
        found.append(
            _plan(
                requests,
                one.features,
                names=[one.protocol(request).name for request in requests],
                counts=(sides.training.count or 0, held_out or 0, one.made.samples),
                todo=len(todo),
                done=len(targets) - len(todo),
                seeds=one.made.seeds,
            )
        )
    return found


def plan_pair(
    asked: Sequence[Request], *, settings: EvaluationConfig, reference: SourceSpec, scored: SourceSpec
) -> list[PassPlan]:
    """The passes of `evaluate A B`."""
    found = []
    for made, real, fake in pair_passes(asked, reference=reference, scored=scored):
        spec = made.features(settings, assessor_folder=None)
        names = [request.protocol(spec, fake=fake.side, real=real.side).name for request in made.requests]
        counts = (
            (real.side.count or 0) if real.kind != "statistics" else 0,
            0,
            (fake.side.count or 0) if fake.kind != "statistics" else 0,
        )
        found.append(_plan(made.requests, spec, names=names, counts=counts, todo=1, done=0, seeds=range(1)))
    return found


def memory_bytes(metrics: Collection[str], *, real: int, fake: int, size: int) -> int:
    """What one process holds at most for these metrics, beside the features that it maps from their files.

    Args:
        metrics: Of one pass.
        real: Real images.
        fake: Samples.
        size: Features of an image.

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


def _plan(
    requests: Sequence[Request],
    features: FeatureSpec,
    *,
    names: list[str],
    counts: tuple[int, int, int],
    todo: int,
    done: int,
    seeds: range,
) -> PassPlan:
    real, held_out, samples = counts
    metrics = [request.metric for request in requests]
    kept = 0
    if needs_rows(requests):
        kept = 4 * ((real + held_out + samples) * features.tap + (samples * CLASSES if features.logits else 0))
    return PassPlan(
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
    )
