"""Write RUN/report.html: one page with all results, which opens from disk without a network."""

from typing import Any

from framework.report import write_report
from framework.report.read.run import read_results
from framework.report.run_page.page import render
from framework.runs import RunFolder
from jobs.cli.job import Arguments, Job, run_job, shown, with_plan

JOB = Job("report", __doc__, "RUN", ())


def plan(arguments: Arguments) -> dict[str, Any]:
    """Makes the page from the files of the run, without writing it."""
    run = RunFolder.open(arguments.positionals[0])
    size = len(render(read_results(run)).encode())
    arguments.console.say(f"Would write: {shown(run.folder.location)}/report.html ({size:,} bytes)")
    return {}


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Writes the report again from the files of the run."""
    run = RunFolder.open(arguments.positionals[0])
    location = write_report(run)
    arguments.console.say(f"Report: {shown(location)}")
    return {"report": location}


if __name__ == "__main__":
    run_job(JOB, body)
