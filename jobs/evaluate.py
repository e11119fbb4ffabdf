"""Score a checkpoint or the best of a run; given two image collections, score one against the other."""

from pathlib import PurePath
from typing import Any

from framework.orchestration.cluster import connect
from framework.orchestration.scoring import evaluate, evaluate_pair
from framework.orchestration.target import every_target
from jobs.cli import Arguments, Job, run_job
from jobs.opened import open_study
from jobs.tables import score_lines

JOB = Job("evaluate", __doc__, "CHECKPOINT_OR_RUN | A B", ("evaluation", "storage"), positionals=(1, 2))


def body(arguments: Arguments) -> dict[str, Any]:
    """Computes, keeps (for a run: scores.json) and prints scores with their protocol."""
    console, places = arguments.console, arguments.positionals
    if len(places) == 2:
        settings = arguments.settings().evaluation
        title = arguments.title(" ".join(PurePath(place).name for place in places))
        with connect(title, verbose=arguments.verbose, say=console.say) as cluster:
            scores = evaluate_pair(*places, settings=settings, cluster=cluster, watch=console)
    else:
        with open_study(arguments) as (study, target):
            every = study.experiment.evaluation.checkpoints == "all"
            scores = evaluate(study, every_target(places[0]) if every else [target])
    console.say(score_lines(scores))
    return {"scores": scores}


if __name__ == "__main__":
    run_job(JOB, body)
