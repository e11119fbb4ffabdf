"""The training step of a GAN for each `training.schedule`, with its metrics."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from framework.config import Experiment
from framework.training.state import TrainState
from framework.training.steps.base_step import Step, joined
from framework.training.steps.draws import Numbers, StepRandom
from framework.training.steps.objectives import build_objective
from framework.training.steps.penalties import GradientPenalties
from framework.training.steps.step_augmentation import StepAugmentation
from framework.training.workers import Shard

METRIC_NAMES = (
    "discriminator_loss",
    "generator_loss",
    "accuracy_real",
    "accuracy_fake",
    "logit_mean_real",
    "logit_mean_fake",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
)


class PairStep(Step[TrainState]):
    """Base class of the steps of generator and discriminator."""

    METRIC_NAMES = METRIC_NAMES
    NAN_HINT = "lower optimizer.discriminator_lr and optimizer.generator_lr, or raise objective.r1_gamma"
    LATENTS: ClassVar[tuple[str, ...]]
    """The purposes for which latents are drawn."""

    def _prepare(self, experiment: Experiment) -> None:
        state = self._state
        self._objective = build_objective(experiment.objective).of_heads(state.discriminator)
        self._penalties = GradientPenalties(experiment)
        self._augment = StepAugmentation(experiment, state, workers=self._workers)
        self._draws = StepRandom(
            seed=experiment.seed,
            latent_size=experiment.model.latent_size,
            features=state.discriminator.features,
            dropout=experiment.model.dropout,
            dtype=self._precision.dtype,
            more_numbers=self._augment.more_numbers,
            noise_numbers=self._augment.noise_numbers,
            condition=state.condition,
        )
        # Without those that training.freeze_discriminator excludes.
        self._judging = [parameter for parameter in state.discriminator.parameters() if parameter.requires_grad]
        self._generator = self._workers.wrapped(state.generator)
        self._discriminator = self._workers.wrapped(state.discriminator)
        part, whole = (self._workers.shard(count) for count in (self.real_images(self._batch), self._batch))
        self._shards = {"real": part, "fake": part, "generator": whole}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics of every step, and the penalties that are on."""
        return (*METRIC_NAMES[:-2], *self._penalties.metric_names, *METRIC_NAMES[-2:])

    def draw(self, step: int) -> Numbers:
        """The random numbers of a step: latents, dropout masks and augmentation."""
        augmented = ("real", "fake", "generator") if self._augment.is_on else ()
        return self._draws.of_step(step, self._shards, latents=self.LATENTS, augmented=augmented)

    def _images(self, network: nn.Module, latents: Tensor) -> Tensor:
        with self._precision.autocast():
            images = network(latents)
        return images.to(self._precision.dtype)

    def _augmented(self, images: Tensor, purpose: str, numbers: Numbers, part: Shard) -> Tensor:
        return self._augment(images, purpose, numbers, part) if self._augment.is_on else images

    def _adapt(self, real_logits: Tensor, fake_logits: Tensor, step: int) -> None:
        """Adapts the probability of augmentations, if it is adaptive, at the end of a step."""
        if self._augment.adaptive is not None:
            self._augment.adaptive.after_step(self._objective.margins(real_logits, fake_logits)[0], step)

    def _logits(self, network: nn.Module, images: Tensor, mask: Tensor | None, codes: Tensor | None = None) -> Tensor:
        with self._precision.autocast():
            logits = network(images, mask) if codes is None else network(images, mask, codes)
        return logits.to(self._precision.dtype)

    def _codes(self, numbers: Numbers, purpose: str, part: Shard) -> Tensor | None:
        """The codes of the images of a part; None without a condition."""
        return None if self._state.condition is None else numbers.codes(purpose, part)

    def _penalised(self, losses: Tensor, **pairs: tuple[Tensor, Tensor]) -> Tensor:
        """The losses with the penalties that are due, from purpose=(logits, images)."""
        combined = self._state.discriminator.combined
        pairs = {purpose: (combined(logits), images) for purpose, (logits, images) in pairs.items()}
        penalties = self._penalties.of(pairs, images_seen=self._state.images_seen)
        return losses if penalties is None else losses + penalties

    def _generator_update(
        self, images_of: Callable[[Shard], Tensor], numbers: Numbers, real_of: Callable[[Shard], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Updates the generator through a frozen discriminator; returns its losses and the norm of its gradient.

        Args:
            images_of: The generated images of a part.
            numbers: The random numbers of the step.
            real_of: The real images that a loss of pairs compares them with, as the discriminator saw them.
        """
        network = self._state.discriminator.requires_grad_(False)
        all_losses = []

        def loss_of(part: Shard) -> Tensor:
            augmented = self._augmented(images_of(part), "generator", numbers, part)
            codes = self._codes(numbers, "generator", part)
            logits = self._logits(network, augmented, numbers.mask("generator", part), codes)
            if real_of is not None:
                with torch.no_grad():
                    codes = self._codes(numbers, "real", part)
                    partners = self._logits(network, real_of(part), numbers.mask("real", part), codes)
                logits = logits - partners
            losses = self._objective.generator(logits)
            all_losses.append(losses.detach())
            return self._workers.mean_loss(losses, part)

        optimizer = self._state.generator_optimizer
        (norm,) = self._update(loss_of, self._shards["generator"], optimizer, through=[self._generator])
        for parameter in self._judging:
            parameter.requires_grad_(True)
        return joined(all_losses), norm

    def _figures(self, *, real: Tensor, fake: Tensor, generated: Tensor, norms: tuple[Tensor, Tensor]) -> Tensor:
        """The values of `metric_names`, from logits of real and fake images and the generator's losses."""
        half, whole = self._shards["real"], self._shards["generator"]
        real, fake = real.double(), fake.double()
        real_margins, fake_margins = self._objective.margins(real, fake)
        discriminator = self._state.discriminator

        def share(values: Tensor) -> Tensor:
            """Of the mean over the batch and the heads."""
            return discriminator.combined(values).sum() / (half.total * discriminator.judges)

        shares = [
            self._objective.reported(real, fake, images=half.total),
            generated.double().sum() / whole.total,
            *(share(values) for values in ((real_margins > 0).double(), (fake_margins <= 0).double(), real, fake)),
            *self._penalties.shares(half.total, like=real),
            *(norm.detach().double() / self._workers.world_size for norm in norms),
        ]
        return torch.stack(shares)

    def _dry_step(self) -> None:
        latents = self._placed(self._draws.latents("warm-up", 0, Shard(0, 1, 1)))
        images = self._images(self._generator, latents)
        images.sum().backward()
        condition = self._state.condition
        codes = None if condition is None else latents[:, -condition.size :]
        self._logits(self._discriminator, images.detach(), None, codes).sum().backward()


class NotebookStep(PairStep):
    """The step of the notebooks, with three updates.

    The discriminator is updated on half a batch of real images, then on half a batch of generated images; then the
    generator is updated on a whole batch of new latents.
    """

    LATENTS = ("fake", "generator")

    @staticmethod
    def real_images(batch_size: int) -> int:
        """Half of the batch size."""
        return batch_size // 2

    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor:
        half = self._shards["real"]

        def real_of(part: Shard) -> Tensor:
            return self._penalties.watched(half.of(real, part), "real", step=step)

        @torch.no_grad()
        def fake_of(part: Shard) -> Tensor:
            images = self._images(self._state.generator, numbers.latents("fake", part))
            return self._penalties.watched(images, "fake", step=step)

        def images_of(part: Shard) -> Tensor:
            return self._images(self._generator, numbers.latents("generator", part))

        real_logits, real_norm = self._discriminator_update(real_of, "real", numbers)
        fake_logits, fake_norm = self._discriminator_update(fake_of, "fake", numbers)
        losses, norm = self._generator_update(images_of, numbers)
        self._adapt(real_logits, fake_logits, step)
        norms = ((real_norm + fake_norm) / 2, norm)
        return self._figures(real=real_logits, fake=fake_logits, generated=losses, norms=norms)

    def _discriminator_update(
        self, images_of: Callable[[Shard], Tensor], purpose: str, numbers: Numbers
    ) -> tuple[Tensor, Tensor]:
        loss = self._objective.real if purpose == "real" else self._objective.fake
        assert loss is not None, "a loss of pairs needs the joint schedule"
        all_logits = []

        def loss_of(part: Shard) -> Tensor:
            images = images_of(part)
            augmented = self._augmented(images, purpose, numbers, part)
            codes = self._codes(numbers, purpose, part)
            logits = self._logits(self._discriminator, augmented, numbers.mask(purpose, part), codes)
            all_logits.append(logits.detach())
            losses = self._penalised(loss(logits), **{purpose: (logits, images)})
            return self._workers.mean_loss(losses, part)

        optimizer = self._state.discriminator_optimizer
        (norm,) = self._update(loss_of, self._shards[purpose], optimizer, through=[self._discriminator])
        return joined(all_logits), norm


class JointStep(PairStep):
    """Updates the discriminator on a real and a generated batch together, then the generator on the same latents."""

    LATENTS = ("generator",)

    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor:
        shard = self._shards["generator"]
        on_real, on_fake = [], []
        # In one pass the generator's graph is kept for its update. In several it is computed again to save memory.
        held = self._images(self._generator, numbers.latents("generator", shard)) if self._in_one_pass(shard) else None

        @torch.no_grad()
        def fake_of(part: Shard) -> Tensor:
            latents = numbers.latents("generator", part)
            images = self._images(self._state.generator, latents) if held is None else held.detach()
            return self._penalties.watched(images, "fake", step=step)

        def images_of(part: Shard) -> Tensor:
            return self._images(self._generator, numbers.latents("generator", part)) if held is None else held

        def real_of(part: Shard) -> Tensor:
            return self._augmented(shard.of(real, part), "real", numbers, part)

        def loss_of(part: Shard) -> Tensor:
            images, generated = self._penalties.watched(shard.of(real, part), "real", step=step), fake_of(part)
            both = torch.cat(
                [
                    self._augmented(images, "real", numbers, part),
                    self._augmented(generated, "fake", numbers, part),
                ]
            )
            masks = [numbers.mask(purpose, part) for purpose in ("real", "fake")]
            kept = [mask for mask in masks if mask is not None]
            real_codes, fake_codes = (self._codes(numbers, purpose, part) for purpose in ("real", "generator"))
            codes = None if real_codes is None or fake_codes is None else torch.cat([real_codes, fake_codes])
            logits = self._logits(self._discriminator, both, torch.cat(kept) if kept else None, codes)
            real_logits, fake_logits = logits.chunk(2)
            on_real.append(real_logits.detach())
            on_fake.append(fake_logits.detach())
            losses = self._objective.discriminator(real_logits, fake_logits)
            losses = self._penalised(losses, real=(real_logits, images), fake=(fake_logits, generated))
            return self._workers.mean_loss(losses, part)

        optimizer = self._state.discriminator_optimizer
        (discriminator_norm,) = self._update(loss_of, shard, optimizer, through=[self._discriminator])
        # Pairs are of one index in the batch, which neither workers nor passes change.
        partners = real_of if self._objective.is_paired else None
        generated, norm = self._generator_update(images_of, numbers, partners)
        self._adapt(joined(on_real), joined(on_fake), step)
        return self._figures(
            real=joined(on_real), fake=joined(on_fake), generated=generated, norms=(discriminator_norm, norm)
        )


STEPS: dict[str, type[PairStep]] = {"notebook": NotebookStep, "joint": JointStep}
