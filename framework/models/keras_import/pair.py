"""Converts a Keras model to networks of ours: to `dcgan` if it is exactly the notebooks' pair, else to `keras`."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from framework.errors import CheckpointError
from framework.models.architectures import described_layers as plain
from framework.models.architectures.dcgan import stem_size
from framework.models.keras_import.model import KerasModel
from framework.models.keras_import.weights import pair_names, states_of, step_names, turned

RangeName = Literal["auto", "signed", "unit"]

_LEAKY = plain.Activation(function="leaky_relu", slope=0.2)
_WIDTHS = range(4, 2049)


@dataclass(frozen=True)
class Imported:
    """One network, ready for `load_state_dict`.

    Attributes:
        model: The keys of the section `model` that build it.
        resolution: Width and height of its images in pixels.
        channels: Channels of its images, 1 or 3.
        range: The range of the Keras model's images: `signed` ([-1, 1]) or `unit` ([0, 1]).
        reason: How the range is known, as text.
    """

    model: dict[str, Any]
    weights: dict[str, Tensor]
    resolution: int
    channels: int
    range: str
    reason: str

    @property
    def is_pair(self) -> bool:
        """Whether it is a network of the notebooks' pair."""
        return not {"layers", "discriminator_layers"} & self.model.keys()


def import_generator(model: KerasModel, *, range: RangeName = "auto") -> Imported:  # noqa: A002  the key's name
    """Converts a model from latents to images to a generator.

    Args:
        range: The range of its images; auto: by its last activation, tanh or sigmoid.

    Raises:
        CheckpointError: Its input is not a latent, its output is not an image, or its range is unknown.
    """
    if len(model.input_shape) != 1:
        raise CheckpointError(
            f"{model.place}: the input is {list(model.input_shape)}; a generator's input is a latent, [n]"
        )
    resolution, channels = _image(model.output_shape, f"{model.place}: the output is")
    known, reason = _range(model, range)
    about = {"resolution": resolution, "channels": channels, "range": known, "reason": reason}
    width = next((layer.shape[-1] for layer in model.layers if isinstance(layer, plain.Reshape)), 0)
    latent_size = model.input_shape[0]
    pair = _pair_generator(resolution, channels, width=width, latent_size=latent_size)
    if known == "signed" and model.layers == pair:
        keys = {"architecture": "dcgan", "latent_size": latent_size, "width": width}
        return Imported(keys, pair_names(states_of(model), ends=("dense", "ups", "to_image")), **about)
    layers = [*model.layers, *([plain.Range(to="model")] if known == "unit" else [])]
    keys = {"architecture": "keras", "latent_size": latent_size, "layers": plain.documents_of(layers)}
    return Imported(keys, step_names(states_of(model)), **about)


def import_discriminator(model: KerasModel, *, generator: Imported) -> Imported:
    """Converts a model from images to one number to the discriminator of an imported generator.

    The images are assumed to have the generator's range.

    Raises:
        CheckpointError: Its input is not an image of the generator's shape, or its output is not one number.
    """
    resolution, channels = _image(model.input_shape, f"{model.place}: the input is")
    if (resolution, channels) != (generator.resolution, generator.channels):
        generated = [generator.resolution, generator.resolution, generator.channels]
        raise CheckpointError(
            f"{model.place}: the input is {list(model.input_shape)}; the generator's images are {generated}"
        )
    if model.output_shape != (1,):
        raise CheckpointError(
            f"{model.place}: the output is {list(model.output_shape)}; a discriminator's output is one number, [1]"
        )
    last = model.layers[-1]
    has_sigmoid = isinstance(last, plain.Activation) and last.function == "sigmoid"
    if isinstance(last, plain.Activation) and not has_sigmoid:
        raise CheckpointError(
            f"{model.place}: ends in {last.function}; a discriminator must end in sigmoid or without an activation"
        )
    rates = [layer.rate for layer in model.layers if isinstance(layer, plain.Dropout)]
    keys: dict[str, Any] = {"dropout": rates[-1] if rates else 0.0}
    about = {"resolution": resolution, "channels": channels, "range": generator.range, "reason": "the generator's"}
    first = model.layers[0]
    width = first.filters if isinstance(first, plain.Convolution) else 0
    pair = _pair_discriminator(resolution, width=width, rate=keys["dropout"])
    if generator.range == "signed" and has_sigmoid and model.layers == pair and _one_width(generator, width):
        return Imported({**keys, "width": width}, turned(states_of(model), stem_size(resolution)[0], width), **about)
    before = [plain.Range(to="unit")] if generator.range == "unit" else []
    layers = [*before, *(model.layers[:-1] if has_sigmoid else model.layers)]
    keys["discriminator_layers"] = plain.documents_of(layers)
    return Imported(keys, step_names(states_of(model), first=len(before)), **about)


def _one_width(generator: Imported, width: int) -> bool:
    """Whether both networks have the same width, since `model.width` holds for both."""
    return generator.model.get("width", width) == width


def _image(shape: plain.Shape, what: str) -> tuple[int, int]:
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise CheckpointError(f"{what} {list(shape)}; it must be square images, [h, w, 1 or 3]")
    return shape[0], shape[2]


def _range(model: KerasModel, requested: RangeName) -> tuple[str, str]:
    last = model.layers[-1]
    function = last.function if isinstance(last, plain.Activation) else "no activation"
    known = {"tanh": "signed", "sigmoid": "unit"}.get(function)
    if known is None and requested == "auto":
        raise CheckpointError(
            f"{model.place}: ends in {function}, which does not determine the range of its images; "
            "pass range=signed ([-1, 1]) or range=unit ([0, 1])"
        )
    if requested == "auto":
        return str(known), f"it ends in {function}"
    if known is not None and requested != known:
        raise CheckpointError(f"{model.place}: range={requested}, but it ends in {function}, which is {known}")
    return requested, "as said"


def _pair_generator(resolution: int, channels: int, *, width: int, latent_size: int) -> list[plain.Layer] | None:
    """The layers of the notebooks' generator; None if width or latent size are outside the limits of the config."""
    stem, halvings = stem_size(resolution)
    if width not in _WIDTHS or latent_size > 8192:
        return None
    up = plain.TransposedConvolution(filters=width, kernel=(4, 4), strides=(2, 2))
    return [
        plain.Dense(units=stem * stem * width),
        _LEAKY,
        plain.Reshape(shape=(stem, stem, width)),
        *[up, _LEAKY] * halvings,
        plain.Convolution(filters=channels, kernel=(8, 8)),
        plain.Activation(function="tanh"),
    ]


def _pair_discriminator(resolution: int, *, width: int, rate: float) -> list[plain.Layer] | None:
    stem, halvings = stem_size(resolution)
    if width not in _WIDTHS:
        return None
    down = plain.Convolution(filters=width, kernel=(3, 3), strides=(2, 2))
    return [
        *[plain.Convolution(filters=width, kernel=(3, 3)), _LEAKY],
        *[down, _LEAKY] * halvings,
        plain.Reshape(shape=(stem * stem * width,)),
        plain.Dropout(rate=rate),
        plain.Dense(units=1),
        plain.Activation(function="sigmoid"),
    ]
