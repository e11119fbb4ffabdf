"""Generate images of a checkpoint into a folder, a .zip or a .npz. Run it again to go on after an interruption."""

import dataclasses
from typing import Any

from framework.checkpoint import LoadedGenerator, load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config.describe import KeyHelp
from framework.errors import ConfigError, LatentsError
from framework.files import MOST_FILE_BYTES, read_file, user_path
from framework.orchestration.cluster.connect import connect
from framework.orchestration.pool.tasks import TaskPool, gpus_of_tasks, task_resources
from framework.orchestration.studies.chosen import named_direction
from framework.orchestration.studies.generate import generate
from framework.orchestration.studies.generation_request import Output, Request, parse_strengths, read_latents
from framework.orchestration.studies.models import StudyModels
from framework.runs import RunFolder
from jobs.cli.context import code_files, find_context
from jobs.cli.job import WORKER_KEYS, Arguments, Job, run_job, shown, with_plan

MOST_IMAGES = 100_000_000
OWN = (
    KeyHelp("output", "", "", "a folder, or a file .zip or .npz", "where the images go; it must be new"),
    KeyHelp("count", "", "latents", f"1 to {MOST_IMAGES:,}", "how many latents are sampled; 1000 without it"),
    KeyHelp("latents", "", "", "a file .npy or .npz", "latents [n, z] to use instead of sampled ones"),
    KeyHelp("direction", "", "", "a name in RUN/directions", "moves every latent along this direction"),
    KeyHelp("strengths", "-2,-1,0,1,2", "natural steps", "numbers", "how far; each gives an image of every latent"),
)
JOB = Job(
    "generate",
    __doc__,
    "CHECKPOINT_OR_RUN output=PLACE",
    ("model.entry", "latents.seed", "latents.truncation", "latents.condition", *WORKER_KEYS),
    own=OWN,
)


@dataclasses.dataclass(frozen=True)
class _Job:
    run: RunFolder
    target: CheckpointRef
    generator: LoadedGenerator
    request: Request
    output: Output
    document: dict[str, Any]
    missing: int  # images that are still to be generated


def plan(arguments: Arguments) -> dict[str, Any]:
    """Prints how many images would be generated, and how many are there already."""
    job = _opened(arguments)
    there, place = job.request.images - job.missing, shown(job.output.location)
    arguments.console.say(f"Images: {job.missing:,} to be generated, {there:,} there already, in {place}")
    return {"output": job.output.location, "images": job.request.images, "generated": job.missing, **job.document}


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Generates the images that are missing."""
    job, console = _opened(arguments), arguments.console
    experiment, generator = job.run.experiment, job.generator
    latents = experiment.latents
    samples = {"truncation": latents.truncation, "condition": tuple(latents.condition.items())}
    models = StudyModels(job.target.location, generator.digest, None, None, **samples)
    with connect(
        arguments.title(job.run.folder.name),
        verbose=arguments.verbose,
        say=console.say,
        code=code_files(arguments, experiment),
    ) as cluster:
        gpus = gpus_of_tasks(experiment, cluster)
        pool = TaskPool(task_resources(experiment.evaluation.workers, cluster, gpus=gpus))
        generated = generate(generator, models, pool, job.request, job.output, job.document, console)
    there = job.request.images - generated
    before = f", {there:,} of them before" if there else ""
    console.say(f"Images: {job.request.images:,} in {shown(job.output.location)}{before}")
    return {"output": job.output.location, "images": job.request.images, "generated": generated, **job.document}


def _opened(arguments: Arguments) -> _Job:
    """Everything that is known before Ray is started, checked.

    Raises:
        LatentscapeError: A key has a value that it cannot have, or `output` holds something else.
    """
    own = arguments.own
    if not own["output"]:
        raise ConfigError("output: missing; name a folder, or a file .zip or .npz: output=PLACE")
    run, target = find_context(arguments)
    latents = run.experiment.latents
    generator = load_generator(target.location).truncated(latents.truncation).conditioned(latents.condition)
    given = None
    if own["latents"]:
        if own["count"]:
            raise ConfigError("count: cannot be combined with latents, a file that has as many as it has")
        given = _read(own["latents"], generator)
    direction = None
    if own["direction"]:
        direction = named_direction(run, own["direction"], generator, say=arguments.console.say)
    request = Request(
        count=_count(own["count"]) if given is None else len(given),
        seed=latents.seed,
        latents=given,
        direction=direction,
        strengths=parse_strengths(own["strengths"]) if direction is not None else (0.0,),
    )
    output = Output.at(own["output"])
    document = request.document(target, generator, truncation=latents.truncation)
    output.check(document)
    missing = len(request.strengths) * sum(stop - start for start, stop in output.missing(request))
    copies = 1 if output.kind == "folder" else 2  # an archive is put together from its parts
    output.check_room(copies * missing * generator.resolution**2 * generator.channels)
    return _Job(run, target, generator, request, output, document, missing)


def _count(text: str) -> int:
    words = text.replace("_", "").replace(",", "")
    count = int(words) if words.isdecimal() and len(words) < 12 else 0 if text else 1000
    if not 1 <= count <= MOST_IMAGES:
        raise ConfigError(f"count: must be a whole number from 1 to {MOST_IMAGES:,}, not {text[:80]!r}")
    return count


def _read(place: str, generator: LoadedGenerator) -> Any:
    try:
        data = read_file(user_path(place), most_bytes=MOST_FILE_BYTES)
    except OSError as fault:
        raise LatentsError(f"latents: {place} cannot be read ({fault.strerror or fault})") from None
    return read_latents(data, place=place, latent_size=generator.latent_size)


if __name__ == "__main__":
    run_job(JOB, body)
