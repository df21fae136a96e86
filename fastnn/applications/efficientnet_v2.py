# SPDX-License-Identifier: Apache-2.0
"""EfficientNetV2: fused blocks first, faster to train (Tan and Le 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import _blocks, imagenet_utils
from fastnn.applications._blocks import (
    FAN_OUT,
    FAN_OUT_DENSE,
    activate,
    channel_axis,
    channels,
    conv,
    depthwise,
    rounded,
    squeeze_excite,
)
from fastnn.applications._builder import USUAL, usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import STORE, File, Network, pooled_head
from fastnn.applications.efficientnet import with_input
from fastnn.models import Model

__all__ = [f"EfficientNetV2{v}" for v in "B0 B1 B2 B3 S M L".split()]
__all__ += ["decode_predictions", "preprocess_input"]

# Blocks, filters, expansion, strides of the first block, whether fused: the stacks. A
# block that is not fused weighs its channels. The stem has the filters of `_STEM`.
_Stack = tuple[int, int, int, int, bool]
_STACKS: dict[str, tuple[_Stack, ...]] = {
    "B": (
        (1, 16, 1, 1, True),
        (2, 32, 4, 2, True),
        (2, 48, 4, 2, True),
        (3, 96, 4, 2, False),
        (5, 112, 6, 1, False),
        (8, 192, 6, 2, False),
    ),
    "S": (
        (2, 24, 1, 1, True),
        (4, 48, 4, 2, True),
        (4, 64, 4, 2, True),
        (6, 128, 4, 2, False),
        (9, 160, 6, 1, False),
        (15, 256, 6, 2, False),
    ),
    "M": (
        (3, 24, 1, 1, True),
        (5, 48, 4, 2, True),
        (5, 80, 4, 2, True),
        (7, 160, 4, 2, False),
        (14, 176, 6, 1, False),
        (18, 304, 6, 2, False),
        (5, 512, 6, 1, False),
    ),
    "L": (
        (4, 32, 1, 1, True),
        (7, 64, 4, 2, True),
        (7, 96, 4, 2, True),
        (10, 192, 4, 2, False),
        (19, 224, 6, 1, False),
        (25, 384, 6, 2, False),
        (7, 640, 6, 1, False),
    ),
}
_STEM = {"B": 32, "S": 24, "M": 24, "L": 32}
_MEAN_RGB = (0.485, 0.456, 0.406)
_STDDEV_RGB = (0.229, 0.224, 0.225)

norm = partial(_blocks.norm, momentum=0.9)
_conv = partial(conv, kernel_initializer=FAN_OUT)
_rounded = partial(rounded, guard=False)


def _body(x: Any, options: Options, kind: str, width: float, depth: float) -> Any:
    if options.include_preprocessing:
        x = _preprocessed(x, kind)
    x = _conv(x, _rounded(_STEM[kind] * width), 3, "stem_conv", strides=2)
    x = activate(norm(x, "stem_bn"), "stem_activation", "swish")
    stacks = _STACKS[kind]
    # Keras counts the blocks of the unscaled network here, and calls it survival.
    total = sum(count for count, *_ in stacks)
    done = 0
    for stack, (count, filters, expansion, strides, fused) in enumerate(stacks, 1):
        block = _fused if fused else _plain
        for i in range(math.ceil(depth * count)):
            name = f"block{stack}{chr(97 + i)}_"
            inputs, filters_out = x, _rounded(filters * width)
            x = block(x, filters_out, expansion, 1 if i else strides, name)
            if (i or strides == 1) and channels(inputs) == filters_out:
                x = with_input(x, inputs, 0.2 * done / total, name)
            done += 1
    x = norm(_conv(x, _rounded(1280 * width), 1, "top_conv"), "top_bn")
    return activate(x, "top_activation", "swish")


def _preprocessed(x: Any, kind: str) -> Any:
    """From values in [0, 255] to those that the files were trained with."""
    if kind != "B" or channels(x) != 3:
        return layers.Rescaling(1 / 128, offset=-1)(x)
    return layers.Normalization(
        mean=_MEAN_RGB,
        variance=[s**2 for s in _STDDEV_RGB],
        axis=channel_axis(),
    )(layers.Rescaling(1 / 255)(x))


def _plain(x: Any, filters: int, expansion: int, strides: int, name: str) -> Any:
    given = channels(x)
    if expansion > 1:
        x = _conv(x, expansion * given, 1, f"{name}expand_conv")
        x = activate(norm(x, f"{name}expand_bn"), f"{name}expand_activation", "swish")
    x = depthwise(
        x,
        3,
        strides,
        f"{name}dwconv2",
        depthwise_initializer=FAN_OUT,
        padding="same",
    )
    x = activate(norm(x, f"{name}bn"), f"{name}activation", "swish")
    x = squeeze_excite(x, max(1, given // 4), name, kernel_initializer=FAN_OUT)
    return norm(_conv(x, filters, 1, f"{name}project_conv"), f"{name}project_bn")


def _fused(x: Any, filters: int, expansion: int, strides: int, name: str) -> Any:
    """Expansion and depthwise convolution as one ordinary convolution."""
    if expansion > 1:
        wide = expansion * channels(x)
        x = _conv(x, wide, 3, f"{name}expand_conv", strides=strides)
        x = activate(norm(x, f"{name}expand_bn"), f"{name}expand_activation", "swish")
        x = _conv(x, filters, 1, f"{name}project_conv")
        return norm(x, f"{name}project_bn")
    x = _conv(x, filters, 3, f"{name}project_conv", strides=strides)
    x = norm(x, f"{name}project_bn")
    return activate(x, f"{name}project_activation", "swish")


def _efficientnet(
    variant: str, width: float, depth: float, size: int, *digests: str
) -> Callable[..., Model]:
    model = f"efficientnetv2-{variant.lower()}"
    url = f"{STORE}efficientnet_v2/{model}"
    network = Network(
        f"EfficientNetV2{variant}",
        partial(_body, kind=variant[0], width=width, depth=depth),
        (File(f"{url}.h5", digests[0]), File(f"{url}_notop.h5", digests[1])),
        partial(
            pooled_head,
            dropout=0.2,
            kernel_initializer=FAN_OUT_DENSE,
            bias_initializer={"class_name": "Constant", "config": {"value": 0.0}},
        ),
        size=size,
    )

    return usual(
        network,
        "Smaller Models and Faster Training (arXiv:2104.00298).",
        arguments=USUAL.replace(" name", " include_preprocessing name"),
        name=model,
    )


EfficientNetV2B0 = _efficientnet(
    *("B0", 1.0, 1.0, 224),
    *("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
)
EfficientNetV2B1 = _efficientnet(
    *("B1", 1.0, 1.1, 240),
    *("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
)
EfficientNetV2B2 = _efficientnet(
    *("B2", 1.1, 1.2, 260),
    *("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
)
EfficientNetV2B3 = _efficientnet(
    *("B3", 1.2, 1.4, 300),
    *("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
)
EfficientNetV2S = _efficientnet(
    *("S", 1.0, 1.0, 384),
    *("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
)
EfficientNetV2M = _efficientnet(
    *("M", 1.0, 1.0, 480),
    *("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
)
EfficientNetV2L = _efficientnet(
    *("L", 1.0, 1.0, 480),
    *("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
)
preprocess_input = imagenet_utils.preprocessing(None)
decode_predictions = imagenet_utils.decode_predictions
