"""The assessor: a small CNN that tells labels from pictures, and whose features serve as a score's."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor, nn

from framework.errors import CheckpointError, LatentsError
from framework.images import to_model_range

# A network's rounding depends on how many go through it at a time: always so many, so that it never shows.
BLOCK_IMAGES = 32
# Larger images are made this small first: it keeps the cost, and faces are told apart at 32 pixels already.
LARGEST_SIDE = 64
WEIGHTS, DESCRIPTION = "assessor.safetensors", "assessor.json"


@dataclass(frozen=True)
class AttributeSpec:
    """One label that an assessor tells.

    Attributes:
        name: The label's name.
        classes: Names of its classes, or None for a binary label.
    """

    name: str
    classes: list[str] | None = None

    @property
    def outputs(self) -> int:
        """How many logits it takes."""
        return 1 if self.classes is None else len(self.classes)


class AssessorNetwork(nn.Module):
    """Four convolutions of growing width; logits from the last, features from all.

    A feature is a channel's mean over the picture, standardised by the training images: the early layers see blur,
    noise and colour, the late ones what makes a face.

    Args:
        outputs: Logits of all labels together.
        resolution: Side of the images it takes; those over 64 pixels are made smaller first, antialiased.
        channels: Channels of the images.
        width: Channels of the first layer; the others have 2, 3 and 4 times as many.
        normalised: With batch norm, as it is trained; `folded` gives the same network without.
    """

    def __init__(self, *, outputs: int, resolution: int, channels: int, width: int, normalised: bool = False) -> None:
        super().__init__()
        self.side = min(resolution, LARGEST_SIDE)
        strides = (1 if self.side <= 32 else 2, 2, 2, 2)
        widths = (channels, width, 2 * width, 3 * width, 4 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, 1) for before, after, stride in zip(widths, widths[1:], strides)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) if normalised else nn.Identity() for w in widths[1:])
        cells = (self.side // strides[0] // 8) ** 2
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(widths[-1] * cells, outputs)
        self.feature_size = sum(widths[1:])
        self.register_buffer("feature_mean", torch.zeros(self.feature_size))
        self.register_buffer("feature_scale", torch.ones(self.feature_size))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images [n,c,h,w] in [-1,1] -> logits [n, outputs], features [n, feature_size]."""
        x = images
        if x.shape[-1] != self.side:
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        pooled = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
            pooled.append(x.mean(dim=(2, 3)))
        logits = self.head(self.dropout(x.flatten(1)))
        return logits, (torch.cat(pooled, dim=1) - self.feature_mean) / self.feature_scale

    def standardise(self, features: np.ndarray) -> None:
        """Take features [n, feature_size] as it now gives them for mean 0 and deviation 1."""
        scale = features.std(axis=0)
        # A channel that hardly ever answers must not drown all others where it does.
        scale = np.maximum(scale, 0.1 * np.median(scale))
        self.feature_mean += self.feature_scale * torch.from_numpy(features.mean(axis=0))
        self.feature_scale *= torch.from_numpy(scale)

    def fold(self) -> None:
        """Take each batch norm into the convolution before it: the same function, quicker."""
        for k, norm in enumerate(self.norms):
            if isinstance(norm, nn.BatchNorm2d):
                self.convolutions[k] = nn.utils.fuse_conv_bn_eval(self.convolutions[k].eval(), norm.eval())
                self.norms[k] = nn.Identity()


class Assessor:
    """A trained assessor. What it says of an image does not depend on what other images are asked with it.

    Args:
        network: Its network, without batch norm.
        attributes: Its labels, in the order of the logits.
        resolution: Side of the images it takes.
        channels: Channels of the images it takes.
        width: Channels of its first layer.
        accuracy: Label -> {"metric": "auroc" or "accuracy", "value", "n"}, on held-out images.
        device: Where it computes.
    """

    def __init__(
        self,
        network: AssessorNetwork,
        *,
        attributes: list[AttributeSpec],
        resolution: int,
        channels: int,
        width: int,
        accuracy: dict[str, dict[str, Any]],
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval().requires_grad_(False)  # pyright: ignore[reportCallIssue]
        self.attributes = attributes
        self.resolution = resolution
        self.channels = channels
        self.width = width
        self.accuracy = accuracy
        self.feature_size = network.feature_size
        self.digest = _digest(self._tensors(), self._shape())

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Images [n,h,w,c] uint8 -> label -> float32 probabilities, [n] for a binary label, else [n, classes]."""
        columns = np.split(self._compute(images)[0], np.cumsum([a.outputs for a in self.attributes])[:-1], axis=1)
        return {
            a.name: np.ascontiguousarray(part[:, 0] if a.classes is None else part)
            for a, part in zip(self.attributes, columns, strict=True)
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Images [n,h,w,c] uint8 -> features [n, feature_size] float32."""
        return self._compute(images)[1]

    def score_of(self, images: np.ndarray, attribute: str, at: str = "high") -> np.ndarray:
        """How sure it is that each of images [n,h,w,c] uint8 is `attribute` at `at`: float32 [n] in [0,1].

        Args:
            images: The images.
            attribute: A label's name.
            at: "high" or "low" for a binary label, the name of a class for another.

        Raises:
            LatentsError: For a label or a value that it does not know.
        """
        spec = self.attribute(attribute)
        allowed = spec.classes or ["high", "low"]
        if at not in allowed:
            raise LatentsError(f"{attribute}: {at!r} is none of its values, which are {', '.join(allowed)}")
        probability = self.predict(images)[attribute]
        if spec.classes is not None:
            return np.ascontiguousarray(probability[:, spec.classes.index(at)])
        return probability if at == "high" else 1.0 - probability

    def attribute(self, name: str) -> AttributeSpec:
        """The label of that name; LatentsError where it knows none."""
        for spec in self.attributes:
            if spec.name == name:
                return spec
        known = ", ".join(a.name for a in self.attributes)
        raise LatentsError(f"{name!r} is no label that the assessor knows; it knows {known}")

    def save(self, folder: Path) -> None:
        """Write weights and description into a folder, made where it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {"digest": self.digest, **self._shape(), "accuracy": self.accuracy}
        (folder / WEIGHTS).write_bytes(safetensors.torch.save(self._tensors()))
        (folder / DESCRIPTION).write_text(json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "Assessor":
        """Read what `save` wrote.

        Raises:
            CheckpointError: Where a file is missing or is not what was written.
        """
        try:
            document = json.loads((folder / DESCRIPTION).read_text())
            tensors = safetensors.torch.load((folder / WEIGHTS).read_bytes())
            attributes = [AttributeSpec(**a) for a in document["attributes"]]
            size = {name: document[name] for name in ("resolution", "channels", "width")}
            network = AssessorNetwork(outputs=sum(a.outputs for a in attributes), **size)
            network.load_state_dict(tensors)
            assessor = cls(network, attributes=attributes, **size, accuracy=document["accuracy"], device=device)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{folder}: holds no assessor that can be read ({error})") from error
        if assessor.digest != document["digest"]:
            raise CheckpointError(
                f"{folder}: the assessor's weights are not those that were written; delete the folder"
            )
        return assessor

    def _compute(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images [n,h,w,c] uint8 -> probabilities [n, outputs], features [n, feature_size], in blocks of one size."""
        wanted = (self.resolution, self.resolution, self.channels)
        if images.dtype != np.uint8 or images.shape[1:] != wanted:
            raise ValueError(f"the assessor takes uint8 [n, {wanted}], not {images.dtype} {images.shape}")
        probabilities = np.empty((len(images), self.network.head.out_features), np.float32)
        features = np.empty((len(images), self.feature_size), np.float32)
        with torch.inference_mode():
            for part, block in _blocks(images):
                logits, of_block = self.network(to_model_range(torch.from_numpy(block).to(self.device)))
                probabilities[part] = self._probabilities(logits)[: part.stop - part.start].cpu().numpy()
                features[part] = of_block[: part.stop - part.start].cpu().numpy()
        return probabilities, features

    def _probabilities(self, logits: Tensor) -> Tensor:
        """Logits [n, outputs] -> probabilities [n, outputs], label by label."""
        columns = torch.split(logits, [a.outputs for a in self.attributes], dim=1)
        kinds = zip(self.attributes, columns, strict=True)
        return torch.cat([part.sigmoid() if a.classes is None else part.softmax(dim=1) for a, part in kinds], dim=1)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}

    def _shape(self) -> dict[str, Any]:
        attributes = [asdict(a) for a in self.attributes]
        return {
            "attributes": attributes,
            "resolution": self.resolution,
            "channels": self.channels,
            "width": self.width,
        }


def _blocks(images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Where each block belongs, and its images [32,h,w,c]; the last block is filled up with black."""
    for start in range(0, len(images), BLOCK_IMAGES):
        block = np.ascontiguousarray(images[start : start + BLOCK_IMAGES])
        part = slice(start, start + len(block))
        if len(block) < BLOCK_IMAGES:
            block = np.concatenate([block, np.zeros((BLOCK_IMAGES - len(block), *block.shape[1:]), np.uint8)])
        yield part, block


def _digest(tensors: dict[str, Tensor], shape: dict[str, Any]) -> str:
    """sha256 over what it computes with: the weights, and what their numbers mean."""
    found = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].numpy().tobytes())
    return found.hexdigest()
