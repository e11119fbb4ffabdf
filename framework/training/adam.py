"""Adam as trainings use it: built from the configuration, and its state as tensors that a checkpoint can hold."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from framework.config import OptimizerConfig
from framework.config.schedule import value_at


def adam(network: nn.Module, config: OptimizerConfig, *, lr: float | Mapping[str, Any]) -> Optimizer:
    """Builds the Adam optimizer of a network's trained weights, with the schedules' values before the first image."""
    betas = (config.beta1, value_at(config.beta2, 0))
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    fused = not any(parameter.is_meta for parameter in trained)  # its kernel knows no tensors without values
    return Adam(trained, lr=value_at(lr, 0), betas=betas, eps=config.epsilon, fused=fused)


def flat_moments(network: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Adam's state as `<parameter>.<exp_avg|exp_avg_sq|step>`; empty before the first step."""
    return {
        f"{name}.{kind}": value
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_moments(network: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Sets Adam's state to what `flat_moments` gave."""
    optimizer.state.clear()
    for name, parameter in network.named_parameters():
        moments = {kind: tensors[f"{name}.{kind}"] for kind in ("exp_avg", "exp_avg_sq") if f"{name}.{kind}" in tensors}
        if moments:
            # In the memory layout of the parameter, as Adam creates them.
            state = {kind: torch.empty_like(parameter).copy_(value) for kind, value in moments.items()}
            state["step"] = tensors[f"{name}.step"].to(parameter.device)
            optimizer.state[parameter] = {"step": state.pop("step"), **state}
