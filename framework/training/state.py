"""The state of a training, which checkpoints save and restore."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.saved import condition_in, generator_config
from framework.checkpoint.snapshot import Parts, on_host
from framework.checkpoint.start import Start, Taken
from framework.config import Experiment
from framework.config.schedule import value_at
from framework.data import PackedStore
from framework.errors import TrainingError
from framework.models import DiscriminatorNetwork, Ema, GeneratorNetwork, build_generator
from framework.models.build import build_companion
from framework.models.condition import Condition
from framework.models.transfer import freeze
from framework.training.adam import adam, flat_moments, restore_moments
from framework.training.conditions import check_unchanged


@dataclass(kw_only=True)
class State(ABC):
    """The networks of a family, the generator's moving average, the optimizers, and the progress.

    There is no random generator in the state: latents, masks, augmentation and the order of the images are functions of
    the seed and the position.

    Attributes:
        steps: Number of completed steps.
        images_seen: Number of images seen, by which all schedules count.
        real_images_seen: Position in the endless order of training images.
        wall_seconds: Time spent in training, including earlier runs of the same training.
        notes: Small values by name that other code saves across restarts.
        condition: The labels that the networks are conditional on; None without any.
    """

    experiment: Experiment
    resolution: int
    channels: int
    precision: str
    generator: GeneratorNetwork
    ema: Ema
    generator_optimizer: Optimizer
    steps: int = 0
    images_seen: int = 0
    real_images_seen: int = 0
    wall_seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    condition: Condition | None = None

    @classmethod
    def fresh(
        cls,
        experiment: Experiment,
        *,
        resolution: int,
        channels: int,
        precision: str,
        device: torch.device | str,
        condition: Condition | None = None,
    ) -> Self:
        """The state before the first step."""
        dtype = torch.float64 if precision == "float64" else torch.float32
        shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "seed": experiment.seed}
        generator = build_generator(experiment.model, **shape, condition=condition).to(device, dtype)
        companion = build_companion(experiment.model, **shape, condition=condition).to(device, dtype)
        return cls(
            experiment=experiment,
            resolution=resolution,
            channels=channels,
            precision=precision,
            condition=condition,
            generator=generator,
            ema=Ema(generator, half_life_images=experiment.training.ema_half_life_images),
            generator_optimizer=adam(generator, experiment.optimizer, lr=experiment.optimizer.generator_lr),
            **cls.companion_fields(companion, experiment),
        )

    @classmethod
    @abstractmethod
    def companion_fields(cls, companion: nn.Module, experiment: Experiment) -> dict[str, Any]:
        """The fields that a family adds for the companion, the network with which the generator is trained."""

    @abstractmethod
    def companion(self) -> tuple[str, nn.Module, Optimizer]:
        """The name, the network and the optimizer of the companion."""

    def ema_networks(self) -> dict[str, Ema]:
        """Moving averages by their name in a checkpoint."""
        return {"ema": self.ema}

    def more_parts(self) -> dict[str, dict[str, Tensor]]:
        """Tensors by part and name that checkpoints save besides networks and optimizers. Most families have none."""
        return {}

    def more_metrics(self) -> dict[str, float]:
        """Numbers of the state that each report shows."""
        return {}

    def prepare_for_sampling(self, images: PackedStore) -> None:  # noqa: B027  most families have nothing to do
        """Computes statistics that the averaged networks need before sampling or saving. Most families need none."""

    def save(self, store: CheckpointStore) -> Checkpoint:
        """Writes a checkpoint.

        Raises:
            TrainingError: A weight is not finite; then nothing is written.
        """
        return self.snapshot()(store)

    def snapshot(self) -> Callable[[CheckpointStore], Checkpoint]:
        """Copies the state to the CPU, and returns a function that writes it to a store later.

        If the training runs on a CPU nothing is copied, so the state must be written before the next step.

        Raises:
            TrainingError: A weight is not finite.
        """
        parts = {name: network.state_dict() for name, network in self._parts().items()}
        optimizers = {f"{name}_optimizer": flat_moments(*pair) for name, pair in self._optimizers().items()}
        held = on_host(parts | optimizers | self.more_parts())
        self._check_finite({name: held[name] for name in parts})
        info: dict[str, Any] = {
            "steps": self.steps,
            "images_seen": self.images_seen,
            "real_images_seen": self.real_images_seen,
            "wall_seconds": round(self.wall_seconds, 3),
            "precision": self.precision,
            "seed": self.experiment.seed,
            "notes": copy.deepcopy(self.notes),
        } | ({} if self.condition is None else {"condition": self.condition.summary()})
        shown = {"resolution": self.resolution, "channels": self.channels, "images_seen": self.images_seen}
        config = generator_config(self.experiment.model, **shown, condition=self.condition)

        def write(store: CheckpointStore) -> Checkpoint:
            return store.save(
                held,
                info=info,
                images_seen=info["images_seen"],
                generator=(single(held["ema"]), config),
                encoder=single(held["encoder_ema"]) if "encoder_ema" in held else None,
            )

        return write

    def load(self, checkpoint: Checkpoint) -> None:
        """Restores the state from a checkpoint, except the learning rates, which stay those of the experiment.

        Raises:
            CheckpointError: Its condition is not the one of this state.
        """
        self.condition = check_unchanged(self.condition, checkpoint.info.get("condition"))
        self._load_tensors(checkpoint)
        info = checkpoint.training_info
        self.steps, self.images_seen = info["steps"], info["images_seen"]
        self.real_images_seen, self.wall_seconds = info["real_images_seen"], info["wall_seconds"]
        self.notes = info["notes"]
        self.follow_schedules()

    def rewind(self, checkpoint: Checkpoint, *, lr_factor: float) -> None:
        """Takes weights and optimizers of an earlier checkpoint, and goes on from here with lower learning rates.

        Steps and images seen go on, so that no report, checkpoint or random number comes twice.
        """
        self._load_tensors(checkpoint)
        self.notes["lr_factor"] = lr_factor * self.notes.get("lr_factor", 1.0)
        self.follow_schedules()

    def _load_tensors(self, checkpoint: Checkpoint) -> None:
        for name, network in self._parts().items():
            network.load_state_dict(checkpoint.tensors(name))
        for name, pair in self._optimizers().items():
            restore_moments(*pair, checkpoint.tensors(f"{name}_optimizer"))
        for name, tensors in self.more_parts().items():
            for key, value in checkpoint.tensors(name).items():
                tensors[key].copy_(value)

    def _check_finite(self, parts: Parts) -> None:
        """Raises `TrainingError` with the name of the first weight that is not finite, if there is one."""
        for network, tensors in parts.items():
            for name, value in tensors.items():
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    raise TrainingError(
                        f"step {self.steps}, {self.images_seen:,} images seen: {network}.{name} is not finite; "
                        "lower the learning rates"
                    )

    def follow_schedules(self) -> None:
        """Sets the learning rates and beta2 to their values at this number of images seen.

        Rewinds lower the rates by a factor in the notes. Adam corrects its bias by the beta2 of the moment, so its step
        is a function of saved numbers and images_seen.
        """
        config = self.experiment.optimizer
        for name, optimizer in self.optimizers().items():
            lr = config.discriminator_lr if name == "discriminator" else config.generator_lr
            for group in optimizer.param_groups:
                group["lr"] = value_at(lr, self.images_seen) * self.notes.get("lr_factor", 1.0)
                group["betas"] = (config.beta1, value_at(config.beta2, self.images_seen))

    def networks(self) -> dict[str, nn.Module]:
        """The trained networks by name."""
        name, network, _ = self.companion()
        return {"generator": self.generator, name: network}

    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers by the name of their network."""
        return {name: optimizer for name, (_, optimizer) in self._optimizers().items()}

    def _parts(self) -> dict[str, nn.Module]:
        return self.networks() | {name: average.network for name, average in self.ema_networks().items()}

    def _optimizers(self) -> dict[str, tuple[nn.Module, Optimizer]]:
        name, network, optimizer = self.companion()
        return {"generator": (self.generator, self.generator_optimizer), name: (network, optimizer)}


@dataclass(kw_only=True)
class TrainState(State):
    """The state of a GAN, whose companion network is the discriminator.

    Attributes:
        augmentation: The state of `AdaptiveProbability` ([3] float64); None if the probability is not adaptive.
    """

    discriminator: DiscriminatorNetwork
    discriminator_optimizer: Optimizer
    augmentation: Tensor | None = None

    @classmethod
    def companion_fields(cls, companion: nn.Module, experiment: Experiment) -> dict[str, Any]:
        """The fields of the discriminator, whose first layers may be frozen, and of an adaptive augmentation."""
        assert isinstance(companion, DiscriminatorNetwork)
        freeze(companion, experiment.training.freeze_discriminator)
        optimizer = adam(companion, experiment.optimizer, lr=experiment.optimizer.discriminator_lr)
        fields = {"discriminator": companion, "discriminator_optimizer": optimizer}
        if experiment.objective.augmentations and experiment.objective.augmentation_probability == "adaptive":
            device = next(companion.parameters()).device
            fields["augmentation"] = torch.zeros(3, dtype=torch.float64, device=device)
        return fields

    def more_parts(self) -> dict[str, dict[str, Tensor]]:
        """The state of an adaptive augmentation."""
        return {} if self.augmentation is None else {"augmentation": {"adaptive": self.augmentation}}

    def more_metrics(self) -> dict[str, float]:
        """The probability of augmentations, unless it is 1 throughout."""
        config = self.experiment.objective
        probability = config.augmentation_probability
        if self.augmentation is not None:
            return {"augmentation_probability": float(self.augmentation[0])}
        # The value of a schedule is shown by the report itself, as that of every schedule.
        if not isinstance(probability, float) or probability == 1.0 or not config.augmentations:
            return {}
        return {"augmentation_probability": probability}

    def companion(self) -> tuple[str, nn.Module, Optimizer]:
        """The name, the network and the optimizer of the discriminator."""
        return "discriminator", self.discriminator, self.discriminator_optimizer

    def begin_with(self, start: Start) -> Taken:
        """Loads what fits of already trained networks; images seen and both optimizers start from zero.

        Numbers of a condition keep the scale of the start.

        Returns:
            What fitted.

        Raises:
            CheckpointError: A projected discriminator was trained on other pretrained weights.
            TrainingError: A label of the condition is not the start's.
        """
        if self.condition is not None:
            theirs = condition_in(start.config)
            assert theirs is not None, "model.condition is the start's"
            try:
                self.condition = self.condition.scaled_like(theirs.labels)
            except ValueError as fault:
                raise TrainingError(f"training.start_from: model.condition: {fault}") from None
        taken = start.taken(self.generator, self.discriminator)
        for network, tensors in (
            (self.generator, taken.generator),
            (self.ema.network, taken.averaged),
            (self.discriminator, taken.discriminator),
        ):
            network.load_state_dict(network.state_dict() | tensors)
        return taken


def single(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with floating point numbers converted to float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
