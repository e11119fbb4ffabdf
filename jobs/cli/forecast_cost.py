"""What --dry-run says of the networks, the memory, the multiplications and the time of trainings."""

from collections.abc import Sequence
from typing import Any

from framework.config import Experiment
from framework.data.labels import Labels
from framework.training.conditions import condition_by
from framework.training.cost import TrainingCost
from jobs.cli.job import Console

PEAKS = {"H100": 989.4, "A100": 312.0, "RTX 4090": 165.2}
"""Peak of dense matrix products in bfloat16, in TFLOP/s: NVIDIA's data sheets of the H100 SXM (half of its figure with
sparsity) and the A100, and the white paper of the Ada architecture."""
SHARES = {"H100": 0.1, "A100": 0.2, "RTX 4090": 0.2}
"""What a training is assumed to reach of the peak; docs/gpu.md says why."""
OPERATION_SECONDS = 6e-6
"""What the host is assumed to take for an operation, which limits small images and networks."""


def costs_of(experiments: Sequence[Experiment], labels: Labels, *, workers: int) -> list[TrainingCost]:
    """The cost of each trial; trials that differ in nothing that costs have one together.

    Args:
        experiments: Those of the trials.
        labels: Those of the images.
        workers: Number of workers that share a batch.
    """
    made: dict[tuple[Any, ...], TrainingCost] = {}
    for trial in experiments:
        training = trial.training
        sizes = training.batch_size, training.schedule, training.freeze_discriminator, training.total_images
        key = (trial.model.model_dump_json(), trial.objective.model_dump_json(), *sizes)
        if key not in made:
            condition = condition_by(labels, trial.model.condition)
            made[key] = TrainingCost(trial, workers=workers, condition=condition)
    return list(made.values())


def memory_of(cost: TrainingCost) -> int:
    """Bytes that a worker's device needs, in float32 where the precision is not decided yet."""
    return cost.memory_bytes(cost.experiment.compute.precision)


def say_networks(costs: Sequence[TrainingCost], console: Console) -> dict[str, Any]:
    """Prints the parameters of each network, or their range over the trials."""
    for name in costs[0].parameters:
        counts = sorted({cost.parameters[name] for cost in costs})
        console.say(f"{name.capitalize()}: {_range([f'{count:,}' for count in counts])} parameters")
    frozen = {cost.experiment.model.feature_network: cost.frozen for cost in costs if cost.frozen}
    for name, size in frozen.items():
        console.say(f"Frozen: {size:,} parameters of {name} and random layers, which are not trained")
    return {"parameters": costs[0].parameters}


def say_memory(costs: Sequence[TrainingCost], console: Console, *, process_mib: int) -> dict[str, Any]:
    """Prints the memory of a worker, of the largest trial."""
    largest = max(costs, key=memory_of)
    size = memory_of(largest)
    other = ""
    if largest.experiment.compute.precision == "auto":
        other = f" in float32 ({largest.memory_bytes('bfloat16') / 2**20:,.0f} MiB in bfloat16)"
    console.say(
        f"Memory: about {size / 2**20:,.0f} MiB per worker{other} for weights, optimizers and activations, "
        f"plus {process_mib:,} MiB for Python, PyTorch and Ray"
    )
    return {"memory_bytes_per_worker": size}


def say_work(costs: Sequence[TrainingCost], console: Console) -> dict[str, Any]:
    """Prints the multiplications of an image, and the time of a trial that follows for some cards."""
    made, seen = (
        sorted({getattr(cost, f"{kind}_multiplications") for cost in costs}) for kind in ("generator", "step")
    )
    console.say(
        f"Work: {_range([f'{count / 1e9:.3g}' for count in made])} GMAC per generated image, "
        f"{_range([f'{count / 1e9:.3g}' for count in seen])} GMAC per image of training (multiplications, counted)"
    )
    hours = {card: max(hours_on(card, cost) for cost in costs) for card in PEAKS}
    times = ", ".join(f"{_text(each)} on an {card}" for card, each in hours.items())
    console.say(f"Time of a trial on one card: {times} (estimated, no card was measured; docs/gpu.md)")
    return {
        "multiplications_per_image": {"generator": made[-1], "training": seen[-1]},
        "estimated_hours": {card: round(each, 3) for card, each in hours.items()},
    }


def hours_on(card: str, cost: TrainingCost) -> float:
    """Estimated hours of a training on one card, for its multiplications or for the host's operations."""
    training = cost.experiment.training
    computing = 2 * cost.step_multiplications * training.batch_size / (SHARES[card] * PEAKS[card] * 1e12)
    step = max(computing, OPERATION_SECONDS * cost.step_operations)
    return step * training.total_images / training.batch_size / 3600


def _text(hours: float) -> str:
    """Of two digits; short times in minutes."""
    return f"{hours:.2g} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"


def _range(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"
