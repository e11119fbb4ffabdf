"""The rules of packing that a run began with: the same command on an older run keeps its images as they were."""

from collections.abc import Callable

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.runs.folder import EXPERIMENT, RunFolder, run_place


def as_begun(experiment: Experiment, *, say: Callable[[str], None]) -> Experiment:
    """The experiment with `data.rules` and `data.copies` of its run, if it has other rules and the config sets none.

    Args:
        experiment: As `load_experiment` gives it, which knows the keys that the config sets.
        say: Called with a line if the run has other rules.

    Raises:
        ConfigError: As `run_place`.
        StorageError: The storage cannot be reached.
    """
    if "rules" in experiment.data.model_fields_set:
        return experiment
    place = run_place(experiment)
    if not place.exists(EXPERIMENT):
        return experiment
    try:
        began = RunFolder.open(place.location).experiment.data
    except ConfigError:  # it is damaged; the job says so where it resumes the run
        return experiment
    if began.rules == experiment.data.rules:
        return experiment
    say(f"Images: packed by data.rules={began.rules}, with which the run {experiment.name} began")
    kept: dict[str, int | str] = {"data.rules": began.rules}
    if "copies" not in experiment.data.model_fields_set:
        kept["data.copies"] = began.copies
    return with_overrides(experiment, kept)
