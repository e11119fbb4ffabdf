"""Finds directions with one function per method, each returning a list of `Direction`.

A method uses `latents.directions.samples` latents of `latents.seed`, so that effects can be measured on others. Only
the finder assesses here; the measurer is reserved for measuring effects.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from framework.config import LatentsConfig, flat_latents
from framework.errors import LatentsError
from framework.latents.attributes.expression import format_expression
from framework.latents.attributes.groups import Labels
from framework.latents.attributes.shares import combine
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.direction import Direction, unit
from framework.latents.directions.edits import EDITS, edits_for
from framework.latents.directions.methods.ganalyze import ganalyze
from framework.latents.directions.methods.ganspace import ganspace
from framework.latents.directions.methods.interfacegan import boundary_normal, conditional, difference_normal, surest
from framework.latents.directions.methods.sefa import first_weight, sefa
from framework.latents.directions.methods.steerability import steer_linear, steer_nonlinear
from framework.latents.directions.requirements import early_layer, groups_of_expression, needs_assessor, needs_module
from framework.latents.directions.sorted_samples import read_piles
from framework.latents.networks import Generate, Score
from framework.latents.protocols import Scores

BATCH = 32
_PART = 2_000  # latents per part of the incremental PCA


@dataclass(frozen=True)
class DiscoveryModels:
    """The generator and the finder, in the forms that the methods need.

    Attributes:
        latent_size: Number of entries of a latent.
        digest: sha256 of the generator's weights.
        sample: (n, start) -> latents [n,z] of the seed.
        assess: Latents -> the finder's scores of their images; None without an assessor.
        generate: Differentiable generator; None if the generator is an arbitrary function.
        network: The generator's module; None if the generator is an arbitrary function.
        score: Attribute -> differentiable function from images to the finder's logit; None without an assessor.
        made_of: Entry of the direction's file about data and assessor.
    """

    latent_size: int
    digest: str
    sample: Callable[[int, int], np.ndarray]
    assess: Callable[[np.ndarray], Scores] | None
    generate: Generate | None
    network: nn.Module | None
    score: Callable[[Attribute], Score] | None
    made_of: Mapping[str, Any]


def discover(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """Finds directions with `latents.directions.method`.

    Raises:
        LatentsError: The method needs labels, a module or a setting that is missing.
    """
    return _METHODS[config.directions.method](models, config, labels)


def _by_sides(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """Difference of means and InterFaceGAN, from the samples of which the finder is surest on either side."""
    if config.directions.method == "difference" and config.directions.sorted_samples is not None:
        return _by_piles(models, config, labels)
    if config.directions.method == "difference" and config.directions.name is not None:
        return _by_expression(models, config, labels)
    if models.assess is None:
        raise needs_assessor(config)
    targets, fixed = (
        attributes_of(labels, config.directions.attributes),
        attributes_of(labels, config.directions.fixed, key="fixed"),
    )
    latents = models.sample(config.directions.samples, 0)
    scores = models.assess(latents)
    normals = {}
    for attribute in dict.fromkeys([*targets, *fixed]):
        low, high = surest(attribute.values(scores), count=config.directions.per_class)
        normals[attribute] = _normal(config, latents[low], latents[high])
    directions = []
    for attribute in targets:
        others = [normals[other] for other in fixed if other != attribute]
        vector = conditional(normals[attribute], others)
        name = "_".join([attribute.name, *(["without", *config.directions.fixed] if others else [])])
        directions.append(_direction(models, config, name, vector, 1.0, target=attribute.name))
    return directions


def _by_piles(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """Latent Compass and the difference of means, between two piles of samples that a person has sorted."""
    assert config.directions.sorted_samples is not None
    piles = read_piles(config.directions.sorted_samples, samples=config.arithmetic.sheet_samples)
    latents = models.sample(config.arithmetic.sheet_samples, 0)
    low, high = (latents[[number - 1 for number in piles[name]]] for name in ("low", "high"))
    name = config.directions.name or config.directions.method
    target = name if name in {attribute.name for attribute in attributes_of(labels, None)} else ""
    return [_direction(models, config, name, _normal(config, low, high), 1.0, target=target, settings=piles)]


def _by_expression(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """The expression as a direction: the signed sum of the group means, by numbers or by the finder."""
    terms, groups = groups_of_expression(config, labels, assessed=models.assess is not None)
    latents = models.sample(config.directions.samples, 0)
    scores = models.assess(latents) if models.assess is not None else None
    means = {}
    for name, group in groups.items():
        if group.numbers is not None:
            chosen = models.sample(max(group.numbers), 0)[[number - 1 for number in group.numbers]]
        else:
            assert scores is not None
            assert group.condition is not None
            order = np.argsort(-group.condition.probability(scores), kind="stable")
            chosen = latents[order[: config.directions.per_class]]
        means[name] = chosen.mean(axis=0, dtype=np.float64)
    assert config.directions.name is not None
    text = {"expression": format_expression(terms)}
    return [_direction(models, config, config.directions.name, unit(combine(terms, means)), 1.0, settings=text)]


def _normal(config: LatentsConfig, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    if config.directions.method == "difference":
        return difference_normal(low, high)
    return boundary_normal(low, high)


def _compass(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    if config.directions.sorted_samples is None:
        raise LatentsError(
            "latents.directions.sorted_samples: compass needs a CSV of sorted samples with the columns number and pile"
        )
    return _by_piles(models, config, labels)


def _ganalyze(models: DiscoveryModels, config: LatentsConfig, labels: Labels) -> list[Direction]:
    if models.score is None:
        raise needs_assessor(config)
    generate, latents = _differentiable(models, config), models.sample(config.directions.samples, 0)
    directions = []
    custom = Attribute(score_name(config), "") if config.directions.score is not None else None
    for attribute in [custom] if custom is not None else attributes_of(labels, config.directions.attributes):
        trained = ganalyze(
            generate, models.score(attribute), latents, batch_size=BATCH, learning_rate=config.directions.learning_rate,
            seed=config.seed,
        )  # fmt: skip
        directions.append(
            _direction(
                models,
                config,
                attribute.name,
                trained.vector,
                trained.natural_step,
                target="" if custom is not None else attribute.name,
                keeps_length=True,
                settings=None if custom is None else {"score": config.directions.score},
            )
        )
    return directions


def score_name(config: LatentsConfig) -> str:
    """The name of the direction of a user-defined score: `latents.directions.name`, else the function's name."""
    assert config.directions.score is not None
    return config.directions.name or config.directions.score.partition(":")[2]


def _sefa(models: DiscoveryModels, config: LatentsConfig, _: Labels) -> list[Direction]:
    if models.network is None:
        raise needs_module(config)
    parts = sefa(first_weight(models.network, models.latent_size), count=config.directions.components)
    return [
        _direction(models, config, f"sefa_{number}", vector, 1.0, settings={"share": float(share)})
        for number, (vector, share) in enumerate(zip(parts.vectors, parts.shares, strict=True), start=1)
    ]


def _ganspace(models: DiscoveryModels, config: LatentsConfig, _: Labels) -> list[Direction]:
    if models.network is None:
        raise needs_module(config)
    parts = ganspace(
        _Activations(models, models.network, config.directions.samples), count=config.directions.components
    )
    return [
        _direction(models, config, f"ganspace_{number}", vector, 1.0, settings={"share": float(share)})
        for number, (vector, share) in enumerate(zip(parts.vectors, parts.shares, strict=True), start=1)
    ]


class _Activations:
    """Pairs of latents and activations of an early layer, part by part; can be iterated several times."""

    def __init__(self, models: DiscoveryModels, network: nn.Module, samples: int) -> None:
        self._models, self._network, self._samples = models, network, samples

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self._samples, _PART):
            latents = self._models.sample(min(_PART, self._samples - start), start)
            parts = torch.from_numpy(latents).chunk(-(-len(latents) // 256))
            yield latents, torch.cat([early_layer(self._network, part).cpu() for part in parts]).float().numpy()


def _steerable(models: DiscoveryModels, config: LatentsConfig, _: Labels) -> list[Direction]:
    generate, latents = _differentiable(models, config), models.sample(config.directions.samples, 0)
    steer = steer_linear if config.directions.path == "linear" else steer_nonlinear
    with torch.no_grad():
        channels = generate(torch.from_numpy(latents[:1])).shape[1]
    directions = []
    for name in edits_for(config.directions.edits, channels=channels):
        rate = (
            config.directions.learning_rate
            if config.directions.path == "linear"
            else config.directions.learning_rate / 20
        )
        walk = steer(generate, EDITS[name], latents, batch_size=BATCH, learning_rate=rate, seed=config.seed)
        directions.append(
            _direction(
                models,
                config,
                name,
                walk.vector,
                walk.natural_step,
                target=name,
                forward=walk.forward,
                backward=walk.backward,
            )
        )
    return directions


_METHODS: dict[str, Callable[[DiscoveryModels, LatentsConfig, Labels], list[Direction]]] = {
    "difference": _by_sides,
    "interfacegan": _by_sides,
    "compass": _compass,
    "ganalyze": _ganalyze,
    "sefa": _sefa,
    "ganspace": _ganspace,
    "steerable": _steerable,
}


_SETTINGS: dict[str, tuple[str, ...]] = {
    "difference": ("samples", "side"),
    "interfacegan": ("samples", "side", "fixed"),
    "compass": ("sheet_samples",),
    "ganalyze": ("samples", "learning_rate"),
    "sefa": (),
    "ganspace": ("samples",),
    "steerable": ("samples", "learning_rate", "walk"),
}


def _differentiable(models: DiscoveryModels, config: LatentsConfig) -> Generate:
    if models.generate is None:
        raise LatentsError(f"latents.directions.method: {config.directions.method} needs a differentiable generator")
    return models.generate


def _direction(
    models: DiscoveryModels,
    config: LatentsConfig,
    name: str,
    vector: np.ndarray,
    natural_step: float,
    *,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Direction:
    return Direction(
        name=name,
        method=config.directions.method,
        vector=vector,
        natural_step=natural_step,
        generator=models.digest,
        settings=settings_of(config) | dict(settings or {}),
        made_of=models.made_of,
        **more,
    )


def settings_of(config: LatentsConfig) -> dict[str, Any]:
    """The settings on which `latents.directions.method` depends, as a direction's file stores them."""
    recorded = flat_latents(config)
    names = ("seed", "truncation", *_SETTINGS[config.directions.method])  # truncation is recorded unless it is 1
    return {name: recorded[name] for name in names if name in recorded}
