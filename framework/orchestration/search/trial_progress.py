"""The progress of all trials in one line, and each score in a line that stays."""

from typing import TYPE_CHECKING, Any

from framework.metrics import cost
from framework.runs import RunFolder

if TYPE_CHECKING:
    from framework.orchestration.progress import Watch


class Shower:
    """Tells the watch of each report, in a line that says where all trials are.

    Args:
        watch: Who is told.
        run: Of the trials.
        trials: How many there are.
        ended: How many of them had ended before.
    """

    def __init__(self, watch: "Watch", run: RunFolder, *, trials: int, ended: int) -> None:
        self.ended = ended
        self._watch = watch
        self._total = run.experiment.training.total_images
        self._trials = trials
        self._best: float | None = None

    def __call__(self, trial: str, figures: dict[str, Any]) -> None:
        """One report of one trial; Tune's word that it has ended is none."""
        if "images_seen" not in figures:
            return
        for text in figures.get("log", ()):
            self._watch.say(f"trial {trial}: {text}")
        for one in figures.get("scores", ()):
            value, metric = float(one["value"]), one["metric"]
            self._best = value if self._best is None else min(self._best, value, key=lambda each: cost(metric, each))
            self._watch.say(f"trial {trial}: {metric} {value:.4g} at {one['images_seen']:,} images")
        best = f", best score {self._best:.4g}" if self._best is not None else ""
        rate = figures.get("images_per_second")
        to_go = self._total - figures["images_seen"]  # the last batch may go beyond
        left = f", {_minutes(to_go / rate)} left" if rate and to_go > 0 else ""
        self._watch.progress(
            f"{self.ended} of {self._trials} trials ended; "
            f"{trial}: {figures['images_seen']:,} of {self._total:,} images"
            + (f", {rate:,.0f} images/s{left}" if rate else "")
            + best
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
