"""Shows the progress of all trials in one line, and each new score in a line that stays."""

from typing import TYPE_CHECKING, Any

from framework.metrics import cost
from framework.runs import RunFolder

if TYPE_CHECKING:
    from framework.orchestration.progress import Progress


class TrialProgress:
    """Shows the reports of trials.

    Args:
        progress: Shows messages and progress.
        run: The run of the trials.
        trials: How many there are.
        ended: How many of them have already ended.
    """

    def __init__(self, progress: "Progress", run: RunFolder, *, trials: int, ended: int) -> None:
        self.ended = ended
        self._progress = progress
        self._total = run.experiment.training.total_images
        self._budget = run.experiment.training.budget_minutes
        self._trials = trials
        self._best: float | None = None

    def __call__(self, trial: str, figures: dict[str, Any]) -> None:
        """Shows one report of a trial. Tune's final 'done' result is ignored."""
        if "images_seen" not in figures:
            return
        for text in figures.get("log", ()):
            self.say(trial, text)
        for score in figures.get("scores", ()):
            value, metric = float(score["value"]), score["metric"]
            self._best = value if self._best is None else min(self._best, value, key=lambda each: cost(metric, each))
            self.say(trial, f"{metric} {value:.4g} at {score['images_seen']:,} images")
        best = f", best score {self._best:.4g}" if self._best is not None else ""
        rate = figures.get("images_per_second")
        to_go = self._total - figures["images_seen"]  # may be negative: the last batch can exceed the total
        left = f", {_minutes(to_go / rate)} left" if rate and to_go > 0 and self._budget is None else ""
        length = f" of {self._total:,} images" if self._budget is None else f" images, {self._used(figures)}"
        self._progress.update(
            f"{self.ended} of {self._trials} trials ended; "
            f"{trial}: {figures['images_seen']:,}{length}" + (f", {rate:,.0f} images/s{left}" if rate else "") + best
        )

    def _used(self, figures: dict[str, Any]) -> str:
        """The minutes used of the budget. A trial that moved to GPUs has the minutes of both."""
        kind = "GPU" if "gpu_minutes" in figures else "CPU"
        return f"{figures.get(f'{kind.lower()}_minutes', 0.0):.1f} of {self._budget:g} {kind}-minutes"

    def say(self, trial: str, text: str) -> None:
        """Shows a line about a trial."""
        self._progress.say(f"trial {trial}: {text}")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
