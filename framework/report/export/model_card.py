"""The model card of an exported generator: Markdown with the YAML header that the Hugging Face Hub reads."""

import html
import io
import re
from pathlib import Path
from typing import Any

import jinja2
from ruamel.yaml import YAML

from framework.checkpoint import LoadedGenerator
from framework.config.metrics import is_per_class
from framework.report.export.bundle import SAMPLE_COUNT, SAMPLE_SEED, SAMPLES, Export
from framework.report.export.dataset_terms import SOURCES, Source
from framework.report.read.json_values import finite
from framework.report.read.run import changed_keys
from framework.report.text import format as words

_HERE = Path(__file__).parent
_KINDS = {
    "gan": "The generator of a GAN",
    "autoencoder": "The decoder of an autoencoder (with its encoder)",
    "vae": "The decoder of a variational autoencoder (with its encoder)",
}


def card(export: Export) -> str:
    """The text of the whole card, including its header."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=False,  # noqa: S701 - Markdown; `cell` and `code` escape what comes from a run
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "code": code}
    return environment.get_template("card.md").render(_content(export))


def cell(value: Any) -> str:
    r"""Any value as one line of text; characters that Markdown or HTML would interpret are escaped.

    >>> print(cell("a|b"), cell(0.0002), cell(["<x>", "y_z"]), cell("https://x"))
    a\|b 0.0002 &lt;x&gt;, y\_z https\://x
    """
    text = html.escape(" ".join(words.plain(value).split()), quote=False)
    return re.sub(r"[\\`*_\[\]|~]|:(?=//)", r"\\\g<0>", text)


def code(value: Any) -> str:
    r"""A name in the type of code; anything else as text, because nothing can be escaped in code.

    >>> print(code("fid5k_768"), code("`<b>"))
    `fid5k_768` \`&lt;b&gt;
    """
    text = str(value)
    return f"`{text}`" if re.fullmatch(r"[\w.-]+", text) else cell(text)


def _content(export: Export) -> dict[str, Any]:
    generator, source = export.generator, SOURCES[export.experiment.data.source]
    return {
        "header": _header(export, source),
        "name": cell(export.experiment.name),
        "summary": _summary(export, source),
        "samples": SAMPLES,
        "sample_count": SAMPLE_COUNT,
        "sample_seed": SAMPLE_SEED,
        "shape": [SAMPLE_COUNT, generator.resolution, generator.resolution, generator.channels],
        "latent_size": generator.latent_size,
        "data": _data(export, source),
        "training": _training(export),
        "changed": [
            (key, value, default)
            for key, value, default in changed_keys(export.experiment)
            if not key.startswith("search.")
        ],
        "scores": [(score["metric"], _score(score), words.score_in_words(score)) for score in _finite_scores(export)],
        "choice": _choice(export),
        "limits": _limits(export, source),
        "licence": source.licence,
    }


def _header(export: Export, source: Source) -> str:
    model = export.experiment.model
    family = "gan" if model.family == "gan" else "autoencoder"
    kind = f"gan-{model.kind}" if model.family == "gan" and model.kind != "dcgan" else model.kind
    header: dict[str, Any] = {
        **source.header,
        "library_name": "latentscape",
        "pipeline_tag": "unconditional-image-generation",
        "tags": list(dict.fromkeys([family, kind, source.shows])),
    }
    metrics = [
        {"type": score["metric"], "value": score["value"], "name": _metric_name(score)}
        for score in _finite_scores(export)
    ]
    if metrics:  # the Hub refuses a model-index without results
        result = {
            "task": {"type": "unconditional-image-generation"},
            "dataset": {"type": export.experiment.data.source, "name": source.name},
            "metrics": metrics,
        }
        header["model-index"] = [{"name": export.experiment.name, "results": [result]}]
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 200
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.dump(header, stream)
    return stream.getvalue()


def _summary(export: Export, source: Source) -> str:
    generator, side = export.generator, export.generator.resolution
    colours = "colour" if generator.channels == 3 else "grey"
    return (
        f"{_KINDS[export.experiment.model.family]} that makes {colours} {source.shows} of {side}x{side} pixels from "
        "latents of "
        f"{generator.normal_size} numbers{_conditional(generator)}. It was trained by Latentscape on {source.name}, "
        f"until it had seen {words.number(generator.images_seen, 12)} images (repetitions included)."
    )


def _conditional(generator: LoadedGenerator) -> str:
    """What a conditional generator takes besides."""
    condition = generator.condition
    if condition is None:
        return ""
    labels = ", ".join(f"{cell(label.name)} ({cell(label.allowed)})" for label in condition.labels)
    return f" and a condition, a code of {condition.size} numbers for {labels}"


def _labels_row(export: Export) -> str:
    condition = export.generator.condition
    if condition is None:
        return "labels (not used to train the generator)"
    return f"labels (the generator is conditional on {', '.join(map(cell, condition.names))})"


def _data(export: Export, source: Source) -> list[tuple[str, Any]]:
    about, side, channels = export.data, export.generator.resolution, export.generator.channels
    counts = [(f"{name} images", about.get(key)) for name, key in (("training", "training"), ("held out", "held_out"))]
    rows = [
        ("source", f"{source.name} ({about['source']})" if about.get("source") else source.name),
        ("images", about.get("images")),
        *counts,
        ("size", f"{side}x{side}, {'colour' if channels == 3 else 'grey'}"),
        ("sha256 of the content", about.get("digest")),
        (_labels_row(export), about.get("labels") or "none"),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _training(export: Export) -> str:
    generator, experiment = export.generator, export.experiment
    assert generator.network is not None
    parameters = sum(parameter.numel() for parameter in generator.network.parameters())
    versions = ", ".join(
        f"{name} {export.versions[name]}" for name in ("latentscape", "torch") if name in export.versions
    )
    text = (
        f"Architecture `{experiment.model.kind}`, {words.number(parameters, 12)} parameters in the generator; "
        f"{words.number(generator.images_seen, 12)} of {words.number(experiment.training.total_images, 12)} images "
        f"seen, {words.number(experiment.training.batch_size, 12)} per step{f' ({versions})' if versions else ''}."
    )
    if experiment.training.ema_half_life_images:
        text += " The weights are a moving average of the weights during the training."
    if experiment.model.family == "autoencoder":
        text += (
            " An autoencoder has no prior distribution of its codes, so latents are mapped to a Gaussian that was "
            "fitted to the codes of training images."
        )
    if export.searched:
        values = ", ".join(f"{code(key)} {cell(value)}" for key, value in export.searched.items())
        text += f" A search of {export.trials} trials chose {values}."
    return text


def _choice(export: Export) -> str | None:
    if export.chosen_by is None:
        return None
    return (
        f"This checkpoint was chosen because its {code(export.chosen_by['metric'])} was the best of all that were "
        "measured during the trainings; the best of many measurements is partly luck, so that value is too optimistic."
    )


def _limits(export: Export, source: Source) -> list[str]:
    side = export.generator.resolution
    limits = [
        f"The networks are small and the images have {side}x{side} pixels: recognisable, but not photographic.",
    ]
    if source.photographs:
        limits += [
            "The faces are not real people, but may resemble training images; how closely was not measured.",
            "It has the biases of its training data: people who are rare there come out still more rarely, or worse.",
            "It is for research on generative models: do not pass its images off as photographs or judge people by it.",
        ]
    else:
        limits.append(f"It can only draw {source.knows}; its images say nothing about people.")
    return limits + [f"Warning during the training: {cell(text)}." for text in export.warnings]


def _finite_scores(export: Export) -> list[dict[str, Any]]:
    """The scores over all; those of single classes are in the file of scores only."""
    scores = (score for score in export.scores if not is_per_class(score["metric"]))
    return [score for score in scores if finite(score.get("value")) is not None]


def _metric_name(score: dict[str, Any]) -> str:
    counts = words.images_in_words(score["protocol"])
    name = words.metric_name(score["metric"])
    return f"{name} ({counts})" if counts else name


def _score(score: dict[str, Any]) -> str:
    return words.share(score["value"]) if score["metric"].endswith("_share") else words.score(score["value"])
