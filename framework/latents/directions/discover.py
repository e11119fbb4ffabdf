"""Finds directions: one function a method, all with the same tools, all giving `Direction`s.

A method looks at `latents.samples` latents of `latents.seed`, so that effects can be measured on others. What an
assessor says is the finder's; the measurer never finds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.config import LatentsConfig, flat_latents
from framework.errors import LatentsError
from framework.latents.attributes.expression import format_expression, parse_expression
from framework.latents.attributes.groups import Labels, known_names, resolve_group
from framework.latents.attributes.shares import combine
from framework.latents.directions.attributes import Attribute, attributes_of
from framework.latents.directions.direction import Direction, unit
from framework.latents.directions.edits import EDITS, edits_for
from framework.latents.directions.methods.ganalyze import ganalyze
from framework.latents.directions.methods.ganspace import ganspace
from framework.latents.directions.methods.interfacegan import boundary_normal, conditional, difference_normal, surest
from framework.latents.directions.methods.layers import early_activations
from framework.latents.directions.methods.sefa import first_weight, sefa
from framework.latents.directions.methods.steerability import steer_linear, steer_nonlinear
from framework.latents.directions.sorted_samples import read_piles
from framework.latents.networks import Generate, Score
from framework.latents.protocols import Scores

BATCH = 32
_PART = 2_000  # latents at a time for principal components


@dataclass(frozen=True)
class Tools:
    """What methods work with.

    Attributes:
        latent_size: Numbers in a latent.
        digest: The generator's.
        sample: (n, start) -> latents [n,z] of the seed.
        assess: Latents -> what the finder says of their images; None where there is no assessor.
        generate: Differentiable; None where the generator is a foreign function.
        network: The generator's own; None likewise.
        score: Attribute -> the finder's differentiable logit of images; None where there is no assessor.
        made_of: What the direction file says of data and assessor.
    """

    latent_size: int
    digest: str
    sample: Callable[[int, int], np.ndarray]
    assess: Callable[[np.ndarray], Scores] | None
    generate: Generate | None
    network: nn.Module | None
    score: Callable[[Attribute], Score] | None
    made_of: Mapping[str, Any]


def discover(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """The directions that `latents.method` finds.

    Raises:
        LatentsError: The method wants what is not here.
    """
    return _METHODS[config.directions.method](tools, config, labels)


def _by_sides(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """Difference of means and InterFaceGAN: the samples that the finder is surest of, on either side."""
    if config.directions.method == "difference" and config.directions.sorted_samples is not None:
        return _by_piles(tools, config, labels)
    if config.directions.method == "difference" and config.directions.name is not None:
        return _by_expression(tools, config, labels)
    if tools.assess is None:
        raise LatentsError(f"latents.method: {config.directions.method} wants an assessor, and the data has no labels")
    wanted, fixed = (
        attributes_of(labels, config.directions.attributes),
        attributes_of(labels, config.directions.fixed, key="fixed"),
    )
    latents = tools.sample(config.directions.samples, 0)
    scores = tools.assess(latents)
    normals = {}
    for attribute in dict.fromkeys([*wanted, *fixed]):
        low, high = surest(attribute.values(scores), count=config.directions.per_class)
        normals[attribute] = _normal(config, latents[low], latents[high])
    found = []
    for attribute in wanted:
        others = [normals[other] for other in fixed if other != attribute]
        vector = conditional(normals[attribute], others)
        name = "_".join([attribute.name, *(["without", *config.directions.fixed] if others else [])])
        found.append(_direction(tools, config, name, vector, 1.0, target=attribute.name))
    return found


def _by_piles(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """Latent Compass, and the difference of means between piles: numbered samples, sorted by a person."""
    assert config.directions.sorted_samples is not None
    piles = read_piles(config.directions.sorted_samples, samples=config.arithmetic.sheet_samples)
    latents = tools.sample(config.arithmetic.sheet_samples, 0)
    low, high = (latents[[number - 1 for number in piles[name]]] for name in ("low", "high"))
    name = config.directions.name or config.directions.method
    target = name if name in {attribute.name for attribute in attributes_of(labels, None)} else ""
    return [_direction(tools, config, name, _normal(config, low, high), 1.0, target=target, settings=piles)]


def _by_expression(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    """`latents.expression` as a direction: the signed sum of its groups' means, by numbers or by the finder."""
    known = known_names(config, labels)
    terms = parse_expression(config.arithmetic.expression, known=known)
    latents = tools.sample(config.directions.samples, 0)
    scores = tools.assess(latents) if tools.assess is not None else None
    means = {}
    for name in dict.fromkeys(term.group for term in terms):
        group = resolve_group(name, config, labels)
        if group.numbers is not None:
            chosen = tools.sample(max(group.numbers), 0)[[number - 1 for number in group.numbers]]
        elif scores is not None and group.condition is not None:
            order = np.argsort(-group.condition.probability(scores), kind="stable")
            chosen = latents[order[: config.directions.per_class]]
        else:
            raise LatentsError(f"latents.expression: {name} wants numbers in latents.groups, or an assessor")
        means[name] = chosen.mean(axis=0, dtype=np.float64)
    assert config.directions.name is not None
    text = {"expression": format_expression(terms)}
    return [_direction(tools, config, config.directions.name, unit(combine(terms, means)), 1.0, settings=text)]


def _normal(config: LatentsConfig, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    if config.directions.method == "difference":
        return difference_normal(low, high)
    return boundary_normal(low, high)


def _compass(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    if config.directions.sorted_samples is None:
        raise LatentsError("latents.piles: wants the CSV in which samples are sorted, with the columns number and pile")
    return _by_piles(tools, config, labels)


def _ganalyze(tools: Tools, config: LatentsConfig, labels: Labels) -> list[Direction]:
    if tools.score is None:
        raise LatentsError("latents.method: ganalyze wants an assessor, and the data has no labels")
    generate, latents = _differentiable(tools, config), tools.sample(config.directions.samples, 0)
    found = []
    own = Attribute(score_name(config), "") if config.directions.score is not None else None
    for attribute in [own] if own is not None else attributes_of(labels, config.directions.attributes):
        trained = ganalyze(
            generate, tools.score(attribute), latents, batch_size=BATCH, learning_rate=config.directions.learning_rate,
            seed=config.seed,
        )  # fmt: skip
        found.append(
            _direction(
                tools,
                config,
                attribute.name,
                trained.vector,
                trained.natural_step,
                target="" if own is not None else attribute.name,
                keeps_length=True,
                settings=None if own is None else {"score": config.directions.score},
            )
        )
    return found


def score_name(config: LatentsConfig) -> str:
    """What the direction of the user's own score is called: `latents.name`, else as the function is."""
    assert config.directions.score is not None
    return config.directions.name or config.directions.score.partition(":")[2]


def _sefa(tools: Tools, config: LatentsConfig, _: Labels) -> list[Direction]:
    if tools.network is None:
        raise LatentsError("latents.method: sefa reads the first layer, and this generator shows none")
    parts = sefa(first_weight(tools.network, tools.latent_size), count=config.directions.components)
    return [
        _direction(tools, config, f"sefa_{number}", vector, 1.0, settings={"share": float(share)})
        for number, (vector, share) in enumerate(zip(parts.vectors, parts.shares, strict=True), start=1)
    ]


def _ganspace(tools: Tools, config: LatentsConfig, _: Labels) -> list[Direction]:
    if tools.network is None:
        raise LatentsError("latents.method: ganspace reads an early layer, and this generator shows none")
    parts = ganspace(_Activations(tools, tools.network, config.directions.samples), count=config.directions.components)
    return [
        _direction(tools, config, f"ganspace_{number}", vector, 1.0, settings={"share": float(share)})
        for number, (vector, share) in enumerate(zip(parts.vectors, parts.shares, strict=True), start=1)
    ]


class _Activations:
    """Latents and what the first layer behind its nonlinearity makes of them, part by part, as often as wanted."""

    def __init__(self, tools: Tools, network: nn.Module, samples: int) -> None:
        self._tools, self._network, self._samples = tools, network, samples

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self._samples, _PART):
            latents = self._tools.sample(min(_PART, self._samples - start), start)
            kept: list[Tensor] = []
            for part in torch.from_numpy(latents).chunk(-(-len(latents) // 256)):
                found = early_activations(self._network, part)
                if found is None:
                    raise LatentsError(
                        "latents.method: ganspace reads what the layer behind the first one is given, dense or a "
                        "convolution, and this generator has none"
                    )
                kept.append(found.cpu())
            yield latents, torch.cat(kept).float().numpy()


def _steerable(tools: Tools, config: LatentsConfig, _: Labels) -> list[Direction]:
    generate, latents = _differentiable(tools, config), tools.sample(config.directions.samples, 0)
    steer = steer_linear if config.directions.path == "linear" else steer_nonlinear
    with torch.no_grad():
        channels = generate(torch.from_numpy(latents[:1])).shape[1]
    found = []
    for name in edits_for(config.directions.edits, channels=channels):
        rate = (
            config.directions.learning_rate
            if config.directions.path == "linear"
            else config.directions.learning_rate / 20
        )
        walk = steer(generate, EDITS[name], latents, batch_size=BATCH, learning_rate=rate, seed=config.seed)
        found.append(
            _direction(
                tools,
                config,
                name,
                walk.vector,
                walk.natural_step,
                target=name,
                forward=walk.forward,
                backward=walk.backward,
            )
        )
    return found


_METHODS: dict[str, Callable[[Tools, LatentsConfig, Labels], list[Direction]]] = {
    "difference": _by_sides,
    "interfacegan": _by_sides,
    "compass": _compass,
    "ganalyze": _ganalyze,
    "sefa": _sefa,
    "ganspace": _ganspace,
    "steerable": _steerable,
}


_LISTENS_TO: dict[str, tuple[str, ...]] = {
    "difference": ("samples", "side"),
    "interfacegan": ("samples", "side", "fixed"),
    "compass": ("sheet_samples",),
    "ganalyze": ("samples", "learning_rate"),
    "sefa": (),
    "ganspace": ("samples",),
    "steerable": ("samples", "learning_rate", "walk"),
}


def _differentiable(tools: Tools, config: LatentsConfig) -> Generate:
    if tools.generate is None:
        raise LatentsError(f"latents.method: {config.directions.method} wants a generator that gradients go through")
    return tools.generate


def _direction(
    tools: Tools,
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
        generator=tools.digest,
        settings=settings_of(config) | dict(settings or {}),
        made_of=tools.made_of,
        **more,
    )


def settings_of(config: LatentsConfig) -> dict[str, Any]:
    """The keys of `latents` that `latents.method` listens to, as a direction's file has them."""
    recorded = flat_latents(config)
    return {name: recorded[name] for name in ("seed", *_LISTENS_TO[config.directions.method])}
