"""What --dry-run says of the images and the assessors, and checks of them."""

from typing import Any

from framework.config import Experiment
from framework.data import PackedStore, find_prepared, survey
from framework.data.labels import Labels
from framework.data.packing.folders import folder_counts
from framework.data.packing.summary import survey_lines
from framework.data.sources.labels import (
    LabelReport,
    described_labels,
    label_document,
    label_lines,
    note_lines,
    offer_lines,
)
from framework.errors import DataError
from framework.evaluation import resolve_features
from framework.evaluation.requests.begun import trial_settings
from framework.evaluation.requests.missing_weights import planned_fetch
from framework.orchestration.context import needs_assessors
from framework.runs import RunFolder, cache_folder
from framework.storage.local import check_room
from framework.training import AssessorPair, find_assessors
from framework.training.assessor.labels import usable_labels
from framework.training.assessor.train import split
from framework.training.conditions import check_conditions
from jobs.cli.job import Console


def forecast_images(experiment: Experiment, console: Console) -> tuple[PackedStore | None, Labels, dict[str, Any]]:
    """Prints the lines about the images; gives them if they are packed, their labels, and a JSON document.

    Raises:
        DataError: They cannot be packed.
        StorageError: There is no room for them.
    """
    cache = cache_folder(experiment.storage)
    images = find_prepared(experiment.data, cache=cache)
    if images is not None:
        console.say(
            f"Images: {len(images.names):,} of {images.resolution}x{images.resolution} ({images.source}), packed "
            f"already; {len(images.training_indices):,} for training, {len(images.held_out_indices):,} held out"
        )
        labels, report = described_labels(images)
        _say_labels(labels, report, console)
        _say_conditions(labels, experiment, console)
        return images, labels, {"images": len(images.names), **label_document(labels, report)}
    source = survey(experiment.data)
    check_room(cache, source.packed_bytes, what="the packed images")
    console.say(
        f"Images: {source.images:,} files in {source.what}, to be packed at {experiment.data.resolution} px "
        f"({source.packed_bytes / 2**20:,.1f} MiB in the cache)"
    )
    for line in survey_lines(source.names, source.left_out, experiment.data):
        console.say(line)
    _say_labels(source.labels, source.report, console)
    _say_conditions(source.labels, experiment, console)
    if not source.labels.values and not experiment.data.labels:
        for line in offer_lines(source.offered, source.names):
            console.say(line)
    found = {"folders": folder_counts(source.names), "left_out": source.left_out}
    document = {"images": source.images, **found, **label_document(source.labels, source.report)}
    return None, source.labels, document


def _say_labels(labels: Labels, report: LabelReport, console: Console) -> None:
    for line in (*label_lines(labels, report), *note_lines(report)):
        console.say(line)


def _say_conditions(labels: Labels, experiment: Experiment, console: Console) -> None:
    """Prints the line about `model.condition`, by all images; ConfigError if a label does not fit."""
    for line in check_conditions(labels, experiment):
        console.say(line)


def forecast_assessors(
    experiment: Experiment, images: PackedStore | None, console: Console
) -> tuple[AssessorPair | None, bool]:
    """Prints the line about the assessors; gives them if they are trained, and whether there are or will be any.

    Raises:
        DataError: There are none, and a score needs them.
        ConfigError: `assessor.attributes` names a label that the data does not have.
    """
    if images is None:
        labelled = bool(experiment.data.labels) or experiment.data.source != "folder"
        console.say(f"Assessor: {'to be trained' if labelled else 'none, because the images have no labels'}")
        return None, labelled
    pair = find_assessors(images, experiment.assessor, cache=cache_folder(experiment.storage))
    if pair is not None:
        console.say("Assessor: trained already")
        return pair, True
    try:
        labels, _ = usable_labels(images, experiment.assessor, halves=split(images, seed=experiment.assessor.seed)[0])
    except DataError as fault:
        if needs_assessors(experiment):
            raise
        console.say(f"Assessor: none ({fault})")
        return None, False
    console.say(
        f"Assessor: two to be trained, each on {experiment.assessor.images:,} images, for "
        f"{', '.join(label.spec.name for label in labels)}"
    )
    return None, True


def say_fetch(experiment: Experiment, console: Console, *, run: RunFolder | None = None) -> None:
    """Prints the line of weights that the job would fetch, if it would."""
    line = planned_fetch(experiment.evaluation, run=run)
    if line is not None:
        console.say(line)


def check_features(run: RunFolder, *, labelled: bool) -> None:
    """Checks the features of scores as far as they are known before the assessors are trained.

    Raises:
        EvaluationError: The weights are missing or damaged, or an assessor is named and there are no labels.
    """
    settings = trial_settings(run)
    if settings.features != "assessor" or not labelled:
        resolve_features(settings, assessor_folder=None)
