"""What the methods that find directions need, checked before anything is computed."""

import torch
from torch import Tensor, nn

from framework.config import LatentsConfig
from framework.errors import LatentsError
from framework.latents.attributes.expression import SignedGroup, parse_expression
from framework.latents.attributes.groups import Group, Labels, known_names, resolve_group
from framework.latents.directions.attributes import attributes_of
from framework.latents.directions.edits import edits_for
from framework.latents.directions.methods.layers import early_activations
from framework.latents.directions.methods.sefa import first_weight
from framework.latents.directions.sorted_samples import read_piles
from framework.models import sample_latents


def check_discovery(
    config: LatentsConfig,
    labels: Labels | None,
    *,
    assessed: bool,
    network: nn.Module | None,
    latent_size: int,
    channels: int,
) -> None:
    """Checks what `latents.directions.method` needs, before anything is computed.

    Args:
        labels: What the assessor knows; None if that is not known yet.
        assessed: Whether there is, or will be, an assessor.

    Raises:
        LatentsError: The method needs labels, a module or a setting that is missing.
    """
    method, sorted_samples = config.directions.method, config.directions.sorted_samples
    if sorted_samples is not None and method in ("compass", "difference"):
        read_piles(sorted_samples, samples=config.arithmetic.sheet_samples)
    elif method == "difference" and config.directions.name is not None:
        if labels is not None:
            groups_of_expression(config, labels, assessed=assessed)
    elif method in ("difference", "interfacegan") or (method == "ganalyze" and config.directions.score is None):
        check_samples(config)
        if not assessed:
            raise needs_assessor(config)
        if labels is not None:
            attributes_of(labels, config.directions.attributes)
            attributes_of(labels, config.directions.fixed, key="fixed")
    if method in ("sefa", "ganspace") and network is None:
        raise needs_module(config)
    if method in ("ganalyze", "steerable") and network is None:
        raise LatentsError(f"latents.directions.method: {method} needs a differentiable generator")
    if method == "sefa" and network is not None:
        first_weight(network, latent_size)
    if method == "ganspace" and network is not None:
        early_layer(network, torch.from_numpy(sample_latents(2, latent_size, seed=config.seed)))
    if method == "steerable":
        edits_for(config.directions.edits, channels=channels)


def check_samples(config: LatentsConfig) -> None:
    """Checks that there are enough latents for both sides of a method that takes the surest ones.

    Raises:
        LatentsError: `latents.directions.samples` is too small.
    """
    directions = config.directions
    by_sides = directions.method in ("difference", "interfacegan")
    if by_sides and directions.sorted_samples is None and directions.name is None:
        least = 2 * directions.per_class
        if directions.samples < least:
            raise LatentsError(
                f"latents.directions.samples: must be at least {least:,}, twice latents.directions.per_class, for "
                f"{directions.method}, not {directions.samples:,}"
            )


def needs_assessor(config: LatentsConfig) -> LatentsError:
    """The error of a method that needs an assessor, where there is none."""
    return LatentsError(
        f"latents.directions.method: {config.directions.method} needs an assessor, but the data has no labels"
    )


def needs_module(config: LatentsConfig) -> LatentsError:
    """The error of a method that needs a PyTorch module, where the generator is another object."""
    what = {"sefa": "the first layer", "ganspace": "an early layer"}[config.directions.method]
    return LatentsError(
        f"latents.directions.method: {config.directions.method} needs {what}, but this generator is not a PyTorch "
        "module"
    )


def groups_of_expression(
    config: LatentsConfig, labels: Labels, *, assessed: bool
) -> tuple[list[SignedGroup], dict[str, Group]]:
    """The terms of `latents.arithmetic.expression` and their groups by name.

    Raises:
        LatentsError: The expression cannot be parsed, or a group is unknown or cannot be chosen.
    """
    terms = parse_expression(config.arithmetic.expression, known=known_names(config, labels))
    groups = {term.group: resolve_group(term.group, config, labels) for term in terms}
    for name, group in groups.items():
        if group.numbers is None and not (assessed and group.condition is not None):
            raise LatentsError(f"latents.arithmetic.expression: {name} needs numbers in latents.groups, or an assessor")
    return terms, groups


def early_layer(network: nn.Module, latents: Tensor) -> Tensor:
    """The activations [n,f] that ganspace uses, for at least two latents [n,z].

    Raises:
        LatentsError: The network has no such layer.
    """
    activations = early_activations(network, latents)
    if activations is None:
        raise LatentsError(
            "latents.directions.method: ganspace needs the input of the layer after the first one, dense "
            "or a convolution, but this generator has no such layer"
        )
    return activations
