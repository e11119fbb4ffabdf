"""A generator that is ready to make images; the image of a latent always has the same bytes."""

import copy
from collections.abc import Iterator
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
    ) -> None:
        self.device = torch.device(device)
        self.network = None if network is None else network.to(self.device).eval().requires_grad_(False)
        self.encoder = None if encoder is None else encoder.to(self.device).eval().requires_grad_(False)
        self.config = config
        self.latent_size: int = config["latent_size"]
        self.resolution: int = config["resolution"]
        self.channels: int = config["channels"]
        self.images_seen: int = config.get("images_seen", 0)
        self.digest = digest
        self.source = source
        self.truncation = 1.0

    def truncated(self, scale: float) -> "LoadedGenerator":
        """The same generator, whose samples are scaled: ψ of Karras et al. 2019, where the mean latent is 0."""
        other = copy.copy(self)
        other.truncation = scale
        return other

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """Standard normal latents [n, z] float32 times `truncation`; latent k does not depend on `n` or `start`."""
        latents = sample_latents(n, self.latent_size, seed=seed, start=start)
        return latents if self.truncation == 1.0 else latents * np.float32(self.truncation)

    @torch.no_grad()
    def images(self, latents: np.ndarray | Tensor) -> np.ndarray:
        """The images of latents.

        Args:
            latents: [n, latent_size] floats, array or tensor.

        Returns:
            [n, resolution, resolution, channels] uint8.

        Raises:
            LatentsError: The latents have another shape, or values that are not finite.
        """
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

    def _filling(self) -> Tensor:
        """Latents [32, z] that fill up an incomplete block, on the network's device and in its type."""
        assert self.network is not None
        dtype = next(self.network.parameters()).dtype
        return torch.zeros(BLOCK_IMAGES, self.latent_size, dtype=dtype, device=self.device)

    def _pixels(self, block: Tensor) -> Tensor:
        """Latents [32, z] -> [32, h, w, c] uint8, on the network's device."""
        assert self.network is not None
        return to_bytes(self.network(block))
