"""Tune's side of early stopping: the rule decides from the ledger, Tune stops the trial."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from framework.metrics import cost
from framework.search.early_stopping import Rule
from framework.search.registry import Ledger


class EarlyEnd(FIFOScheduler):
    """Tune's side of a rule: trials begin in order, and one that the rule ends is stopped.

    Args:
        ledger: Kept up by this scheduler with each score that is reported.
        rule: None lets every trial go to its end.
    """

    def __init__(self, ledger: Ledger, rule: Rule | None) -> None:
        super().__init__()
        self._ledger = ledger
        self._rule = rule

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Tune's hook, called for each report."""
        name = trial.config["trial"]
        if self._ledger[name].repeat_of is not None:
            return TrialScheduler.CONTINUE
        for one in result.get("scores", ()):
            self._ledger.note_score(name, int(one["images_seen"]), cost(one["metric"], float(one["value"])))
            if self._rule is not None and self._rule.ends(name, self._ledger.curves()):
                self._ledger[name].state = "stopped"
                return TrialScheduler.STOP
        return TrialScheduler.CONTINUE
