"""What a model of Keras's becomes: the notebooks' pair where it is exactly that, else layers as data."""

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

    Args:
        model: The keys of the section `model` that build it.
        weights: Its state.
        resolution: Side of its images.
        channels: Theirs, 1 or 3.
        range: What the Keras model's images range over: `signed` ([-1, 1]) or `unit` ([0, 1]).
        reason: How that is known.
    """

    model: dict[str, Any]
    weights: dict[str, Tensor]
    resolution: int
    channels: int
    range: str
    reason: str

    @property
    def is_pair(self) -> bool:
        """Whether it is the notebooks'."""
        return not {"layers", "discriminator_layers"} & self.model.keys()


def import_generator(model: KerasModel, *, range: RangeName = "auto") -> Imported:  # noqa: A002  the key's name
    """A model from latents to images, as a generator of ours.

    Args:
        model: As read.
        range: Of its images; auto: by its last activation, tanh or sigmoid.

    Raises:
        CheckpointError: It takes or gives something else, or its range is not known.
    """
    if len(model.given) != 1:
        raise CheckpointError(f"{model.place}: is given {list(model.given)}; a generator is given latents, [n]")
    resolution, channels = _image(model.gives, f"{model.place}: gives")
    found, reason = _range(model, range)
    about = {"resolution": resolution, "channels": channels, "range": found, "reason": reason}
    width = next((layer.shape[-1] for layer in model.layers if isinstance(layer, plain.Reshape)), 0)
    if found == "signed" and model.layers == _pair_generator(resolution, channels, width=width, given=model.given):
        keys = {"architecture": "dcgan", "latent_size": model.given[0], "width": width}
        return Imported(keys, pair_names(states_of(model), ends=("dense", "ups", "to_image")), **about)
    layers = [*model.layers, *([plain.Range(to="model")] if found == "unit" else [])]
    keys = {"architecture": "keras", "latent_size": model.given[0], "layers": plain.documents_of(layers)}
    return Imported(keys, step_names(states_of(model)), **about)


def import_discriminator(model: KerasModel, *, generator: Imported) -> Imported:
    """A model from images to one number, as the discriminator beside an imported generator; it judges its range.

    Raises:
        CheckpointError: It takes other images than the generator makes, or gives something else.
    """
    resolution, channels = _image(model.given, f"{model.place}: is given")
    if (resolution, channels) != (generator.resolution, generator.channels):
        made = [generator.resolution, generator.resolution, generator.channels]
        raise CheckpointError(f"{model.place}: is given images {list(model.given)}; the generator's are {made}")
    if model.gives != (1,):
        raise CheckpointError(f"{model.place}: gives {list(model.gives)}; a discriminator gives one number, [1]")
    last = model.layers[-1]
    has_sigmoid = isinstance(last, plain.Activation) and last.function == "sigmoid"
    if isinstance(last, plain.Activation) and not has_sigmoid:
        raise CheckpointError(f"{model.place}: ends in {last.function}; a discriminator ends in sigmoid or in none")
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
    """Whether `model.width` can say it: there is one for both networks."""
    return generator.model.get("width", width) == width


def _image(shape: plain.Shape, what: str) -> tuple[int, int]:
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise CheckpointError(f"{what} {list(shape)}; wants images [h, w, 1 or 3], as high as wide")
    return shape[0], shape[2]


def _range(model: KerasModel, asked: RangeName) -> tuple[str, str]:
    last = model.layers[-1]
    function = last.function if isinstance(last, plain.Activation) else "no activation"
    known = {"tanh": "signed", "sigmoid": "unit"}.get(function)
    if known is None and asked == "auto":
        raise CheckpointError(
            f"{model.place}: ends in {function}, which does not tell what its images range over; "
            "say range=signed ([-1, 1]) or range=unit ([0, 1])"
        )
    if asked == "auto":
        return str(known), f"it ends in {function}"
    if known is not None and asked != known:
        raise CheckpointError(f"{model.place}: range={asked}, and it ends in {function}, which is {known}")
    return asked, "as said"


def _pair_generator(resolution: int, channels: int, *, width: int, given: plain.Shape) -> list[plain.Layer] | None:
    """The notebooks' generator; None where the numbers are none of its."""
    stem, halvings = stem_size(resolution)
    if width not in _WIDTHS or given[0] > 8192:
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
