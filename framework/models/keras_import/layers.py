"""Converts Keras's description of a layer to ours, and refuses layers and settings that are not supported."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from framework.models.architectures import described_layers as plain

Config = Mapping[str, Any]

# Keys that do not change the output of a trained layer.
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
# Names of Keras's functions -> ours; None for the identity.
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
    """A part of a model that is not supported; the caller adds the names of the file and the layer."""


def layers_from(kind: str, config: Config, shape: plain.Shape) -> list[plain.Layer]:
    """Converts a layer of Keras to a layer and, if it has a built-in activation, an activation layer.

    Args:
        kind: The name of its class.
        shape: The shape of its input.

    Raises:
        RefusedError: The class or a setting is not supported.
    """
    if kind not in _KINDS:
        raise RefusedError(f"is not supported; supported: {', '.join(_KINDS)}")
    read, known = _KINDS[kind]
    for key, value in config.items():
        if key not in known and key not in _NEUTRAL and not key.endswith(_NEUTRAL_ENDS) and value not in (None, False):
            raise RefusedError(f"has {key}={_shortened(value)}, which is not supported")
    _require(config, "data_format", None, "channels_last")
    dtype = config.get("dtype", "float32")
    policy = dtype.get("config") if isinstance(dtype, dict) else {"name": dtype}  # Keras 3 describes a policy
    dtype = policy.get("name") if isinstance(policy, dict) else policy
    if dtype not in (None, "float32"):
        raise RefusedError(f"computes in {_shortened(dtype)}; supported: float32")
    try:
        return read(config, shape)
    except (KeyError, TypeError, ValueError) as fault:  # pydantic's ValidationError is a ValueError
        raise RefusedError(f"has settings that are not supported ({_reason(fault)})") from None


def _dense(config: Config, shape: plain.Shape) -> list[plain.Layer]:
    if len(shape) != 1:
        raise RefusedError(f"has an input of shape {list(shape)}; it needs a flat one, such as after Flatten")
    return [plain.Dense(units=config["units"], bias=config.get("use_bias", True)), *_activation(config)]


def _window(kind: type[plain.Convolution] | type[plain.TransposedConvolution]) -> Callable[..., list[plain.Layer]]:
    def read(config: Config, _: plain.Shape) -> list[plain.Layer]:
        _require(config, "padding", "same", "valid")
        _require(config, "groups", None, 1)
        if _pair(config.get("dilation_rate", 1)) != (1, 1):
            raise RefusedError(f"has dilation_rate={_shortened(config['dilation_rate'])}; supported: 1")
        _require(config, "output_padding", None)
        window = kind(
            filters=config["filters"],
            kernel=_pair(config["kernel_size"]),
            strides=_pair(config.get("strides", 1)),
            padding=config["padding"],
            bias=config.get("use_bias", True),
        )
        return [window, *_activation(config)]

    return read


def _normalisation(config: Config, shape: plain.Shape) -> list[plain.Layer]:
    axis = config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if axes not in ([-1], [len(shape)]):
        raise RefusedError(f"has axis={_shortened(axis)}; supported: the last one, the channels")
    return [
        plain.Normalisation(
            epsilon=config.get("epsilon", 1e-3), scale=config.get("scale", True), center=config.get("center", True)
        )
    ]


def _enlargement(config: Config, _: plain.Shape) -> list[plain.Layer]:
    how = config.get("interpolation", "nearest")
    if how not in ("nearest", "bilinear"):
        raise RefusedError(f"has interpolation={_shortened(how)}; supported: nearest and bilinear")
    return [plain.Enlargement(factors=_pair(config.get("size", 2)), how=how)]


def _reshape(config: Config, shape: plain.Shape) -> list[plain.Layer]:
    target_shape = list(config["target_shape"])
    if target_shape.count(-1) == 1:
        known = math.prod(side for side in target_shape if side != -1)
        target_shape[target_shape.index(-1)] = math.prod(shape) // max(known, 1)
    if len(target_shape) not in (1, 3):
        target = _shortened(config["target_shape"])
        raise RefusedError(f"has target_shape={target}; supported: (n) and (rows, columns, n)")
    return [plain.Reshape(shape=tuple(target_shape))]  # pyright: ignore[reportArgumentType]  its length was checked


def _flatten(_: Config, shape: plain.Shape) -> list[plain.Layer]:
    return [plain.Reshape(shape=(math.prod(shape),))]


def _dropout(config: Config, _: plain.Shape) -> list[plain.Layer]:
    return [plain.Dropout(rate=float(config["rate"]))]


def _leaky(config: Config, _: plain.Shape) -> list[plain.Layer]:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return [plain.Activation(function="leaky_relu", slope=_number(slope))]


def _relu(config: Config, _: plain.Shape) -> list[plain.Layer]:
    if config.get("threshold") not in (None, 0, 0.0):
        raise RefusedError(f"has threshold={_shortened(config['threshold'])}; supported: 0")
    slope, limit = config.get("negative_slope") or 0.0, config.get("max_value")
    return [plain.Activation(function="relu", slope=_number(slope), limit=None if limit is None else _number(limit))]


def _activation(config: Config, _: plain.Shape = ()) -> list[plain.Layer]:
    name = config.get("activation", "linear")
    if not isinstance(name, str) or name not in _FUNCTIONS:
        function = name.get("config", name) if isinstance(name, dict) else name
        raise RefusedError(f"has activation={_shortened(function)}; supported: {', '.join(_FUNCTIONS)}")
    activation = _FUNCTIONS[name]
    return [] if activation is None else [activation]


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


def _require(config: Config, key: str, *allowed: Any) -> None:
    value = config.get(key)
    if value not in allowed:
        values = " and ".join(str(choice) for choice in allowed if choice is not None) or "none"
        raise RefusedError(f"has {key}={_shortened(value)}; supported: {values}")


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


def _number(value: Any) -> float:
    """A setting as the user wrote it: Keras 2 stores 0.2 as 0.20000000298."""
    return round(float(value), 7)


def _reason(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
    return f"{fault} is missing" if isinstance(fault, KeyError) else str(fault)


def _shortened(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
