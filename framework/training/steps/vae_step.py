"""The training steps of autoencoders and VAEs.

Encoder and decoder have one Adam optimizer each, both with `optimizer.generator_lr`. Values in nats are summed over the
pixels of an image and averaged over the batch. The reported ELBO is reconstruction - KL, independent of the weight beta
that the loss gives to the KL.
"""

from collections.abc import Callable
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
from framework.models.architectures.autoencoder import Decoder, Encoder, FittedDecoder
from framework.models.architectures.vae import Posterior
from framework.models.likelihood import build_likelihood
from framework.training.adam import adam
from framework.training.state import State
from framework.training.steps.base_step import Step, joined
from framework.training.steps.draws import Numbers, StepRandom
from framework.training.workers import Shard

FITTED_IMAGES = 2_048
"""Number of training images, evenly spread over the data, to whose codes an autoencoder's Gaussian is fitted."""
_CHUNK_IMAGES = 32


@dataclass(kw_only=True)
class VaeState(State):
    """The state of a VAE: a decoder, which is the generator, and an encoder, both with a moving average."""

    encoder: Encoder
    encoder_ema: Ema
    encoder_optimizer: Optimizer

    @classmethod
    def companion_fields(cls, companion: nn.Module, experiment: Experiment) -> dict[str, Any]:
        """The fields of the encoder."""
        return {
            "encoder": companion,
            "encoder_ema": Ema(companion, half_life_images=experiment.training.ema_half_life_images),
            "encoder_optimizer": adam(companion, experiment.optimizer, lr=experiment.optimizer.generator_lr),
        }

    def companion(self) -> tuple[str, nn.Module, Optimizer]:
        """The name, the network and the optimizer of the encoder."""
        return "encoder", self.encoder, self.encoder_optimizer

    def ema_networks(self) -> dict[str, Ema]:
        """The moving averages of decoder and encoder."""
        return super().ema_networks() | {"encoder_ema": self.encoder_ema}


@dataclass(kw_only=True)
class AutoencoderState(VaeState):
    """The state of an autoencoder, which fits a Gaussian to the averaged encoder's codes before sampling or saving."""

    settled_at: int = -1

    @torch.no_grad()
    def prepare_for_sampling(self, images: PackedStore) -> None:
        """Fits the Gaussian that maps latents to codes, at most once per number of images seen."""
        if self.settled_at == self.images_seen:
            return
        indices = images.training_indices
        chosen = indices[np.linspace(0, len(indices) - 1, min(FITTED_IMAGES, len(indices))).round().astype(np.int64)]
        like = next(self.encoder.parameters())  # provides device and dtype
        codes = [
            self.encoder_ema.network(from_pixels(images.images[part]).to(like))
            for part in np.split(chosen, range(_CHUNK_IMAGES, len(chosen), _CHUNK_IMAGES))
        ]
        decoder = self.ema.network
        assert isinstance(decoder, FittedDecoder)
        decoder.fit(torch.cat(codes))
        self.settled_at = self.images_seen


class _ReconstructionStep(Step[VaeState]):
    """A step that encodes and decodes a batch, and updates both networks."""

    NAN_HINT = "lower optimizer.generator_lr"

    def _prepare(self, experiment: Experiment) -> None:
        state = self._state
        assert isinstance(state.generator, Decoder)
        self._likelihood = build_likelihood(experiment.objective)
        self._encoder = self._workers.wrapped(state.encoder)
        # The decoder's forward maps latents to images. Training uses only its body, which maps codes to logits.
        self._body = self._workers.wrapped(state.generator.body)
        self._shard = self._workers.shard(self._batch)

    def _encoded(self, images: Tensor) -> Tensor:
        with self._precision.autocast():
            numbers = self._encoder(images)
        return numbers.to(self._precision.dtype)

    def _nats(self, images: Tensor, codes: Tensor) -> Tensor:
        """Log-likelihood [n] of images given their codes, in nats."""
        with self._precision.autocast():
            logits = self._body(codes)
        return self._likelihood(images, logits.to(self._precision.dtype))

    def _descend(self, losses_of: Callable[[Shard], Tensor]) -> list[Tensor]:
        """Updates both networks by the losses of images; returns this worker's share of the norms of the gradients."""
        state = self._state
        norms = self._update(
            lambda part: self._workers.mean_loss(losses_of(part), part),
            self._shard,
            *(state.generator_optimizer, state.encoder_optimizer),
            through=[self._body, self._encoder],
        )
        return [norm.detach().double() / self._workers.world_size for norm in norms]

    def _share(self, nats: list[Tensor]) -> Tensor:
        """This worker's share of the batch's mean, from the values of each pass."""
        return joined(nats).double().sum() / self._shard.total

    def _dry_step(self) -> None:
        state = self._state
        shape = (1, state.channels, state.resolution, state.resolution)
        images = torch.zeros(shape, device=self._workers.device, dtype=self._precision.dtype)
        numbers = self._encoded(images)
        (self._nats(images, numbers[:, : state.generator.latent_size]) + numbers.sum()).sum().backward()


class AutoencoderStep(_ReconstructionStep):
    """The step of an autoencoder, which maximises the likelihood of an image given its code."""

    METRIC_NAMES = ("reconstruction_nats", "generator_gradient_norm", "encoder_gradient_norm")

    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor:  # noqa: ARG002  nothing is drawn
        all_nats = []

        def losses_of(part: Shard) -> Tensor:
            images = self._shard.of(real, part)
            nats = self._nats(images, self._encoded(images))
            all_nats.append(nats.detach())
            return -nats

        norms = self._descend(losses_of)
        return torch.stack([self._share(all_nats), *norms])


class VaeStep(_ReconstructionStep):
    """The step of a VAE, which draws codes from the posterior and maximises the ELBO, with the KL weighted by beta."""

    METRIC_NAMES = (
        *("reconstruction_nats", "kl_nats", "elbo_nats", "beta"),
        *("generator_gradient_norm", "encoder_gradient_norm"),
    )

    def _prepare(self, experiment: Experiment) -> None:
        super()._prepare(experiment)
        self._beta, self._warmup = experiment.objective.beta, experiment.objective.beta_warmup_images
        self._draws = StepRandom(
            seed=experiment.seed,
            latent_size=experiment.model.latent_size,
            features=0,
            dropout=0.0,
            dtype=self._precision.dtype,
        )

    def draw(self, step: int) -> Numbers:
        """The random numbers for drawing codes from the posteriors."""
        return self._draws.of_step(step, {"posterior": self._shard}, latents=["posterior"])

    def _move(self, real: Tensor, *, step: int, numbers: Numbers) -> Tensor:  # noqa: ARG002  the numbers are already drawn
        beta = beta_at(self._state.images_seen, beta=self._beta, warmup_images=self._warmup)
        on_nats, on_divergence = [], []

        def losses_of(part: Shard) -> Tensor:
            images = self._shard.of(real, part)
            posterior = Posterior.of(self._encoded(images))
            nats = self._nats(images, posterior.at(numbers.latents("posterior", part)))
            divergence = posterior.divergence()
            on_nats.append(nats.detach())
            on_divergence.append(divergence.detach())
            return beta * divergence - nats

        norms = self._descend(losses_of)
        reconstruction, kl = self._share(on_nats), self._share(on_divergence)
        share = torch.full_like(kl, beta / self._workers.world_size)
        return torch.stack([reconstruction, kl, reconstruction - kl, share, *norms])


def beta_at(images_seen: int, *, beta: float, warmup_images: int) -> float:
    """The weight of the KL: it grows linearly from 0 to `beta` during the warm-up.

    >>> beta_at(250, beta=2.0, warmup_images=1_000), beta_at(5_000, beta=2.0, warmup_images=1_000)
    (0.5, 2.0)
    """
    return beta * min(1.0, images_seen / warmup_images) if warmup_images else beta
