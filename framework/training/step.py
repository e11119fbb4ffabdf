"""One step of the pair in each schedule: what is computed, in which order, and what it reports of itself."""

import torch
from torch import Tensor, nn

from framework.config import Experiment
from framework.training.augment import build_augmentation
from framework.training.draws import Draws
from framework.training.objectives import build_objective, squared_slopes
from framework.training.state import TrainState
from framework.training.stepping import Step
from framework.training.workers import Shard

FIGURES = (
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
    """A step of generator and discriminator, in whatever order."""

    FIGURES = FIGURES
    ADVICE = "lower optimizer.discriminator_lr and optimizer.generator_lr, or raise objective.r1_gamma"

    def _prepare(self, experiment: Experiment) -> None:
        state = self._state
        self._objective = build_objective(experiment.objective)
        self._r1_every = experiment.objective.r1_every_steps if experiment.objective.r1_gamma else 0
        self._r1_weight = experiment.objective.r1_gamma / 2 * experiment.objective.r1_every_steps
        self._augment = build_augmentation(experiment.objective.augmentations)
        self._draws = Draws(
            seed=experiment.seed,
            latent_size=experiment.model.latent_size,
            features=state.discriminator.features,
            dropout=experiment.model.dropout,
            device=self._workers.device,
            dtype=self._precision.dtype,
        )
        self._generator = self._workers.wrapped(state.generator)
        self._discriminator = self._workers.wrapped(state.discriminator)

    def _images(self, network: nn.Module, purpose: str, step: int, shard: Shard) -> Tensor:
        latents = self._draws.latents(purpose, step, shard)
        with self._precision.autocast():
            images = network(latents)
        return images.to(self._precision.dtype)

    def _augmented(self, images: Tensor, purpose: str, step: int, shard: Shard) -> Tensor:
        if self._augment is None:
            return images
        return self._augment(images, self._draws.augmentation(purpose, step, shard))

    def _logits(self, network: nn.Module, images: Tensor, mask: Tensor | None) -> Tensor:
        with self._precision.autocast():
            logits = network(images, mask)
        return logits.to(self._precision.dtype)

    def _real_losses(self, logits: Tensor, real: Tensor) -> Tensor:
        losses = self._objective.real(logits)
        return losses + self._r1_weight * squared_slopes(logits, real) if real.requires_grad else losses

    def _penalised(self, real: Tensor, step: int) -> Tensor:
        """The images, to be differentiated by in the steps in which R1 is due."""
        return real.requires_grad_(self._r1_every > 0 and step % self._r1_every == 0)

    def _generator_pass(self, images: Tensor, step: int, shard: Shard) -> tuple[Tensor, Tensor]:
        """The generator's update through a frozen discriminator; gives its losses and its gradient's norm."""
        network = self._state.discriminator.requires_grad_(False)
        augmented = self._augmented(images, "generator", step, shard)
        logits = self._logits(network, augmented, self._draws.mask("generator", step, shard))
        losses = self._objective.generator(logits)
        (norm,) = self._update(self._workers.mean_loss(losses, shard), self._state.generator_optimizer)
        network.requires_grad_(True)
        return losses, norm

    def _figures(
        self, *, real: Tensor, fake: Tensor, generated: Tensor, norms: tuple[Tensor, Tensor], half: Shard, whole: Shard
    ) -> Tensor:
        """`FIGURES` from logits on real and fake images (parts of `half`) and the generator's losses (`whole`)."""
        real, fake = real.detach().double(), fake.detach().double()
        losses = self._objective.real(real).sum() + self._objective.fake(fake).sum()
        shares = [
            losses / (2 * half.total),
            generated.detach().double().sum() / whole.total,
            (real > 0).double().sum() / half.total,
            (fake <= 0).double().sum() / half.total,
            real.sum() / half.total,
            fake.sum() / half.total,
            *(norm.detach().double() / self._workers.world_size for norm in norms),
        ]
        return torch.stack(shares)

    def _rehearse(self) -> None:
        images = self._images(self._generator, "warm-up", 0, Shard(0, 1, 1))
        images.sum().backward()
        self._logits(self._discriminator, images.detach(), None).sum().backward()


class NotebookStep(PairStep):
    """The notebooks': the discriminator on half a batch of real images, then on half a batch of generated ones.

    An Adam step each; then the generator on a whole batch of fresh latents.
    """

    @staticmethod
    def real_images(batch_size: int) -> int:
        """Half of them."""
        return batch_size // 2

    def _move(self, real: Tensor, *, step: int) -> Tensor:
        half, whole = self._workers.shard(self._batch // 2), self._workers.shard(self._batch)
        real = self._penalised(real, step)
        real_logits, real_norm = self._discriminator_pass(real, "real", step, half)
        with torch.no_grad():
            fake = self._images(self._state.generator, "fake", step, half)
        fake_logits, fake_norm = self._discriminator_pass(fake, "fake", step, half)
        images = self._images(self._generator, "generator", step, whole)
        losses, norm = self._generator_pass(images, step, whole)
        norms = ((real_norm + fake_norm) / 2, norm)
        return self._figures(real=real_logits, fake=fake_logits, generated=losses, norms=norms, half=half, whole=whole)

    def _discriminator_pass(self, images: Tensor, purpose: str, step: int, shard: Shard) -> tuple[Tensor, Tensor]:
        augmented = self._augmented(images, purpose, step, shard)
        logits = self._logits(self._discriminator, augmented, self._draws.mask(purpose, step, shard))
        losses = self._real_losses(logits, images) if purpose == "real" else self._objective.fake(logits)
        (norm,) = self._update(self._workers.mean_loss(losses, shard), self._state.discriminator_optimizer)
        return logits, norm


class JointStep(PairStep):
    """The discriminator on a batch of real and one of generated images at once, then the generator on the same ones."""

    def _move(self, real: Tensor, *, step: int) -> Tensor:
        shard = self._workers.shard(self._batch)
        real = self._penalised(real, step)
        images = self._images(self._generator, "generator", step, shard)
        both = torch.cat(
            [
                self._augmented(real, "real", step, shard),
                self._augmented(images.detach(), "fake", step, shard),
            ]
        )
        masks = [self._draws.mask(purpose, step, shard) for purpose in ("real", "fake")]
        kept = [mask for mask in masks if mask is not None]
        mask = torch.cat(kept) if kept else None
        real_logits, fake_logits = self._logits(self._discriminator, both, mask).chunk(2)
        losses = self._real_losses(real_logits, real) + self._objective.fake(fake_logits)
        loss = self._workers.mean_loss(losses, shard)
        (discriminator_norm,) = self._update(loss, self._state.discriminator_optimizer)
        generated, norm = self._generator_pass(images, step, shard)
        return self._figures(
            real=real_logits,
            fake=fake_logits,
            generated=generated,
            norms=(discriminator_norm, norm),
            half=shard,
            whole=shard,
        )


STEPS: dict[str, type[PairStep]] = {"notebook": NotebookStep, "joint": JointStep}
