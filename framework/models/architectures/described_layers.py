"""A network as plain data: a chain of layers, and the shape that each hands to the next.

Nothing here is a network yet, `described` makes one. A shape is without the batch and channels last, as Keras has it:
(n,) or (height, width, channels).
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
MOST_NUMBERS = 2**27  # in one kernel, or in what one layer gives for one latent: more is a mistake, or meant to harm

_Count = Annotated[int, Field(ge=1, le=2**24)]
_Taps = Annotated[int, Field(ge=1, le=64)]
_Stride = Annotated[int, Field(ge=1, le=16)]


class Layer(BaseModel):
    """One layer; frozen, and nothing in it but plain values."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def after(self, given: Shape) -> Shape:
        """The shape it gives; ValueError where it cannot be given that shape."""
        return given


class Dense(Layer):
    """A matrix product."""

    kind: Literal["dense"] = "dense"
    units: _Count
    bias: bool = True

    def after(self, given: Shape) -> Shape:
        """See Layer."""
        _want(given, 1)
        _limit(given[0], self.units)
        return (self.units,)


class _Window(Layer):
    filters: _Count
    kernel: tuple[_Taps, _Taps]
    strides: tuple[_Stride, _Stride] = (1, 1)
    padding: Literal["same", "valid"] = "same"
    bias: bool = True


class Convolution(_Window):
    """A convolution; `same` pads as Keras does, the larger part after."""

    kind: Literal["convolution"] = "convolution"

    def after(self, given: Shape) -> Shape:
        """See Layer."""
        _want(given, 3)
        _limit(given[2], self.filters, *self.kernel)
        shrunk = [0 if self.padding == "same" else taps - 1 for taps in self.kernel]
        sides = [-(-(given[axis] - shrunk[axis]) // self.strides[axis]) for axis in (0, 1)]
        if min(sides) < 1:
            raise ValueError(f"{list(given)} is smaller than its kernel")
        return (*sides, self.filters)

    def pads(self, given: Shape) -> tuple[Pair, Pair]:
        """Before and after, by rows and by columns."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        rows, columns = (_same(given[axis], self.kernel[axis], self.strides[axis]) for axis in (0, 1))
        return rows, columns


class TransposedConvolution(_Window):
    """A transposed convolution: `same` gives stride times the side, what is too much is cut off, mostly after."""

    kind: Literal["transposed_convolution"] = "transposed_convolution"

    def after(self, given: Shape) -> Shape:
        """See Layer."""
        _want(given, 3)
        _limit(given[2], self.filters, *self.kernel)
        more = [
            0 if self.padding == "same" else max(taps - stride, 0)
            for taps, stride in zip(self.kernel, self.strides, strict=True)
        ]
        return given[0] * self.strides[0] + more[0], given[1] * self.strides[1] + more[1], self.filters

    def cuts(self) -> Pair:
        """Rows and columns that are cut off before."""
        if self.padding == "valid":
            return 0, 0
        rows, columns = (max(taps - stride, 0) // 2 for taps, stride in zip(self.kernel, self.strides, strict=True))
        return rows, columns


class Normalisation(Layer):
    """Batch normalisation by the statistics it came with."""

    kind: Literal["normalisation"] = "normalisation"
    epsilon: float = Field(ge=0.0)
    scale: bool = True
    center: bool = True


class Enlargement(Layer):
    """Rows and columns repeated, or interpolated."""

    kind: Literal["enlargement"] = "enlargement"
    factors: tuple[_Stride, _Stride]
    how: Literal["nearest", "bilinear"] = "nearest"

    def after(self, given: Shape) -> Shape:
        """See Layer."""
        _want(given, 3)
        return given[0] * self.factors[0], given[1] * self.factors[1], given[2]


class Reshape(Layer):
    """The same numbers in the same order, channels last."""

    kind: Literal["reshape"] = "reshape"
    shape: tuple[_Count] | tuple[_Count, _Count, _Count]

    def after(self, given: Shape) -> Shape:
        """See Layer."""
        if math.prod(given) != math.prod(self.shape):
            raise ValueError(f"{list(given)} does not fit in {list(self.shape)}")
        return self.shape


class Dropout(Layer):
    """Does nothing; in a discriminator that is trained, the last one drops."""

    kind: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0.0, lt=1.0)


class Activation(Layer):
    """A function of each number; `slope` below 0 (leaky_relu), `limit` above (relu)."""

    kind: Literal["activation"] = "activation"
    function: FunctionName
    slope: float = 0.0
    limit: float | None = None


class Range(Layer):
    """From [0,1] to the models' [-1,1] (`model`), or back (`unit`)."""

    kind: Literal["range"] = "range"
    to: Literal["model", "unit"]


_Any = Annotated[
    Dense | Convolution | TransposedConvolution | Normalisation | Enlargement | Reshape | Dropout | Activation | Range,
    Field(discriminator="kind"),
]
_LIST = TypeAdapter(list[_Any])


def layers_of(documents: Sequence[Mapping[str, Any]], *, key: str) -> list[Layer]:
    """Layers from what JSON or YAML holds of them; ConfigError naming `key` where one is none."""
    try:
        return [*_LIST.validate_json(json.dumps(documents), strict=True)]
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(f"{key}[{place}]: {first['msg']}") from None


def documents_of(layers: Iterable[Layer]) -> list[dict[str, Any]]:
    """What `layers_of` reads back, plain enough for JSON and YAML."""
    return [layer.model_dump(mode="json") for layer in layers]


def shapes_of(layers: Sequence[Layer], given: Shape, *, key: str) -> list[Shape]:
    """What each layer is given, and at the end what the last one gives; ConfigError where one does not fit."""
    shapes = [given]
    for index, layer in enumerate(layers):
        try:
            shapes.append(checked_after(layer, shapes[-1]))
        except ValueError as fault:
            raise ConfigError(f"{key}[{index}]: {type(layer).__name__}: {fault}") from None
    return shapes


def checked_after(layer: Layer, given: Shape) -> Shape:
    """The shape a layer gives, no larger than any network of ours has; ValueError else."""
    shape = layer.after(given)
    _limit(*shape)
    return shape


def _same(side: int, taps: int, stride: int) -> Pair:
    total = max((-(-side // stride) - 1) * stride + taps - side, 0)
    return total // 2, total - total // 2


def _want(given: Shape, axes: int) -> None:
    if len(given) != axes:
        raise ValueError(f"wants {'(n)' if axes == 1 else '(height, width, channels)'}, not {list(given)}")


def _limit(*sides: int) -> None:
    if math.prod(sides) > MOST_NUMBERS:
        raise ValueError(f"{' x '.join(map(str, sides))} numbers are more than {MOST_NUMBERS:,}")
