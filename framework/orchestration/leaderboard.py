"""Ranks a run's trials from what lies in their folders, and says which checkpoint is the best of all."""

from typing import Any

from framework.checkpoint import CheckpointStore, RunFolder, TrialFolder


def update_results(run: RunFolder) -> list[dict[str, Any]]:
    """Writes leaderboard.csv and best.json; trials without a score come last.

    Returns:
        The rows, best first.
    """
    rows = [_row(trial) for trial in run.trials()]
    rows.sort(key=lambda row: (row["score"] is None, row["score"] or 0.0, row["trial"]))
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
    run.write_leaderboard(rows)
    if rows and rows[0]["score"] is not None:
        checkpoint, score = _best(run.trial(rows[0]["trial"]))
        run.write_best(
            {
                "trial": rows[0]["trial"],
                "checkpoint": f"trials/{rows[0]['trial']}/checkpoints/{checkpoint}",
                "images_seen": rows[0]["score_images_seen"],
                "score": score,
            }
        )
    return rows


def _best(trial: TrialFolder) -> tuple[str, dict[str, Any]]:
    found = CheckpointStore.best_in(trial.checkpoints)
    assert found is not None, f"{trial.id} has a score but no best checkpoint"
    return found


def _row(trial: TrialFolder) -> dict[str, Any]:
    metrics = trial.metrics()
    state = trial.state
    last = metrics[-1] if metrics else {}
    scored = [row for row in metrics if "score" in row]
    best = CheckpointStore.best_in(trial.checkpoints)
    rates = [row["images_per_second"] for row in metrics if row.get("images_per_second")]
    warnings = dict.fromkeys(text for row in metrics for text in row.get("warnings", ()))
    return {
        "rank": None,
        "trial": trial.id,
        **trial.params,
        "score": best[1]["value"] if best else None,
        "score_images_seen": int(best[0]) if best else None,
        "last_score": scored[-1]["score"]["value"] if scored else None,
        "images_seen": last.get("images_seen", 0),
        "images_per_second": round(sorted(rates)[len(rates) // 2], 1) if rates else None,
        "state": state.get("state", "pending"),
        "warnings": "; ".join(warnings),
        "error": state.get("error") or "",
    }
