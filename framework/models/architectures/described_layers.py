"""Descriptions of layers as plain data, and the shapes of their outputs.

`described` builds networks from them. A shape excludes the batch and has channels last, as in Keras: (n,) or (height,
width, channels).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from framework.errors import ConfigError

Shape = tuple[int, ...]
Pair = tuple[int, int]
FunctionName = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "sigmoid", "tanh"]
# Limit for the numbers in a kernel, and in a layer's output for one latent; a larger one is an error or an attack.
MOST_NUMBERS = 2**27

_Count = Annotated[int, Field(ge=1, le=2**24)]
_Taps = Annotated[int, Field(ge=1, le=64)]
_Stride = Annotated[int, Field(ge=1, le=16)]


class Layer(BaseModel):
    """One layer; immutable, with plain values only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape.

        Raises:
            ValueError: The layer cannot process the input shape.
        """
        return shape


class Dense(Layer):
    """A dense layer."""

    kind: Literal["dense"] = "dense"
    units: _Count
    bias: bool = True

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        _require_axes(shape, 1)
        _check_size(shape[0], self.units)
        return (self.units,)


class _Window(Layer):
    filters: _Count
    kernel: tuple[_Taps, _Taps]
    strides: tuple[_Stride, _Stride] = (1, 1)
    padding: Literal["same", "valid"] = "same"
    bias: bool = True


class Convolution(_Window):
    """A convolution; `same` pads as Keras does, with the larger part at the end."""

    kind: Literal["convolution"] = "convolution"

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        _require_axes(shape, 3)
        _check_size(shape[2], self.filters, *self.kernel)
        shrunk = [0 if self.padding == "same" else taps - 1 for taps in self.kernel]
        sides = [-(-(shape[axis] - shrunk[axis]) // self.strides[axis]) for axis in (0, 1)]
        if min(sides) < 1:
            raise ValueError(f"the input {list(shape)} is smaller than the kernel")
        return (*sides, self.filters)

    def pads(self, shape: Shape) -> tuple[Pair, Pair]:
        """Padding (before, after) of rows and of columns."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        rows, columns = (_same(shape[axis], self.kernel[axis], self.strides[axis]) for axis in (0, 1))
        return rows, columns


class TransposedConvolution(_Window):
    """A transposed convolution; `same` crops the output to stride times the side, with the larger part at the end."""

    kind: Literal["transposed_convolution"] = "transposed_convolution"

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        _require_axes(shape, 3)
        _check_size(shape[2], self.filters, *self.kernel)
        extra = [
            0 if self.padding == "same" else max(taps - stride, 0)
            for taps, stride in zip(self.kernel, self.strides, strict=True)
        ]
        return shape[0] * self.strides[0] + extra[0], shape[1] * self.strides[1] + extra[1], self.filters

    def cuts(self) -> Pair:
        """Rows and columns that are cropped at the start."""
        if self.padding == "valid":
            return 0, 0
        rows, columns = (max(taps - stride, 0) // 2 for taps, stride in zip(self.kernel, self.strides, strict=True))
        return rows, columns


class Normalisation(Layer):
    """Batch normalisation with fixed statistics."""

    kind: Literal["normalisation"] = "normalisation"
    epsilon: float = Field(ge=0.0)
    scale: bool = True
    center: bool = True


class Enlargement(Layer):
    """Upsampling by repeating or interpolating rows and columns."""

    kind: Literal["enlargement"] = "enlargement"
    factors: tuple[_Stride, _Stride]
    how: Literal["nearest", "bilinear"] = "nearest"

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        _require_axes(shape, 3)
        return shape[0] * self.factors[0], shape[1] * self.factors[1], shape[2]


class Reshape(Layer):
    """A change of shape that keeps the order of the numbers, channels last."""

    kind: Literal["reshape"] = "reshape"
    shape: tuple[_Count] | tuple[_Count, _Count, _Count]

    def after(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"the input {list(shape)} cannot be reshaped to {list(self.shape)}")
        return self.shape


class Dropout(Layer):
    """Dropout, which has an effect only as the last one of a discriminator in training."""

    kind: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0.0, lt=1.0)


class Activation(Layer):
    """An elementwise function; `slope` is used below 0 (leaky_relu), and `limit` is the maximum (relu)."""

    kind: Literal["activation"] = "activation"
    function: FunctionName
    slope: float = 0.0
    limit: float | None = None


class Range(Layer):
    """Converts pixels from [0,1] to the models' [-1,1] (`model`), or back (`unit`)."""

    kind: Literal["range"] = "range"
    to: Literal["model", "unit"]


_Any = Annotated[
    Dense | Convolution | TransposedConvolution | Normalisation | Enlargement | Reshape | Dropout | Activation | Range,
    Field(discriminator="kind"),
]
_LIST = TypeAdapter(list[_Any])


def layers_of(documents: Sequence[Mapping[str, Any]], *, key: str) -> list[Layer]:
    """Reads layers from their JSON or YAML documents.

    Raises:
        ConfigError: A document is invalid; the message names `key` and the position.
    """
    try:
        return [*_LIST.validate_json(json.dumps(documents), strict=True)]
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(f"{key}[{place}]: {first['msg']}") from None


def documents_of(layers: Iterable[Layer]) -> list[dict[str, Any]]:
    """Documents of layers for JSON and YAML, which `layers_of` reads."""
    return [layer.model_dump(mode="json") for layer in layers]


def shapes_of(layers: Sequence[Layer], shape: Shape, *, key: str) -> list[Shape]:
    """The input shape of each layer, followed by the output shape of the last.

    Raises:
        ConfigError: A layer cannot process its input; the message names `key` and the position.
    """
    shapes = [shape]
    for index, layer in enumerate(layers):
        try:
            shapes.append(checked_after(layer, shapes[-1]))
        except ValueError as fault:
            raise ConfigError(f"{key}[{index}]: {type(layer).__name__}: {fault}") from None
    return shapes


def checked_after(layer: Layer, shape: Shape) -> Shape:
    """The output shape of a layer.

    Raises:
        ValueError: The layer cannot process the input shape, or the output has more than `MOST_NUMBERS` numbers.
    """
    output = layer.after(shape)
    _check_size(*output)
    return output


def _same(side: int, taps: int, stride: int) -> Pair:
    total = max((-(-side // stride) - 1) * stride + taps - side, 0)
    return total // 2, total - total // 2


def _require_axes(shape: Shape, axes: int) -> None:
    if len(shape) != axes:
        expected = "(n)" if axes == 1 else "(height, width, channels)"
        raise ValueError(f"the input must be {expected}, not {list(shape)}")


def _check_size(*sides: int) -> None:
    if math.prod(sides) > MOST_NUMBERS:
        raise ValueError(f"{' x '.join(map(str, sides))} numbers are more than {MOST_NUMBERS:,}")
