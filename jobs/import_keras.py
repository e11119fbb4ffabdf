"""Take over a generator that Keras saved (.h5, .keras), and its discriminator, as a run that every job takes."""

import hashlib
from pathlib import Path
from typing import Any, get_args

from framework.checkpoint.imported import imported_experiment, is_imported, write_imported
from framework.config.describe import KeyHelp
from framework.errors import ConfigError
from framework.models.keras_import import (
    Imported,
    KerasModel,
    RangeName,
    import_discriminator,
    import_generator,
    read_model,
)
from framework.storage import open_folder
from jobs.cli.job import Arguments, Console, Job, run_job, shown

RANGES = get_args(RangeName)
OWN = (
    KeyHelp("output", "", "", "a folder", "folder or URI that becomes the run"),
    KeyHelp("discriminator", "", "", "a file", "a file with the discriminator, for further training"),
    KeyHelp("range", "auto", "", "auto, signed or unit", "of the images: signed (-1 to 1), unit (0 to 1), auto"),
)
JOB = Job("import_keras", __doc__, "FILE output=DIR", ("data", "evaluation", "assessor", "latents"), own=OWN)


def body(arguments: Arguments) -> dict[str, Any]:
    """Reads FILE, says what it is, and writes the run."""
    own, console = arguments.own, arguments.console
    if not own["output"]:
        raise ConfigError("output: wants the folder that becomes the run, output=DIR")
    if own["range"] not in RANGES:
        raise ConfigError(f"range: wants {', '.join(RANGES[:-1])} or {RANGES[-1]}, not {own['range']!r}")
    target = open_folder(own["output"])
    read = read_model(arguments.positionals[0])
    generator = import_generator(read, range=own["range"])
    files = {"generator": _about(read)}
    _say("Generator", read, generator, console)
    console.say(f"Range: {_range(generator)}")
    discriminator = None
    if own["discriminator"]:
        judge = read_model(own["discriminator"])
        discriminator = import_discriminator(judge, generator=generator)
        files["discriminator"] = _about(judge)
        _say("Discriminator", judge, discriminator, console)
    about = {"from": "keras", "files": files, "range": generator.range}
    experiment = imported_experiment(target, arguments.overrides, generator=generator, discriminator=discriminator)
    there = is_imported(target, experiment, about)
    if not there and not arguments.dry_run:
        write_imported(
            target,
            experiment,
            generator=generator,
            discriminator=discriminator,
            about=about,
            command=arguments.command,
        )
    done = "Is there already" if there else "Would become" if arguments.dry_run else "Imported"
    console.say(f"{done}: {shown(target.location)}")
    model = {**generator.model, **(discriminator.model if discriminator else {})}
    return {"run": target.location, "imported": about, "model": model}


def _about(model: KerasModel) -> dict[str, Any]:
    """What run.json says of a file: its name, and no path."""
    with Path(model.place).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": Path(model.place).name, "sha256": digest, "keras": model.version, "form": model.form}


def _say(what: str, model: KerasModel, imported: Imported, console: Console) -> None:
    becomes = "the notebooks' pair (dcgan)" if imported.is_pair else f"{len(model.layers)} layers as data (keras)"
    console.say(
        f"{what}: {Path(model.place).name} (Keras {model.version}, {model.form}), {list(model.input_shape)} -> "
        f"{list(model.output_shape)}, {model.numbers:,} numbers; becomes {becomes}"
    )


def _range(generator: Imported) -> str:
    told = {"signed": "-1 to 1", "unit": "0 to 1, turned to -1 to 1"}[generator.range]
    return f"{told} ({generator.reason})"


if __name__ == "__main__":
    run_job(JOB, body)
