"""Export a generator with its scores, settings and a model card as a Hugging Face model repository."""

from typing import Any

from framework.checkpoint.reference import find_target
from framework.errors import CheckpointError
from framework.report.export.write import export_files, read_export, refuse_occupied, write_export
from framework.runs import RunFolder
from framework.storage import open_folder
from jobs.cli.job import Arguments, Job, run_job, shown, with_plan

JOB = Job("export", __doc__, "CHECKPOINT_OR_RUN DIR", (), positionals=(2, 2))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints the files that would be written."""
    return _export(arguments, write=False)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Writes the generator of a checkpoint, or of a run's or trial's best one, to DIR, which must be empty or new."""
    return _export(arguments, write=True)


def _export(arguments: Arguments, *, write: bool) -> dict[str, Any]:
    source, folder = arguments.positionals[0], open_folder(arguments.positionals[1])
    refuse_occupied(folder)
    target = find_target(source)
    if target.entry is not None:
        raise CheckpointError(f"{source}: its generator is your own code, {target.entry}; it has no weights to export")
    export = read_export(RunFolder.open(target.run), target.checkpoint)
    files = export_files(export)
    sizes = ", ".join(f"{name} ({len(data):,} bytes)" for name, data in files.items())
    arguments.console.say(f"Generator: {target.checkpoint}; scores: {len(export.scores)}")
    arguments.console.say(f"{'Files' if write else 'Would write'}: {sizes}")
    if write:
        write_export(files, folder)
        arguments.console.say(f"Exported: {shown(folder.location)}")
    return {
        "export": folder.location,
        "checkpoint": target.checkpoint,
        "files": {name: len(data) for name, data in files.items()},
        "scores": export.scores,
    }


if __name__ == "__main__":
    run_job(JOB, body)
