"""Turn a generator saved by Keras (.h5, .keras), with or without its discriminator, into a run."""

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
from jobs.cli.job import Arguments, Console, Job, run_job, shown, with_plan

RANGES = get_args(RangeName)
OWN = (
    KeyHelp("output", "", "", "a folder", "folder or URI of the run to create"),
    KeyHelp("discriminator", "", "", "a file", "file with the discriminator, for further training"),
    KeyHelp("range", "auto", "", "auto, signed or unit", "pixel range: signed (-1 to 1), unit (0 to 1) or auto"),
)
JOB = Job("import_keras", __doc__, "FILE output=DIR", ("data", "evaluation", "assessor", "latents"), own=OWN)


def plan(arguments: Arguments) -> dict[str, Any]:
    """Reads FILE and prints what it contains."""
    return _import(arguments, write=False)


@with_plan(plan)
def body(arguments: Arguments) -> dict[str, Any]:
    """Reads FILE, prints what it contains, and writes the run."""
    return _import(arguments, write=True)


def _import(arguments: Arguments, *, write: bool) -> dict[str, Any]:
    own, console = arguments.own, arguments.console
    if not own["output"]:
        raise ConfigError("output: missing; name the folder of the run to create, output=DIR")
    if own["range"] not in RANGES:
        raise ConfigError(f"range: must be {', '.join(RANGES[:-1])} or {RANGES[-1]}, not {own['range']!r}")
    target = open_folder(own["output"])
    generator_model = read_model(arguments.positionals[0])
    generator = import_generator(generator_model, range=own["range"])
    files = {"generator": _about(generator_model)}
    _say("Generator", generator_model, generator, console)
    console.say(f"Range: {_range(generator)}")
    discriminator = None
    if own["discriminator"]:
        discriminator_model = read_model(own["discriminator"])
        discriminator = import_discriminator(discriminator_model, generator=generator)
        files["discriminator"] = _about(discriminator_model)
        _say("Discriminator", discriminator_model, discriminator, console)
    about = {"from": "keras", "files": files, "range": generator.range}
    experiment = imported_experiment(target, arguments.overrides, generator=generator, discriminator=discriminator)
    already_imported = is_imported(target, experiment, about)
    if write and not already_imported:
        write_imported(
            target,
            experiment,
            generator=generator,
            discriminator=discriminator,
            about=about,
            command=arguments.command,
        )
    outcome = "Already imported" if already_imported else "Imported" if write else "Would write"
    console.say(f"{outcome}: {shown(target.location)}")
    model = {**generator.model, **(discriminator.model if discriminator else {})}
    return {"run": target.location, "imported": about, "model": model}


def _about(model: KerasModel) -> dict[str, Any]:
    """What run.json records of a file: its name without a path, its sha256 and its format."""
    with Path(model.place).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": Path(model.place).name, "sha256": digest, "keras": model.version, "form": model.form}


def _say(what: str, model: KerasModel, imported: Imported, console: Console) -> None:
    becomes = "the notebooks' GAN (dcgan)" if imported.is_pair else f"{len(model.layers)} layers as data (keras)"
    console.say(
        f"{what}: {Path(model.place).name} (Keras {model.version}, {model.form}), {list(model.input_shape)} -> "
        f"{list(model.output_shape)}, {model.numbers:,} parameters; becomes {becomes}"
    )


def _range(generator: Imported) -> str:
    pixels = {"signed": "-1 to 1", "unit": "0 to 1, converted to -1 to 1"}[generator.range]
    return f"{pixels} ({generator.reason})"


if __name__ == "__main__":
    run_job(JOB, body)
