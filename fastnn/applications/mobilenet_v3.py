# SPDX-License-Identifier: Apache-2.0
"""MobileNetV3Small and Large: found by search for phones (Howard et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import (
    activate,
    channels,
    conv,
    depthwise,
    half_padding,
    pad,
    rounded,
)
from fastnn.applications._builder import builder
from fastnn.applications._checks import Options, check, check_size, placed
from fastnn.applications._frame import STORE, File, Network
from fastnn.applications.mobilenet import check_alpha, trained_size
from fastnn.applications.mobilenet_v2 import check_tensor, norm
from fastnn.models import Model

__all__ = ["MobileNetV3Large", "MobileNetV3Small"]
__all__ += ["decode_predictions", "preprocess_input"]

_SMALLEST = 32
_DIGESTS = {
    "large_224_0.75_float": (
        "765b44a33ad4005b3ac83185abf1d0eb",
        "40af19a13ebea4e2ee0c676887f69a2e",
    ),
    "large_224_1.0_float": (
        "59e551e166be033d707958cf9e29a6a7",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    "large_minimalistic_224_1.0_float": (
        "675e7b876c45c57e9e63e6d90a36599c",
        "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75_float": (
        "cb65d4e5be93758266aa0a7f2c6708b7",
        "ebdb5cc8e0b497cd13a7c275d475c819",
    ),
    "small_224_1.0_float": (
        "8768d4c2e7dee89b9d02b2d03d65d862",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "small_minimalistic_224_1.0_float": (
        "99cd97fb2fcdad2bf028eb838de69e37",
        "cde8136e733e811080d9fcd8a252f7e4",
    ),
}


class _Row(NamedTuple):
    """A block; kernels of 5, squeezing and h-swish not in minimalistic networks."""

    expansion: float
    filters: int
    kernel: int
    strides: int
    squeezes: bool
    swish: bool


_SMALL = (
    _Row(1, 16, 3, 2, True, False),
    _Row(72 / 16, 24, 3, 2, False, False),
    _Row(88 / 24, 24, 3, 1, False, False),
    _Row(4, 40, 5, 2, True, True),
    *[_Row(6, 40, 5, 1, True, True)] * 2,
    *[_Row(3, 48, 5, 1, True, True)] * 2,
    _Row(6, 96, 5, 2, True, True),
    *[_Row(6, 96, 5, 1, True, True)] * 2,
)
_LARGE = (
    _Row(1, 16, 3, 1, False, False),
    _Row(4, 24, 3, 2, False, False),
    _Row(3, 24, 3, 1, False, False),
    _Row(3, 40, 5, 2, True, False),
    *[_Row(3, 40, 5, 1, True, False)] * 2,
    _Row(6, 80, 3, 2, False, True),
    _Row(2.5, 80, 3, 1, False, True),
    *[_Row(2.3, 80, 3, 1, False, True)] * 2,
    *[_Row(6, 112, 3, 1, True, True)] * 2,
    _Row(6, 160, 5, 2, True, True),
    *[_Row(6, 160, 5, 1, True, True)] * 2,
)


def _build(
    options: Options,
    title: str,
    rows: tuple[_Row, ...],
    last: int,
    alpha: float,
    minimalistic: bool,
    dropout_rate: float,
) -> Model:
    """One of the two; `last` is the width of the layer before the classifier."""
    check(title, options)
    check_tensor(title, options)
    shape = options.input_shape
    if shape is None and options.input_tensor is not None:
        shape = options.input_tensor.shape[1:]
    if shape is None:
        shape = placed(None, None, 3)
    check_size(title, shape, _SMALLEST)
    if options.weights == "imagenet":
        check_alpha(title, alpha, (1.0,) if minimalistic else (0.75, 1.0))
        trained_size(title, shape, (224,))
    kind = title.removeprefix("MobileNetV3").lower()
    kind += "_minimalistic" if minimalistic else ""
    key = f"{kind}_224_{float(alpha)}_float"
    url = f"{STORE}mobilenet_v3/weights_mobilenet_v3_{key}"
    top, no_top = _DIGESTS.get(key, (None, None))
    network = Network(
        title,
        partial(_body, rows=rows, alpha=alpha, plain=minimalistic),
        (File(f"{url}.h5", top), File(f"{url}_no_top_v2.h5", no_top)),
        partial(
            _head,
            width=rounded(last * alpha) if alpha > 1 else last,
            dropout=dropout_rate,
            plain=minimalistic,
        ),
    )
    return network.build(options, tuple(shape))


def _body(
    x: Any, options: Options, rows: tuple[_Row, ...], alpha: float, plain: bool
) -> Any:
    if options.include_preprocessing:
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    x = _activated(norm(conv(x, 16, 3, "conv", strides=2), "conv_bn"), not plain)
    for i, row in enumerate(rows):
        if plain:
            row = row._replace(kernel=3, squeezes=False, swish=False)
        name = f"expanded_conv_{i}_" if i else "expanded_conv_"
        x = _inverted(x, row, rounded(row.filters * alpha), name)
    x = conv(x, rounded(channels(x) * 6), 1, "conv_1")
    return _activated(norm(x, "conv_1_bn"), not plain)


def _inverted(x: Any, row: _Row, filters: int, name: str) -> Any:
    inputs, wide = x, rounded(channels(x) * row.expansion)
    if name != "expanded_conv_":
        x = norm(conv(x, wide, 1, f"{name}expand"), f"{name}expand_bn")
        x = _activated(x, row.swish)
    if row.strides == 2:
        x = pad(x, half_padding(x, row.kernel), f"{name}depthwise_pad")
    x = depthwise(x, row.kernel, row.strides, f"{name}depthwise")
    x = _activated(norm(x, f"{name}depthwise_bn"), row.swish)
    if row.squeezes:
        x = _squeeze_excite(x, f"{name}squeeze_excite_", wide)
    x = norm(conv(x, filters, 1, f"{name}project"), f"{name}project_bn")
    if row.strides == 1 and channels(inputs) == filters:
        return layers.Add(name=f"{name}add")([inputs, x])
    return x


def _activated(x: Any, swish: bool) -> Any:
    return activate(x, kind="hard_swish") if swish else layers.ReLU()(x)


def _squeeze_excite(x: Any, name: str, wide: int) -> Any:
    """With a hard sigmoid, relu6(x + 3) / 6, made of operators."""
    s = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
    s = conv(s, rounded(wide * 0.25), 1, f"{name}conv", use_bias=True)
    s = layers.ReLU(name=f"{name}relu")(s)
    s = conv(s, wide, 1, f"{name}conv_1", use_bias=True)
    s = layers.ReLU(6.0)(s + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{name}mul")([x, s])


def _head(x: Any, options: Options, width: int, dropout: float, plain: bool) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = _activated(conv(x, width, 1, "conv_2", use_bias=True), not plain)
    if dropout > 0:
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(conv(x, options.classes, 1, "logits", use_bias=True))
    return layers.Activation(options.classifier_activation, name="predictions")(x)


def _mobilenet(title: str, rows: tuple[_Row, ...], last: int) -> Callable[..., Model]:
    return builder(
        title,
        partial(_build, title=title, rows=rows, last=last),
        "Searching for MobileNetV3 (arXiv:1905.02244).",
        "input_shape alpha minimalistic include_top weights input_tensor classes "
        "pooling dropout_rate classifier_activation include_preprocessing name",
        title,
    )


MobileNetV3Small = _mobilenet("MobileNetV3Small", _SMALL, 1024)
MobileNetV3Large = _mobilenet("MobileNetV3Large", _LARGE, 1280)
preprocess_input = imagenet_utils.preprocessing(None)
decode_predictions = imagenet_utils.decode_predictions
