"""Moments and features of many images as Ray work: shards over a crew, put together in order."""

import numpy as np
import torch

from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, merge_in_order, shards
from framework.evaluation.sources.shards import spans
from framework.evaluation.sources.source import SourceSpec, source_shard_features, source_shard_moments
from framework.evaluation.values.pool import Crew, DeviceOfTask, Done
from framework.metrics import Moments
from framework.models.arithmetic.exact import kind_of


def source_moments(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str, done: Done | None = None
) -> Moments:
    """The moments of a source's features.

    Args:
        source: All its images; its side names the kind of GPU that the crew has.
        features: Of which features.
        blocks: Blocks of 32 images at a time.
        crew: Who computes them.
        name: Shown by Ray's dashboard.
        done: Called with (finished, all) after each of `spans`.
    """
    work = [
        (source, features, *span, blocks, crew.device_of_task)
        for span in spans(source.count, device=source.side.device)
    ]
    return merge_in_order(crew.map(_span, work, name=name, done=done))


def source_features(
    source: SourceSpec, features: FeatureSpec, *, blocks: int, crew: Crew, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The features [n,d] themselves and, where the extractor gives them, the logits; for a few thousand images."""
    work = [(source, features, start, stop, blocks, crew.device_of_task) for start, stop in shards(source.count)]
    rows = np.concatenate(list(crew.map(shard_features, work, name=name)))
    return rows[:, : features.tap], rows[:, features.tap :] if features.logits else None


def shard_features(
    source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int, device_of_task: DeviceOfTask
) -> np.ndarray:
    """A shard's features, and beside them its logits where the extractor gives them; what a crew's member does."""
    return source_shard_features(
        source, features, start=start, stop=stop, blocks=blocks, device=_device_of(source, device_of_task())
    )


def _span(
    source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int, device_of_task: DeviceOfTask
) -> Moments:
    return source_shard_moments(
        source, features, start=start, stop=stop, blocks=blocks, device=_device_of(source, device_of_task())
    )


def _device_of(source: SourceSpec, device: str) -> str:
    """This process's; what a score says of its device, and a file of features by its name, has to be so.

    Raises:
        EvaluationError: It is of another kind than the source's side says.
    """
    here, told = kind_of(device), source.side.device
    if here != told:
        raise EvaluationError(
            f"features: a process has {here or 'no GPU'} where its crew has {told or 'none'}; try again, or with "
            "evaluation.gpus_per_worker=0"
        )
    return device


def rows_moments(rows: np.ndarray, on: str) -> Moments:
    """Moments of features [n,d], as `source_moments` sums those of its span, on a device of this process."""
    device = torch.device(on)
    parts = (rows[start:stop] for start, stop in shards(len(rows)))
    if device.type == "cpu":
        return Moments.summed(parts)
    return Moments.summed(torch.from_numpy(np.array(part)).to(device) for part in parts)
