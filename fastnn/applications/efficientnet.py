# SPDX-License-Identifier: Apache-2.0
"""EfficientNetB0 to B7: width, depth and size scaled together (Tan and Le 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import (
    FAN_OUT,
    FAN_OUT_DENSE,
    activate,
    channel_axis,
    channels,
    conv,
    depthwise,
    half_padding,
    norm,
    pad,
    rounded,
    squeeze_excite,
)
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import File, Network, pooled_head
from fastnn.models import Model

__all__ = [f"EfficientNetB{i}" for i in range(8)]
__all__ += ["decode_predictions", "preprocess_input"]

# Kernel, blocks, filters, expansion, strides of the first block: the stacks of B0.
_STACKS = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_STDDEV_RGB = (0.229, 0.224, 0.225)

_conv = partial(conv, kernel_initializer=FAN_OUT)


def _body(x: Any, options: Options, width: float, depth: float) -> Any:
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=channel_axis())(x)
    if options.weights == "imagenet":
        # Those weights were trained with images divided by the root of the deviation.
        x = layers.Rescaling([1 / math.sqrt(s) for s in _STDDEV_RGB])(x)
    x = pad(x, half_padding(x, 3), "stem_conv_pad")
    x = _conv(x, rounded(32 * width), 3, "stem_conv", strides=2, padding="valid")
    x = activate(norm(x, "stem_bn"), "stem_activation", "swish")
    counts = [math.ceil(depth * count) for _, count, *_ in _STACKS]
    done = 0
    for stack, (row, count) in enumerate(zip(_STACKS, counts, strict=True), 1):
        kernel, _, filters, expansion, strides = row
        for i in range(count):
            x = _block(
                x,
                kernel,
                rounded(filters * width),
                expansion,
                1 if i else strides,
                0.2 * done / sum(counts),
                f"block{stack}{chr(97 + i)}_",
            )
            done += 1
    x = norm(_conv(x, rounded(1280 * width), 1, "top_conv"), "top_bn")
    return activate(x, "top_activation", "swish")


def _block(
    x: Any,
    kernel: int,
    filters: int,
    expansion: int,
    strides: int,
    drop_rate: float,
    name: str,
) -> Any:
    """An inverted residual that weighs its channels, and is left out at random."""
    inputs, given = x, channels(x)
    if expansion > 1:
        x = _conv(x, expansion * given, 1, f"{name}expand_conv")
        x = activate(norm(x, f"{name}expand_bn"), f"{name}expand_activation", "swish")
    if strides == 2:
        x = pad(x, half_padding(x, kernel), f"{name}dwconv_pad")
    x = depthwise(x, kernel, strides, f"{name}dwconv", depthwise_initializer=FAN_OUT)
    x = activate(norm(x, f"{name}bn"), f"{name}activation", "swish")
    x = squeeze_excite(x, max(1, given // 4), name, kernel_initializer=FAN_OUT)
    x = norm(_conv(x, filters, 1, f"{name}project_conv"), f"{name}project_bn")
    if strides > 1 or given != filters:
        return x
    return with_input(x, inputs, drop_rate, name)


def with_input(x: Any, inputs: Any, drop_rate: float, name: str) -> Any:
    """The sum of a block and its input; the block of an image is dropped as a whole."""
    if drop_rate > 0:
        shape = (None, 1, 1, 1)
        x = layers.Dropout(drop_rate, noise_shape=shape, name=f"{name}drop")(x)
    return layers.add([x, inputs], name=f"{name}add")


def _efficientnet(
    number: int, width: float, depth: float, size: int, dropout: float, *digests: str
) -> Callable[..., Model]:
    title = f"EfficientNetB{number}"
    url = f"https://storage.googleapis.com/keras-applications/{title.lower()}"
    return usual(
        Network(
            title,
            partial(_body, width=width, depth=depth),
            (File(f"{url}.h5", digests[0]), File(f"{url}_notop.h5", digests[1])),
            partial(pooled_head, dropout=dropout, kernel_initializer=FAN_OUT_DENSE),
            size=size,
        ),
        "Rethinking Model Scaling for Convolutional Neural Networks "
        "(arXiv:1905.11946).\n\n    It takes images with values in [0, 255].",
    )


EfficientNetB0 = _efficientnet(
    *(0, 1.0, 1.0, 224, 0.2),
    *("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
)
EfficientNetB1 = _efficientnet(
    *(1, 1.0, 1.1, 240, 0.2),
    *("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
)
EfficientNetB2 = _efficientnet(
    *(2, 1.1, 1.2, 260, 0.3),
    *("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
)
EfficientNetB3 = _efficientnet(
    *(3, 1.2, 1.4, 300, 0.3),
    *("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
)
EfficientNetB4 = _efficientnet(
    *(4, 1.4, 1.8, 380, 0.4),
    *("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
)
EfficientNetB5 = _efficientnet(
    *(5, 1.6, 2.2, 456, 0.4),
    *("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
)
EfficientNetB6 = _efficientnet(
    *(6, 1.8, 2.6, 528, 0.5),
    *("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
)
EfficientNetB7 = _efficientnet(
    *(7, 2.0, 3.1, 600, 0.5),
    *("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
)
preprocess_input = imagenet_utils.preprocessing(None)
decode_predictions = imagenet_utils.decode_predictions
