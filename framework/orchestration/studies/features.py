"""The features that studies compare images by, besides pixels: an assessor's, Inception's or EfficientNet's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

from framework.config import Experiment
from framework.errors import LatentsError
from framework.evaluation.features.extractor import NAMES
from framework.evaluation.features.inception import Inception
from framework.evaluation.features.resizing import resize_like_tensorflow
from framework.evaluation.features.weights import (
    efficientnet_file,
    find_weights,
    how_to_get_weights,
    read_efficientnet,
    read_weights,
)
from framework.latents.networks import Features
from framework.models.assessor.assessor import Assessor
from framework.models.pretrained.efficientnet import EfficientNetLite

_INCEPTION_TAP = 192
# Half of the side that EfficientNet is trained for, and a tap in its middle: a tenth of the time of the whole network.
_SIDE, _TAP = 130, 120


@dataclass(frozen=True)
class StudyFeatures:
    """Specifies features of studies; small and picklable.

    Attributes:
        kind: The network that computes them; None for pixels alone.
        file: The network's weights; None for an assessor, which a study has anyway, and for pixels.
    """

    kind: Literal["inception", "efficientnet", "assessor"] | None
    file: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The file of weights, if there is one."""
        return () if self.file is None else (self.file,)

    def build(self, open_assessor: Callable[[], Assessor], device: torch.device) -> Features | None:
        """The network, differentiable; None for pixels alone.

        Args:
            open_assessor: Loads the assessor.
        """
        if self.kind is None:
            return None
        if self.kind == "assessor":
            assessor = open_assessor()
            return lambda images: assessor.network(images)[1]
        assert self.file is not None
        if self.kind == "inception":
            inception = Inception(read_weights(self.file)[0], tap=_INCEPTION_TAP, device=device)
            return lambda images: inception.differentiable(
                resize_like_tensorflow(_levels(images)).expand(-1, -1, -1, 3)
            )
        network = EfficientNetLite(read_efficientnet(self.file), tap=_TAP, device=device)
        return lambda images: network.differentiable(_levels(_resized(images)).expand(-1, -1, -1, 3))


def walk_features(*, assessed: bool) -> StudyFeatures:
    """The features in which walks are measured: the measurer's, or EfficientNet's without assessors."""
    return StudyFeatures("assessor") if assessed else _efficientnet()


def walk_unit(features: StudyFeatures) -> str:
    """What lengths are measured in, as `interpolation.json` names it."""
    return "measurer" if features.kind == "assessor" else _about_efficientnet()


def projection_features(experiment: Experiment, *, assessed: bool) -> tuple[str, StudyFeatures]:
    """The features that `latents.projection.features` selects, in words and as a specification.

    Raises:
        LatentsError: The selected features are not available.
    """
    choice = experiment.latents.projection.features
    if choice == "inception":
        weights = find_weights(experiment.evaluation.weights)
        if weights is None:
            raise LatentsError(f"latents.projection.features: inception, but {how_to_get_weights()}")
        return f"pixels and Inception's at tap {_INCEPTION_TAP}", StudyFeatures("inception", str(weights))
    if choice == "assessor" and not assessed:
        raise LatentsError("latents.projection.features: there is no assessor, because the data has no labels")
    if choice == "pixels":
        return "pixels", StudyFeatures(None)
    if choice == "efficientnet" or not assessed:
        return f"pixels and {_about_efficientnet()}", _efficientnet()
    return "pixels and the finder's", StudyFeatures("assessor")


def _efficientnet() -> StudyFeatures:
    return StudyFeatures("efficientnet", str(efficientnet_file()))


def _about_efficientnet() -> str:
    return f"{_TAP} features of {NAMES['efficientnet']} at {_SIDE}x{_SIDE}"


def _levels(images: Tensor) -> Tensor:
    """Images [n,c,h,w] in [-1,1] -> [n,h,w,c] in [0,255]."""
    return (images + 1).mul(127.5).permute(0, 2, 3, 1)


def _resized(images: Tensor) -> Tensor:
    return F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
