"""Pack the images of a config: decode, crop and resize them once. Running it again does nothing."""

from typing import Any

from framework.data.packing.summary import summary_document
from framework.data.sources.labels import described_labels, label_document
from framework.orchestration.context import about_images, prepare_images
from jobs.cli.forecast import forecast
from jobs.cli.job import Arguments, Job, run_job, shown, with_plan

JOB = Job("prepare_data", __doc__, "CONFIG", ("data", "storage"))


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints what would be packed."""
    return forecast(arguments.experiment(), arguments.console, trials=0)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Packs the images and prints where the packed file is."""
    experiment = arguments.experiment()
    images = prepare_images(experiment, arguments.console, every_label=True)
    arguments.console.say(f"Packed images: {shown(str(images.path))}")
    labels, report = described_labels(images)
    about = {**about_images(images), "store": str(images.path), **summary_document(images)}
    return {**about, **label_document(labels, report)}


if __name__ == "__main__":
    run_job(JOB, body)
