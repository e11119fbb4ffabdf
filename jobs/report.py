"""Write RUN/report.html: one page with all results, which opens from disk without a network."""

from typing import Any

from framework.report import write_report
from framework.runs import RunFolder
from jobs.cli.job import Arguments, Job, run_job, shown

JOB = Job("report", __doc__, "RUN", ())


def body(arguments: Arguments) -> dict[str, Any]:
    """Writes the report again from the files of the run."""
    run = RunFolder.open(arguments.positionals[0])
    if arguments.dry_run:
        arguments.console.say(f"Would write: {shown(run.folder.location)}/report.html")
        return {}
    location = write_report(run)
    arguments.console.say(f"Report: {shown(location)}")
    return {"report": location}


if __name__ == "__main__":
    run_job(JOB, body)
