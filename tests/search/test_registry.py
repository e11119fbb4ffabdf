"""Which trials a search finds in its run after it was killed."""

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import StorageError
from framework.runs import RunFolder
from framework.runs.trial import PARAMS
from framework.search.registry import TrialRegistry
from framework.storage.folder import temporary_name
from tests.conftest import missing


@pytest.fixture
def run(tmp_path):
    """A run with the trial 000-aaaa, which has settings and a state."""
    made = RunFolder.create(with_overrides(Experiment(), {"storage.path": str(tmp_path), "name": "run"}), [])
    trial = made.trial("000-aaaa")
    trial.write_params({"model.latent_size": 8})
    trial.write_state(state="finished")
    return made


@pytest.mark.parametrize(
    "left", [None, temporary_name(PARAMS), "state.json"], ids=["empty folder", "half a params.json", "a late state"]
)
def test_a_trial_that_was_killed_before_it_had_settings_is_proposed_again(run, tmp_path, left):
    """It was taken for a trial without settings, and trained by those of the config under the name of others."""
    folder = tmp_path / "run" / "trials" / "001-bbbb"
    folder.mkdir()
    if left is not None:
        (folder / left).write_text('{"state": "failed"}' if left == "state.json" else '{"model.lat')
    assert [record.trial for record in TrialRegistry.of(run).settings()] == ["000-aaaa"]
    run.trial("001-bbbb").write_params({"model.latent_size": 16})
    registry = TrialRegistry.of(run)
    assert registry["001-bbbb"].parameters == {"model.latent_size": 16}
    assert [record.trial for record in registry.unfinished()] == ([] if left == "state.json" else ["001-bbbb"])


@pytest.mark.parametrize("there", ["metrics.jsonl", "checkpoints"])
def test_lost_settings_of_a_trained_trial_are_an_error(run, tmp_path, there):
    folder = tmp_path / "run" / "trials" / "001-bbbb"
    folder.mkdir()
    (folder / there).mkdir() if there == "checkpoints" else (folder / there).write_text('{"state": "running"}\n')
    with pytest.raises(StorageError) as fault:
        TrialRegistry.of(run)
    assert missing(str(fault.value), str(folder / PARAMS)) == []
