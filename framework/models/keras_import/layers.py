"""From Keras's description of one layer to ours. What would compute anything else is refused by its name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from framework.models.architectures import described_layers as plain

Config = Mapping[str, Any]

# Keys that change nothing of what a trained layer gives.
_NEUTRAL = {
    *(
        "name",
        "trainable",
        "dtype",
        "seed",
        "noise_shape",
        "momentum",
        "renorm_momentum",
        "synchronized",
        "data_format",
    ),
    *("batch_input_shape", "batch_shape", "input_shape", "sparse", "ragged", "optional", "fused"),
}
_NEUTRAL_ENDS = ("_initializer", "_regularizer", "_constraint")
_WINDOW = {
    *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias"),
    "output_padding",
}
# Names of Keras's own functions -> ours.
_FUNCTIONS: dict[str, plain.Activation | None] = {
    "linear": None,
    "relu": plain.Activation(function="relu"),
    "relu6": plain.Activation(function="relu", limit=6.0),
    "leaky_relu": plain.Activation(function="leaky_relu", slope=0.2),
    "swish": plain.Activation(function="silu"),
    **{
        name: plain.Activation(function=name)
        for name in ("elu", "selu", "gelu", "silu", "softplus", "softsign", "sigmoid", "tanh")
    },
}


class RefusedError(Exception):
    """What is not taken of a model or of a layer; whoever catches it knows the file's name, and the layer's."""


def layers_from(kind: str, config: Config, given: plain.Shape) -> list[plain.Layer]:
    """What a layer of Keras comes to: itself, and the activation that it has built in.

    Args:
        kind: Its class.
        config: Its settings.
        given: The shape it is given.

    Raises:
        RefusedError: It is of another class, or has a setting that is not taken.
    """
    if kind not in _KINDS:
        raise RefusedError(f"is not taken; taken are {', '.join(_KINDS)}")
    read, known = _KINDS[kind]
    for key, value in config.items():
        if key not in known and key not in _NEUTRAL and not key.endswith(_NEUTRAL_ENDS) and value not in (None, False):
            raise RefusedError(f"has {key}={_said(value)}, which is not taken")
    _want(config, "data_format", None, "channels_last")
    dtype = config.get("dtype", "float32")
    dtype = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
    if dtype not in (None, "float32"):
        raise RefusedError(f"computes in {_said(dtype)}; taken is float32")
    try:
        return read(config, given)
    except (KeyError, TypeError, ValueError) as fault:  # ValueError: pydantic's too
        raise RefusedError(f"has settings that are not taken ({_reason(fault)})") from None


def _dense(config: Config, given: plain.Shape) -> list[plain.Layer]:
    if len(given) != 1:
        raise RefusedError(f"is given {list(given)}; taken is a flat input, so a Flatten before it")
    return [plain.Dense(units=config["units"], bias=config.get("use_bias", True)), *_activation(config)]


def _window(kind: type[plain.Convolution] | type[plain.TransposedConvolution]) -> Callable[..., list[plain.Layer]]:
    def read(config: Config, _: plain.Shape) -> list[plain.Layer]:
        _want(config, "padding", "same", "valid")
        _want(config, "groups", None, 1)
        if _pair(config.get("dilation_rate", 1)) != (1, 1):
            raise RefusedError(f"has dilation_rate={_said(config['dilation_rate'])}; taken is 1")
        _want(config, "output_padding", None)
        window = kind(
            filters=config["filters"],
            kernel=_pair(config["kernel_size"]),
            strides=_pair(config.get("strides", 1)),
            padding=config["padding"],
            bias=config.get("use_bias", True),
        )
        return [window, *_activation(config)]

    return read


def _normalisation(config: Config, given: plain.Shape) -> list[plain.Layer]:
    axis = config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if axes not in ([-1], [len(given)]):
        raise RefusedError(f"has axis={_said(axis)}; taken is the last one, the channels")
    return [
        plain.Normalisation(
            epsilon=config.get("epsilon", 1e-3), scale=config.get("scale", True), center=config.get("center", True)
        )
    ]


def _enlargement(config: Config, _: plain.Shape) -> list[plain.Layer]:
    how = config.get("interpolation", "nearest")
    if how not in ("nearest", "bilinear"):
        raise RefusedError(f"has interpolation={_said(how)}; taken are nearest and bilinear")
    return [plain.Enlargement(factors=_pair(config.get("size", 2)), how=how)]


def _reshape(config: Config, given: plain.Shape) -> list[plain.Layer]:
    shape = list(config["target_shape"])
    if shape.count(-1) == 1:
        known = math.prod(side for side in shape if side != -1)
        shape[shape.index(-1)] = math.prod(given) // max(known, 1)
    if len(shape) not in (1, 3):
        raise RefusedError(f"has target_shape={_said(config['target_shape'])}; taken are (n) and (rows, columns, n)")
    return [plain.Reshape(shape=tuple(shape))]  # pyright: ignore[reportArgumentType]  its length is known by now


def _flatten(_: Config, given: plain.Shape) -> list[plain.Layer]:
    return [plain.Reshape(shape=(math.prod(given),))]


def _dropout(config: Config, _: plain.Shape) -> list[plain.Layer]:
    return [plain.Dropout(rate=float(config["rate"]))]


def _leaky(config: Config, _: plain.Shape) -> list[plain.Layer]:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return [plain.Activation(function="leaky_relu", slope=_number(slope))]


def _relu(config: Config, _: plain.Shape) -> list[plain.Layer]:
    if config.get("threshold") not in (None, 0, 0.0):
        raise RefusedError(f"has threshold={_said(config['threshold'])}; taken is 0")
    slope, limit = config.get("negative_slope") or 0.0, config.get("max_value")
    return [plain.Activation(function="relu", slope=_number(slope), limit=None if limit is None else _number(limit))]


def _activation(config: Config, _: plain.Shape = ()) -> list[plain.Layer]:
    name = config.get("activation", "linear")
    if not isinstance(name, str) or name not in _FUNCTIONS:
        told = name.get("config", name) if isinstance(name, dict) else name
        raise RefusedError(f"has activation={_said(told)}; taken are {', '.join(_FUNCTIONS)}")
    found = _FUNCTIONS[name]
    return [] if found is None else [found]


_KINDS: dict[str, tuple[Callable[[Config, plain.Shape], list[plain.Layer]], set[str]]] = {
    "Dense": (_dense, {"units", "activation", "use_bias"}),
    "Reshape": (_reshape, {"target_shape"}),
    "Flatten": (_flatten, set()),
    "Conv2D": (_window(plain.Convolution), _WINDOW),
    "Conv2DTranspose": (_window(plain.TransposedConvolution), _WINDOW),
    "UpSampling2D": (_enlargement, {"size", "interpolation"}),
    "BatchNormalization": (_normalisation, {"axis", "epsilon", "scale", "center"}),
    "Dropout": (_dropout, {"rate"}),
    "LeakyReLU": (_leaky, {"alpha", "negative_slope"}),
    "ReLU": (_relu, {"max_value", "negative_slope", "threshold"}),
    "Activation": (_activation, {"activation"}),
}


def _want(config: Config, key: str, *allowed: Any) -> None:
    value = config.get(key)
    if value not in allowed:
        told = " and ".join(str(one) for one in allowed if one is not None) or "none"
        raise RefusedError(f"has {key}={_said(value)}; taken {'are' if ' and ' in told else 'is'} {told}")


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


def _number(value: Any) -> float:
    """A setting as it was typed: Keras 2 keeps 0.2 as 0.20000000298."""
    return round(float(value), 7)


def _reason(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
    return f"{fault} is missing" if isinstance(fault, KeyError) else str(fault)


def _said(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
