"""What a trial's folder holds of its reports, also where a process is killed or a disk is full."""

import contextlib
import resource

import numpy as np
import pytest

from framework.config import Experiment
from framework.errors import StorageError
from framework.runs import TrialFolder
from framework.storage import open_folder
from framework.telemetry.writer import Telemetry
from framework.training import Report


class NoGauges:
    def set(self, figures):
        """Nobody looks."""


def telemetry(tmp_path):
    trial = TrialFolder(open_folder(tmp_path))
    return Telemetry(trial, experiment=Experiment(), parameters={}, gauges=NoGauges(), log=print), trial


def report(images_seen, **more):
    metrics = {"images_seen": images_seen, "life_began_at_images_seen": 0, "generator_loss": 1.0, "step": images_seen}
    noise = np.random.default_rng(images_seen).integers(0, 256, (64, 32, 32, 3), np.uint8)
    return Report(metrics, noise, f"{images_seen:012d}", **more)


def test_what_was_recorded_before_a_checkpoint_is_there_if_its_report_never_comes(tmp_path):
    """A training that is killed while it waits for a score resumes behind the checkpoint: its row was lost."""
    writer, trial = telemetry(tmp_path)
    writer.record(report(8))
    (row,) = trial.metrics()
    assert (row["images_seen"], row["checkpoint"]) == (8, "000000000008")
    assert trial.samples() == ["samples/000000000008.png"]
    writer.write(report(8))
    writer.write(report(16))
    writer.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_disk_that_fills_up_under_tensorboard_does_not_hold_the_training_up(tmp_path):
    """Its thread died of a picture that the disk did not take, and the next report waited for the thread."""
    writer, trial = telemetry(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))  # one sample grid and a half
    try:
        for number in range(1, 5):
            with contextlib.suppress(StorageError):
                writer.write(report(number))
        with contextlib.suppress(StorageError):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [row["images_seen"] for row in trial.metrics()] == [1, 2, 3, 4]


def test_rows_that_are_deleted_under_a_training_end_it(tmp_path):
    """It wrote the rest into a new file, and the run looked whole."""
    writer, _ = telemetry(tmp_path)
    writer.record(report(8))
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        writer.record(report(16))
