"""Draw strips and films along directions, and measure each direction against random ones."""

from typing import Any

from framework.latents.directions.direction import name_of
from framework.latents.steering.move import table_of
from framework.orchestration.studies.chosen import check_steering
from framework.orchestration.studies.steer import steer, steering_ahead
from jobs.cli.context import open_context
from jobs.cli.forecast_studies import forecast_study
from jobs.cli.job import STUDY_KEYS, Arguments, Job, run_job, shown, with_plan
from jobs.cli.tables import aligned

SECTIONS = (*STUDY_KEYS, "latents.steering", "latents.start")
JOB = Job("steer", __doc__, "CHECKPOINT_OR_RUN | CONFIG", SECTIONS)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be drawn and measured."""
    return forecast_study(arguments, steering_ahead, check=check_steering)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Draws strips and films, measures the directions, and prints a table."""
    with open_context(arguments, check=check_steering) as (context, target):
        effects = steer(context, target)
        if effects:
            arguments.console.say(_table(effects, arguments.console.width))
        arguments.console.say(f"Pictures and films: {shown(context.run.artifacts.location)}")
    return {"effects": effects}


def _table(effects: dict[str, dict[str, Any]], width: int | None) -> str:
    heads = ["direction", "attribute", "slope (95%)", "sign consistency", "beats random", "random 99th pct"]
    cells = [
        [
            name_of(row["file"]),
            row["attribute"],
            f"{row['slope']:+.3f} ({row['interval'][0]:+.3f} to {row['interval'][1]:+.3f})",
            f"{100 * max(row['right_share'], 1 - row['right_share']):.0f}%",
            f"{100 * row['random_rank']:.0f}%",
            f"{row['random_99th']:.3f}",
        ]
        for row in table_of(effects)
    ]
    return "\n".join(aligned(heads, cells, width=width))


if __name__ == "__main__":
    run_job(JOB, body)
