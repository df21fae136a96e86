# SPDX-License-Identifier: Apache-2.0
"""Layers as the networks use them: convolution, normalization, activation, padding."""

from __future__ import annotations

from typing import Any

from fastnn import config, layers

# He's initializers as EfficientNet has them: by the number of outputs.
FAN_OUT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}
FAN_OUT_DENSE = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"},
}


def channel_axis() -> int:
    """Where a batch of images has its channels: 3, or 1 with channels first."""
    return 1 if config.image_data_format() == "channels_first" else 3


def channels(x: Any) -> Any:
    """How many channels a batch of images has."""
    return x.shape[channel_axis()]


def conv(x: Any, filters: Any, size: Any, name: str | None = None, **more: Any) -> Any:
    """Conv2D, by default without bias and with the size kept."""
    settings = {"padding": "same", "use_bias": False, **more}
    return layers.Conv2D(filters, size, name=name, **settings)(x)


def depthwise(x: Any, size: int, strides: int, name: str, **more: Any) -> Any:
    """DepthwiseConv2D without bias; with strides, the input is padded already."""
    more = {"padding": "same" if strides == 1 else "valid", **more}
    made = layers.DepthwiseConv2D(
        size, strides=strides, use_bias=False, name=name, **more
    )
    return made(x)


def norm(x: Any, name: str | None = None, **more: Any) -> Any:
    """BatchNormalization over the channels."""
    return layers.BatchNormalization(axis=channel_axis(), name=name, **more)(x)


def activate(x: Any, name: str | None = None, kind: Any = "relu") -> Any:
    """Activation as a layer."""
    return layers.Activation(kind, name=name)(x)


def pad(x: Any, width: Any, name: str | None = None) -> Any:
    """ZeroPadding2D."""
    return layers.ZeroPadding2D(width, name=name)(x)


def half_padding(x: Any, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding before a convolution with strides 2: odd sizes get as much on each side.

    The files of TensorFlow's networks are trained with it: "same" would pad even sizes
    at the end only, as this does, but open sizes not at all alike.
    """
    axis = 2 if channel_axis() == 1 else 1
    rows, columns = x.shape[axis : axis + 2]
    even = (1, 1) if rows is None else (1 - rows % 2, 1 - columns % 2)
    half = size // 2
    return (half - even[0], half), (half - even[1], half)


def rounded(filters: float, guard: bool = True) -> int:
    """The nearest multiple of 8; with `guard`, no less than 90 % of `filters`."""
    near = max(8, int(filters + 4) // 8 * 8)
    return near + 8 if guard and near < 0.9 * filters else near


def squeeze_excite(
    x: Any, reduced: int, name: str, activation: str = "swish", **more: Any
) -> Any:
    """Channels weighed by what is in all places (Hu et al. 2018, arXiv:1709.01507)."""
    full = channels(x)
    shape = (full, 1, 1) if channel_axis() == 1 else (1, 1, full)
    s = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    s = layers.Reshape(shape, name=f"{name}se_reshape")(s)
    more = {"use_bias": True, **more}
    s = conv(s, reduced, 1, f"{name}se_reduce", activation=activation, **more)
    s = conv(s, full, 1, f"{name}se_expand", activation="sigmoid", **more)
    return layers.multiply([x, s], name=f"{name}se_excite")


# ---- towers of Inception -----------------------------------------------------------


def conv_norm(
    x: Any, filters: int, size: Any, name: str | None = None, **more: Any
) -> Any:
    """Convolution, normalization without a scale, relu; parts named after `name`."""
    x = conv(x, filters, size, name, **more)
    x = norm(x, name and f"{name}_bn", scale=False)
    return activate(x, name and f"{name}_ac")


def tower(x: Any, steps: str) -> Any:
    """Convolutions one after the other: "64:1 96:3 96:1x7 96:3/2".

    A step is filters:size, or filters:rows x columns; "/2" are strides of 2, and "!"
    at the end is a convolution without padding, which strides always are.
    """
    for step in steps.split():
        filters, _, rest = step.rstrip("!").partition(":")
        size, _, strides = rest.partition("/")
        rows, _, columns = size.partition("x")
        x = conv_norm(
            x,
            int(filters),
            (int(rows), int(columns or rows)),
            strides=int(strides or 1),
            padding="valid" if strides or step.endswith("!") else "same",
        )
    return x


def towers(x: Any, *branches: str) -> list[Any]:
    """Several towers on one input."""
    return [tower(x, steps) for steps in branches]


def mean_tower(x: Any, filters: int) -> Any:
    """Means of 3x3 places, then a 1x1 convolution."""
    means = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return tower(means, f"{filters}:1")


def join(parts: list[Any], name: str | None = None) -> Any:
    """Concatenation of channels."""
    return layers.concatenate(parts, axis=channel_axis(), name=name)
