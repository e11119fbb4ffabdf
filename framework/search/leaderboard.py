"""Ranks the trials of a run from the files in their folders, and finds the best checkpoint of all."""

from typing import Any

from framework.metrics import cost
from framework.runs import RunFolder, TrialFolder
from framework.runs.documents import TrialBest, read_document
from framework.runs.trial import warnings_in
from framework.search.registry import repeated_by
from framework.search.repeats import rank


def update_results(run: RunFolder) -> list[dict[str, Any]]:
    """Writes leaderboard.csv, with trials without a score last, and best.json, the best score of all trials.

    Returns:
        The rows, best first.
    """
    rows = [_row(trial, budget=run.experiment.training.budget_minutes) for trial in run.trials()]
    repeat_of = {row["trial"]: first for row in rows if (first := repeated_by(row["trial"])) is not None}
    metric = next(iter({row.pop("metric") for row in rows} - {None}), "")
    rows = rank(rows, repeat_of, metric=metric)
    run.write_leaderboard(rows)
    scored = [row for row in rows if row["score"] is not None]
    if scored:
        trial = run.trial(min(scored, key=lambda row: cost(metric, row["score"]))["trial"])
        best = _best(trial)
        run.write_best(
            {
                "trial": trial.id,
                "checkpoint": f"trials/{trial.id}/checkpoints/{best['checkpoint']}",
                "images_seen": best["images_seen"],
                "score": best["score"],
            }
        )
    return rows


def _best(trial: TrialFolder) -> dict[str, Any]:
    """The content of the trial's best.json: checkpoint, images_seen, value, score; {} before the first score."""
    if not trial.checkpoints.exists("best.json"):
        return {}
    best = read_document(trial.checkpoints, "best.json", TrialBest)
    return best if best["checkpoint"] else {}


def _row(trial: TrialFolder, *, budget: float | None) -> dict[str, Any]:
    metrics = trial.metrics()
    state = trial.state
    last = metrics[-1] if metrics else {}
    scored = [row for row in metrics if "score" in row]
    best = _best(trial)
    rates = [row["images_per_second"] for row in metrics if row.get("images_per_second")]
    copied = [f"{line['from_trial']} at {line['from_images_seen']:,}" for line in trial.lineage()]
    warnings = dict.fromkeys(warnings_in(metrics))
    return {
        "rank": None,
        "trial": trial.id,
        **trial.params,
        "metric": best["score"]["metric"] if best else None,
        "score": best["score"]["value"] if best else None,
        "score_images_seen": best.get("images_seen"),
        "last_score": scored[-1]["score"]["value"] if scored else None,
        "images_seen": last.get("images_seen", 0),
        "images_per_second": round(sorted(rates)[len(rates) // 2], 1) if rates else None,
        "state": state.get("state", "pending"),
        **({"lineage": "; ".join(copied)} if copied else {}),
        **({"budget_minutes": budget} if budget is not None else {}),
        **{key: last[key] for key in ("cpu_minutes", "gpu_minutes") if key in last},
        **({"reason": state["reason"]} if state.get("reason") else {}),
        "warnings": "; ".join(warnings),
        "error": state.get("error") or "",
    }
