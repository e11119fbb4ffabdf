"""A generator that is ready to make images; the image of a latent always has the same bytes."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.errors import LatentsError
from framework.images import to_bytes, to_model_range
from framework.models import sample_latents
from framework.models.architectures.autoencoder import Decoder
from framework.models.arithmetic.blocks import BLOCK_IMAGES, blocks_of, on_device
from framework.models.arithmetic.exact import exact
from framework.models.condition import Condition, condition_seed
from framework.models.condition_label import Value

_KEPT_BLOCKS = 8  # blocks that stay on the device as bytes until they are copied: 13 MB at 128 px, 0.8 GB at 1,024


class LoadedGenerator:
    """A loaded generator. `images` gives the same bytes for a latent, whatever other latents are in the batch.

    Args:
        network: Latents [n, z] -> images [n, c, h, w] in [-1, 1]; None for an object of the user without a network.
        encoder: For an autoencoder or VAE: images [n, c, h, w] in [-1, 1] -> [n, at least z]; the first z are codes.
        config: `latent_size`, `resolution`, `channels`; for a checkpoint all of `generator/config.json`.
        digest: sha256 of the weights.
        source: The folder from which it was loaded.
        device: The device on which it computes.
        condition: The labels that it is conditional on; None without any.

    Attributes:
        latent_size: Numbers of a latent: those of z, then those of the code of its condition.
        normal_size: Numbers of z, which are standard normal.
    """

    def __init__(
        self,
        network: nn.Module | None,
        *,
        config: dict[str, Any],
        digest: str,
        source: str,
        device: str | torch.device,
        encoder: nn.Module | None = None,
        condition: Condition | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network = None if network is None else network.to(self.device).eval().requires_grad_(False)
        self.encoder = None if encoder is None else encoder.to(self.device).eval().requires_grad_(False)
        self.config = config
        self.condition = condition
        self.normal_size: int = config["latent_size"]
        self.latent_size = self.normal_size + (0 if condition is None else condition.size)
        self.resolution: int = config["resolution"]
        self.channels: int = config["channels"]
        self.images_seen: int = config.get("images_seen", 0)
        self.digest = digest
        self.source = source
        self.truncation = 1.0
        self.fixed: Mapping[str, Value] = {}

    def truncated(self, scale: float) -> "LoadedGenerator":
        """The same generator, whose samples are scaled: ψ of Karras et al. 2019, where the mean latent is 0."""
        other = copy.copy(self)
        other.truncation = scale
        return other

    def conditioned(self, condition: Mapping[str, Value]) -> "LoadedGenerator":
        """The same generator, all of whose samples have these values of these labels.

        Raises:
            LatentsError: It knows no such label, or the label no such value.
        """
        if condition:
            self._known_condition().encode(condition, 1)
        other = copy.copy(self)
        other.fixed = dict(condition)
        return other

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """Latents [n, latent_size] float32; latent k does not depend on `n` or `start`.

        z is standard normal times `truncation`. The condition behind it is that of a random training image, or the one
        of `conditioned`.
        """
        latents = sample_latents(n, self.normal_size, seed=seed, start=start)
        latents = latents if self.truncation == 1.0 else latents * np.float32(self.truncation)
        if self.condition is None:
            return latents
        codes = self.condition.draw(n, seed=condition_seed(seed), start=start, fixed=self.fixed)
        return np.concatenate([latents, codes], axis=1)

    def latents_with(self, latents: np.ndarray, condition: Mapping[str, Value | Sequence[Value]]) -> np.ndarray:
        """Latents [n, latent_size] with a condition: of z [n, normal_size] alone, or with other values of these labels.

        Args:
            latents: z alone, whose labels that the condition does not name are unknown; or whole latents, whose other
                labels stay.
            condition: Label -> the name of a class, 0 or 1, or a number; None: unknown; or a list of one per latent.

        Raises:
            LatentsError: The latents have another shape, or the condition does not fit.
        """
        known, latents = self._known_condition(), np.asarray(latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] not in (self.normal_size, self.latent_size):
            allowed = f"[n, {self.normal_size}] or [n, {self.latent_size}]"
            raise LatentsError(f"latents: must have the shape {allowed}, not {list(latents.shape)}")
        normal, codes = np.split(latents, [self.normal_size], axis=1)
        codes = known.changed(codes, condition) if codes.size else known.encode(condition, len(latents))
        return np.concatenate([normal, codes], axis=1)

    @torch.no_grad()
    def images(
        self, latents: np.ndarray | Tensor, condition: Mapping[str, Value | Sequence[Value]] | None = None
    ) -> np.ndarray:
        """The images of latents.

        Args:
            latents: [n, latent_size] floats, array or tensor.
            condition: For a conditional generator, a condition for these latents, as `latents_with` takes it.

        Returns:
            [n, resolution, resolution, channels] uint8.

        Raises:
            LatentsError: The latents have another shape, or values that are not finite, or the condition does not fit.
        """
        if condition is not None:
            latents = self.latents_with(torch.as_tensor(latents).cpu().numpy(), condition)
        tensor = torch.as_tensor(latents)
        if tensor.ndim != 2 or tensor.shape[1] != self.latent_size:
            raise LatentsError(f"latents: must have the shape [n, {self.latent_size}], not {list(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise LatentsError("latents: must be finite numbers")
        result = np.empty((len(tensor), self.resolution, self.resolution, self.channels), np.uint8)
        filling, many = self._filling(), _KEPT_BLOCKS * BLOCK_IMAGES
        for start in range(0, len(tensor), many):
            blocks = on_device(tensor[start : start + many].to(filling.dtype), filling.device).split(BLOCK_IMAGES)
            with exact():
                pixels = [self._pixels(torch.cat([block, filling[len(block) :]]))[: len(block)] for block in blocks]
            result[start : start + many] = torch.cat(pixels).cpu().numpy()
        return result

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """The latents to which the encoder maps images; for a VAE, the means of the posteriors.

        Args:
            images: [n, resolution, resolution, channels] uint8.

        Returns:
            [n, latent_size] float32; an image's latent has the same bytes, whatever other images are in the batch.

        Raises:
            LatentsError: There is no encoder, or the images have another shape.
        """
        latents = [torch.empty(0, self.latent_size, device=self.device)]
        for part, numbers in self.encoded(images):
            assert isinstance(self.network, Decoder)
            with exact():
                codes = self.network.latents_of(numbers[:, : self.latent_size])
            latents.append(codes[: part.stop - part.start].float())
        return torch.cat(latents).cpu().numpy()

    @torch.no_grad()
    def encoded(self, images: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """The encoder's outputs in blocks of 32 images: the block's position in `images`, and [32, at least z].

        Raises:
            LatentsError: There is no encoder, or the images have another shape.
        """
        if self.encoder is None:
            raise LatentsError(f"{self.source}: has no encoder; autoencoders and VAEs (model.family) have one")
        shape = [self.resolution, self.resolution, self.channels]
        if images.dtype != np.uint8 or [*images.shape[1:]] != shape:
            allowed = ", ".join(map(str, shape))
            raise LatentsError(f"images: must be uint8 [n, {allowed}], not {images.dtype} {list(images.shape)}")
        for part, block in blocks_of(images):
            with exact():
                numbers = self.encoder(to_model_range(on_device(block, self.device)))
            yield part, numbers

    def _known_condition(self) -> Condition:
        if self.condition is None:
            raise LatentsError("condition: this generator has none; train one with model.condition")
        return self.condition

    def _filling(self) -> Tensor:
        """Latents [32, z] that fill up an incomplete block, on the network's device and in its type."""
        assert self.network is not None
        dtype = next(self.network.parameters()).dtype
        return torch.zeros(BLOCK_IMAGES, self.latent_size, dtype=dtype, device=self.device)

    def _pixels(self, block: Tensor) -> Tensor:
        """Latents [32, z] -> [32, h, w, c] uint8, on the network's device."""
        assert self.network is not None
        return to_bytes(self.network(block))
