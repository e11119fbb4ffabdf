"""What every opened generator can do, whoever made it: pictures of latents, the same bytes for the same latent."""

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

_KEPT_BLOCKS = 8  # that a device holds as bytes before they are fetched: 13 MB at 128 pixels, 0.8 GB at 1,024


class LoadedGenerator:
    """A generator at hand. `images` gives the same bytes for a latent, whatever else is asked with it.

    Args:
        network: Latents [n, z] -> images [n, c, h, w] in [-1, 1]; None where there is only a function of somebody's.
        encoder: Of an autoencoder or VAE, images [n, c, h, w] in [-1, 1] -> [n, at least z], the first z its codes.
        config: `latent_size`, `resolution`, `channels`; for a checkpoint all of `generator/config.json`.
        digest: sha256 of its weights.
        source: The folder it was read from.
        device: Where it computes.
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

    def sample_latents(self, n: int, seed: int, *, start: int = 0) -> np.ndarray:
        """[n, z] float32, standard normal; latent k of a seed is the same however many are asked for."""
        return sample_latents(n, self.latent_size, seed=seed, start=start)

    @torch.no_grad()
    def images(self, latents: np.ndarray | Tensor) -> np.ndarray:
        """Pictures of latents.

        Args:
            latents: [n, latent_size] floats, array or tensor.

        Returns:
            [n, resolution, resolution, channels] uint8.

        Raises:
            LatentsError: Another shape, or values that are not finite.
        """
        given = torch.as_tensor(latents)
        if given.ndim != 2 or given.shape[1] != self.latent_size:
            raise LatentsError(f"latents: want the shape [n, {self.latent_size}], not {list(given.shape)}")
        if not bool(torch.isfinite(given).all()):
            raise LatentsError("latents: want finite numbers")
        result = np.empty((len(given), self.resolution, self.resolution, self.channels), np.uint8)
        filling, many = self._filling(), _KEPT_BLOCKS * BLOCK_IMAGES
        for start in range(0, len(given), many):
            wanted = on_device(given[start : start + many].to(filling.dtype), filling.device).split(BLOCK_IMAGES)
            with exact():
                made = [self._pixels(torch.cat([part, filling[len(part) :]]))[: len(part)] for part in wanted]
            result[start : start + many] = torch.cat(made).cpu().numpy()
        return result

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """The latents of images, those that `images` would show most like them: of a VAE the posterior's mean.

        Args:
            images: [n, resolution, resolution, channels] uint8.

        Returns:
            [n, latent_size] float32; an image's are the same bytes whatever others are asked with it.

        Raises:
            LatentsError: There is no encoder, or the images are of another shape.
        """
        found = [torch.empty(0, self.latent_size, device=self.device)]
        for part, numbers in self.encoded(images):
            assert isinstance(self.network, Decoder)
            with exact():
                codes = self.network.latents_of(numbers[:, : self.latent_size])
            found.append(codes[: part.stop - part.start].float())
        return torch.cat(found).cpu().numpy()

    @torch.no_grad()
    def encoded(self, images: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """What the encoder says of images, a block of 32 at a time: where in `images` it belongs, and [32, at least z].

        Raises:
            LatentsError: See `encode`.
        """
        if self.encoder is None:
            raise LatentsError(f"{self.source}: has no encoder; autoencoders and VAEs (model.family) have one")
        wanted = [self.resolution, self.resolution, self.channels]
        if images.dtype != np.uint8 or [*images.shape[1:]] != wanted:
            told = ", ".join(map(str, wanted))
            raise LatentsError(f"images: want uint8 [n, {told}], not {images.dtype} {list(images.shape)}")
        for part, block in blocks_of(images):
            with exact():
                numbers = self.encoder(to_model_range(on_device(block, self.device)))
            yield part, numbers

    def _filling(self) -> Tensor:
        """[32, z], on the device and in the type that it computes with: what fills up a block that is not full."""
        assert self.network is not None
        dtype = next(self.network.parameters()).dtype
        return torch.zeros(BLOCK_IMAGES, self.latent_size, dtype=dtype, device=self.device)

    def _pixels(self, block: Tensor) -> Tensor:
        """Latents [32, z] -> [32, h, w, c] uint8, where they were computed."""
        assert self.network is not None
        return to_bytes(self.network(block))
