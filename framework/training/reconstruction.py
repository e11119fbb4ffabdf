"""Autoencoders and VAEs: an encoder and a decoder that learn from what becomes of an image between them.

Both learn at `optimizer.generator_lr`, an Adam each. Nats are sums over an image's pixels, means over the batch; the
ELBO that is reported is the bound itself, reconstruction - KL, whatever beta the training weighs the KL by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from framework.config import Experiment
from framework.data import PackedStore
from framework.images import from_pixels
from framework.models import Ema
from framework.models.autoencoder import Decoder, Encoder, FittedDecoder
from framework.models.likelihood import build_likelihood
from framework.models.vae import Posterior
from framework.training.draws import Draws
from framework.training.state import State, adam, single
from framework.training.stepping import Step
from framework.training.workers import Shard

FITTED_IMAGES = 2_048
"""Training images whose codes an autoencoder's Gaussian is fitted to, as evenly spread over the data as can be."""
_CHUNK_IMAGES = 32


@dataclass(kw_only=True)
class VaeState(State):
    """Encoder and decoder (which is the generator), both with a moving average."""

    encoder: Encoder
    encoder_ema: Ema
    encoder_optimizer: Optimizer

    @classmethod
    def beside(cls, partner: nn.Module, experiment: Experiment) -> dict[str, Any]:
        """The encoder's."""
        return {
            "encoder": partner,
            "encoder_ema": Ema(partner, half_life_images=experiment.training.ema_half_life_images),
            "encoder_optimizer": adam(partner, experiment.optimizer, lr=experiment.optimizer.generator_lr),
        }

    def partner(self) -> tuple[str, nn.Module, Optimizer]:
        """The encoder."""
        return "encoder", self.encoder, self.encoder_optimizer

    def averages(self) -> dict[str, Ema]:
        """Of both."""
        return super().averages() | {"encoder_ema": self.encoder_ema}

    def averaged_encoder(self) -> Mapping[str, Tensor] | None:
        """What stands beside the generator in a checkpoint."""
        return single(self.encoder_ema.state_dict())


@dataclass(kw_only=True)
class AutoencoderState(VaeState):
    """Likewise; before it is shown or saved, a Gaussian is fitted to the averaged encoder's codes."""

    settled_at: int = -1

    @torch.no_grad()
    def settle(self, images: PackedStore) -> None:
        """Fits the Gaussian that latents are laid over; once a clock."""
        if self.settled_at == self.images_seen:
            return
        indices = images.training_indices
        chosen = indices[np.linspace(0, len(indices) - 1, min(FITTED_IMAGES, len(indices))).round().astype(np.int64)]
        like = next(self.encoder.parameters())  # device and type
        codes = [
            self.encoder_ema.network(from_pixels(images.images[part]).to(like))
            for part in np.split(chosen, range(_CHUNK_IMAGES, len(chosen), _CHUNK_IMAGES))
        ]
        decoder = self.ema.network
        assert isinstance(decoder, FittedDecoder)
        decoder.fit(torch.cat(codes))
        self.settled_at = self.images_seen


class _ReconstructionStep(Step[VaeState]):
    """A batch through encoder and decoder, and one update of both."""

    ADVICE = "lower optimizer.generator_lr"

    def _prepare(self, experiment: Experiment) -> None:
        state = self._state
        assert isinstance(state.generator, Decoder)
        self._likelihood = build_likelihood(experiment.objective)
        self._encoder = self._workers.wrapped(state.encoder)
        # A decoder's own forward gives images of latents; what is trained is its body, from codes to logits.
        self._body = self._workers.wrapped(state.generator.body)

    def _encoded(self, images: Tensor) -> Tensor:
        with self._precision.autocast():
            numbers = self._encoder(images)
        return numbers.to(self._precision.dtype)

    def _nats(self, images: Tensor, codes: Tensor) -> Tensor:
        """[n] log p(image | code)."""
        with self._precision.autocast():
            logits = self._body(codes)
        return self._likelihood(images, logits.to(self._precision.dtype))

    def _descend(self, losses: Tensor, shard: Shard) -> list[Tensor]:
        """The update; gives each worker's share of the gradients' norms."""
        state = self._state
        loss = self._workers.mean_loss(losses, shard)
        norms = self._update(loss, state.generator_optimizer, state.encoder_optimizer)
        return [norm.detach().double() / self._workers.world_size for norm in norms]

    def _rehearse(self) -> None:
        state = self._state
        shape = (1, state.channels, state.resolution, state.resolution)
        images = torch.zeros(shape, device=self._workers.device, dtype=self._precision.dtype)
        numbers = self._encoded(images)
        (self._nats(images, numbers[:, : state.generator.latent_size]) + numbers.sum()).sum().backward()


class AutoencoderStep(_ReconstructionStep):
    """The code as it is, and the likelihood of the image given it."""

    FIGURES = ("reconstruction_nats", "generator_gradient_norm", "encoder_gradient_norm")

    def _move(self, real: Tensor, *, step: int) -> Tensor:  # noqa: ARG002  nothing is drawn
        shard = self._workers.shard(self._batch)
        nats = self._nats(real, self._encoded(real))
        norms = self._descend(-nats, shard)
        return torch.stack([nats.detach().double().sum() / shard.total, *norms])


class VaeStep(_ReconstructionStep):
    """A code drawn from the posterior, and the bound on the image's likelihood."""

    FIGURES = (
        *("reconstruction_nats", "kl_nats", "elbo_nats", "beta"),
        *("generator_gradient_norm", "encoder_gradient_norm"),
    )

    def _prepare(self, experiment: Experiment) -> None:
        super()._prepare(experiment)
        self._beta, self._warmup = experiment.objective.beta, experiment.objective.beta_warmup_images
        self._draws = Draws(
            seed=experiment.seed,
            latent_size=experiment.model.latent_size,
            features=0,
            dropout=0.0,
            device=self._workers.device,
            dtype=self._precision.dtype,
        )

    def _move(self, real: Tensor, *, step: int) -> Tensor:
        shard = self._workers.shard(self._batch)
        beta = beta_at(self._state.images_seen, beta=self._beta, warmup_images=self._warmup)
        posterior = Posterior.of(self._encoded(real))
        nats = self._nats(real, posterior.at(self._draws.latents("posterior", step, shard)))
        divergence = posterior.divergence()
        norms = self._descend(beta * divergence - nats, shard)
        reconstruction, kl = (each.detach().double().sum() / shard.total for each in (nats, divergence))
        share = torch.full_like(kl, beta / self._workers.world_size)
        return torch.stack([reconstruction, kl, reconstruction - kl, share, *norms])


def beta_at(images_seen: int, *, beta: float, warmup_images: int) -> float:
    """The weight of the KL at this clock: evenly from 0 up to `beta`.

    >>> beta_at(250, beta=2.0, warmup_images=1_000), beta_at(5_000, beta=2.0, warmup_images=1_000)
    (0.5, 2.0)
    """
    return beta * min(1.0, images_seen / warmup_images) if warmup_images else beta
