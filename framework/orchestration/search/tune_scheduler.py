"""Early stopping under Ray Tune: the rule decides from the trial registry, and Tune stops the trial."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from framework.metrics import cost
from framework.search.early_stopping import Rule
from framework.search.registry import TrialRegistry


class RuleScheduler(FIFOScheduler):
    """Starts trials in order and stops those that a rule ends early.

    Args:
        registry: The trial registry; this scheduler adds each reported score to it.
        rule: The rule; None trains every trial to its end.
    """

    def __init__(self, registry: TrialRegistry, rule: Rule | None) -> None:
        super().__init__()
        self._registry = registry
        self._rule = rule

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Called by Tune for each report."""
        name = trial.config["trial"]
        if self._registry[name].repeat_of is not None:
            return TrialScheduler.CONTINUE
        for score in result.get("scores", ()):
            value = cost(score["metric"], float(score["value"]))
            self._registry.note_score(name, int(score["images_seen"]), value)
            if self._rule is not None and self._rule.ends(name, self._registry.curves()):
                self._registry[name].state = "stopped"
                return TrialScheduler.STOP
        return TrialScheduler.CONTINUE
