"""The assessor: a small CNN that predicts the labels of images, and whose features are used for scores."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from framework.errors import CheckpointError, LatentsError
from framework.files import MOST_DOCUMENT_BYTES, read_file
from framework.images import to_model_range
from framework.models.arithmetic.blocks import blocks_of, on_device
from framework.models.arithmetic.exact import exact
from framework.models.assessor.network import AssessorNetwork

WEIGHTS, DESCRIPTION = "assessor.safetensors", "assessor.json"


@dataclass(frozen=True)
class AttributeSpec:
    """One label that an assessor predicts.

    Attributes:
        name: The label's name in the data.
        classes: Names of its classes, or None for a binary label.
    """

    name: str
    classes: list[str] | None = None

    @property
    def outputs(self) -> int:
        """Number of logits of the label."""
        return 1 if self.classes is None else len(self.classes)


class Assessor:
    """A trained assessor. Its predictions for an image do not depend on the other images of the call.

    Args:
        network: The network after `AssessorNetwork.fold`, that is, without batch norm.
        attributes: The labels, in the order of the logits.
        resolution: Width and height of its input images.
        channels: Channels of its input images.
        width: Channels of the first layer.
        accuracy: Label -> {"metric": "auroc" or "accuracy", "value", "n"}, on held-out images.
        device: The device that computes predictions.
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

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Label -> float32 probabilities for images [n,h,w,c] uint8: [n] for a binary label, else [n, classes]."""
        columns = np.split(
            self._compute(images)[0].cpu().numpy(), np.cumsum([a.outputs for a in self.attributes])[:-1], axis=1
        )
        return {
            a.name: np.ascontiguousarray(part[:, 0] if a.classes is None else part)
            for a, part in zip(self.attributes, columns, strict=True)
        }

    @torch.inference_mode()
    def features(self, images: np.ndarray) -> np.ndarray:
        """Features [n, feature_size] float32 of images [n,h,w,c] uint8."""
        return self.features_there(images).cpu().numpy()

    @torch.inference_mode()
    def features_there(self, images: np.ndarray) -> Tensor:
        """The same as `features`, left on the assessor's device."""
        return self._compute(images)[1]

    def score_of(self, images: np.ndarray, attribute: str, at: str = "high") -> np.ndarray:
        """Probability, float32 [n], that images [n,h,w,c] uint8 have the value `at` of a label.

        Args:
            at: "high" or "low" for a binary label, else the name of a class.

        Raises:
            LatentsError: The label or the value is unknown.
        """
        spec = self.attribute(attribute)
        allowed = spec.classes or ["high", "low"]
        if at not in allowed:
            raise LatentsError(f"{attribute}: must be one of {', '.join(allowed)}, not {at!r}")
        probability = self.predict(images)[attribute]
        if spec.classes is not None:
            return np.ascontiguousarray(probability[:, spec.classes.index(at)])
        return probability if at == "high" else 1.0 - probability

    def recognises(self, images: np.ndarray, attribute: str, value: str) -> np.ndarray:
        """Whether a value of a label is the likelier one, or of a label with classes the likeliest: bool [n].

        Args:
            images: [n,h,w,c] uint8.
            value: The name of a class; "0" or "1" for a binary label.

        Raises:
            LatentsError: The label is unknown.
        """
        spec = self.attribute(attribute)
        probability = self.predict(images)[attribute]
        if spec.classes is None:
            return (probability >= 0.5) == (value == "1")
        return probability.argmax(axis=1) == spec.classes.index(value)

    def attribute(self, name: str) -> AttributeSpec:
        """The label with this name.

        Raises:
            LatentsError: The assessor does not know the label.
        """
        for spec in self.attributes:
            if spec.name == name:
                return spec
        known = ", ".join(a.name for a in self.attributes)
        raise LatentsError(f"the assessor does not know the label {name!r}; known: {known}")

    def save(self, folder: Path) -> None:
        """Writes weights and description into a folder, which is created if necessary."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {"digest": self.digest, **self._shape(), "accuracy": self.accuracy}
        (folder / WEIGHTS).write_bytes(safetensors.torch.save(self._tensors()))
        (folder / DESCRIPTION).write_text(json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "Assessor":
        """Reads an assessor written by `save`.

        Raises:
            CheckpointError: A file is missing, damaged or was changed.
        """
        try:
            document = json.loads(read_file(folder / DESCRIPTION, most_bytes=MOST_DOCUMENT_BYTES))
            tensors = safetensors.torch.load(read_file(folder / WEIGHTS))
            attributes = [AttributeSpec(**a) for a in document["attributes"]]
            size = {name: document[name] for name in ("resolution", "channels", "width")}
            network = AssessorNetwork(outputs=sum(a.outputs for a in attributes), **size)
            network.load_state_dict(tensors)
            assessor = cls(network, attributes=attributes, **size, accuracy=document["accuracy"], device=device)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            raise CheckpointError(f"{folder}: cannot be read as an assessor ({error})") from error
        if assessor.digest != document["digest"]:
            raise CheckpointError(f"{folder}: the assessor's weights were changed; delete the folder")
        return assessor

    def _compute(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Probabilities [n, outputs] and features [n, feature_size] of images [n,h,w,c] uint8.

        They are computed in blocks of one size, and returned on the device without waiting for it.
        """
        expected = (self.resolution, self.resolution, self.channels)
        if images.dtype != np.uint8 or images.shape[1:] != expected:
            raise ValueError(f"the assessor needs uint8 [n, {expected}], not {images.dtype} {images.shape}")
        probabilities = [torch.empty(0, self.network.head.out_features, device=self.device)]
        features = [torch.empty(0, self.feature_size, device=self.device)]
        with exact():
            for part, block in blocks_of(images):
                logits, block_features = self.network(to_model_range(on_device(block, self.device)))
                probabilities.append(self._probabilities(logits)[: part.stop - part.start])
                features.append(block_features[: part.stop - part.start])
            return torch.cat(probabilities), torch.cat(features)

    def _probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities [n, outputs] of logits [n, outputs]: sigmoid or softmax, by label."""
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


def _digest(tensors: dict[str, Tensor], shape: dict[str, Any]) -> str:
    """sha256 of the weights, the labels and the sizes."""
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()
