# SPDX-License-Identifier: Apache-2.0
"""MobileNet: depthwise convolutions for small machines (Howard et al. 2017)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import conv, depthwise, norm, pad
from fastnn.applications._builder import builder
from fastnn.applications._checks import Options, check, image_shape, rows_and_columns
from fastnn.applications._frame import STORE, File, Network
from fastnn.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

_SMALLEST = 32
_SIZES = (128, 160, 192, 224)  # of images, with trained weights
_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
# Filters and strides of the 13 blocks.
_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)


def _build(
    options: Options, alpha: float, depth_multiplier: int, dropout: float
) -> Model:
    title = "MobileNet"
    check(title, options)
    shape = image_shape(
        title, options, known_size(options.input_shape, _SIZES), _SMALLEST
    )
    rows = rows_and_columns(shape)[0]
    if options.weights == "imagenet":
        if depth_multiplier != 1:
            raise ValueError(
                f"[{title}] weights='imagenet' needs depth_multiplier=1, received "
                f"{depth_multiplier}."
            )
        check_alpha(title, alpha, tuple(_ALPHAS))
        rows = trained_size(title, shape, _SIZES)
    stem = f"{STORE}mobilenet/mobilenet_{_ALPHAS.get(alpha)}_{rows}_tf"
    network = Network(
        title,
        partial(_body, alpha=alpha, multiplier=depth_multiplier),
        (File(f"{stem}.h5"), File(f"{stem}_no_top.h5")),
        partial(_head, dropout=dropout),
        named_pooling=False,
    )
    name = options.name
    name = f"mobilenet_{alpha:0.2f}_{rows}" if name is None else name
    return network.build(options._replace(name=name), shape)


def _body(x: Any, options: Options, alpha: float, multiplier: int) -> Any:
    x = conv(x, int(32 * alpha), 3, "conv1", strides=2)
    x = _relu6(norm(x, "conv1_bn"), "conv1_relu")
    for i, (filters, strides) in enumerate(_BLOCKS, 1):
        if strides == 2:
            x = pad(x, ((0, 1), (0, 1)), f"conv_pad_{i}")
        x = depthwise(x, 3, strides, f"conv_dw_{i}", depth_multiplier=multiplier)
        x = _relu6(norm(x, f"conv_dw_{i}_bn"), f"conv_dw_{i}_relu")
        x = conv(x, int(filters * alpha), 1, f"conv_pw_{i}")
        x = _relu6(norm(x, f"conv_pw_{i}_bn"), f"conv_pw_{i}_relu")
    return x


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=name)(x)


def _head(x: Any, options: Options, dropout: float) -> Any:
    """The classifier as a convolution, whose weights the trained files hold."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = conv(x, options.classes, 1, "conv_preds", use_bias=True)
    x = layers.Reshape((options.classes,), name="reshape_2")(x)
    return layers.Activation(options.classifier_activation, name="predictions")(x)


# ---- what the networks whose files know several sizes share ------------------------


def known_size(input_shape: Any, sizes: Sequence[int]) -> int:
    """Rows of a square image whose size is among `sizes`, else 224."""
    if input_shape is None or len(input_shape) != 3:
        return 224
    rows, columns = rows_and_columns(input_shape)
    return rows if rows is not None and rows == columns and rows in sizes else 224


def check_alpha(title: str, alpha: float, known: Sequence[float]) -> None:
    """Raises ValueError for a width that no weights were trained for."""
    if alpha not in known:
        raise ValueError(
            f"[{title}] weights='imagenet' exist for alpha {', '.join(map(str, known))}"
            f", received {alpha}."
        )


def trained_size(title: str, shape: Any, sizes: Sequence[int]) -> int:
    """The size for which weights were trained that fits an image's shape."""
    rows, columns = rows_and_columns(shape)
    if rows is not None and rows == columns and rows in sizes:
        return rows
    warnings.warn(
        f"[{title}] input_shape is open, not square, or of a size not among "
        f"{', '.join(map(str, sizes))}: the weights trained for (224, 224) are loaded.",
        stacklevel=3,
    )
    return 224


MobileNet = builder(
    "MobileNet",
    _build,
    "Efficient Convolutional Neural Networks for Mobile Vision Applications "
    "(arXiv:1704.04861).",
    "input_shape alpha depth_multiplier dropout include_top weights input_tensor "
    "pooling classes classifier_activation name",
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
