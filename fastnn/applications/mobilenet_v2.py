# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al. 2018)."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import _blocks, imagenet_utils
from fastnn.applications._blocks import (
    channels,
    conv,
    depthwise,
    half_padding,
    pad,
    rounded,
)
from fastnn.applications._builder import builder
from fastnn.applications._checks import Options, check, image_shape, rows_and_columns
from fastnn.applications._frame import STORE, File, Network, pooled_head
from fastnn.applications.mobilenet import check_alpha, known_size, trained_size
from fastnn.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

_SMALLEST = 32
_SIZES = (96, 128, 160, 192, 224)  # of images, with trained weights
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# Filters, strides of the first, how many: the stacks after the first block.
_STACKS = ((24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))

norm = partial(_blocks.norm, epsilon=1e-3, momentum=0.999)


def _build(options: Options, alpha: float) -> Model:
    title = "MobileNetV2"
    check(title, options)
    check_tensor(title, options)
    seen = options.input_shape
    if seen is None and options.input_tensor is not None:
        seen = options.input_tensor.shape[1:]
    shape = image_shape(title, options, known_size(seen, _SIZES), _SMALLEST)
    rows = rows_and_columns(shape)[0]
    if options.weights == "imagenet":
        check_alpha(title, alpha, _ALPHAS)
        rows = trained_size(title, shape, _SIZES)
    stem = "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
    stem = f"{STORE}{stem}_{float(alpha)}_{rows}"
    network = Network(
        title,
        partial(_body, alpha=alpha),
        (File(f"{stem}.h5"), File(f"{stem}_no_top.h5")),
        partial(pooled_head, pool=None),
        named_pooling=False,
    )
    name = options.name
    name = f"mobilenetv2_{alpha:0.2f}_{rows}" if name is None else name
    return network.build(options._replace(name=name), shape)


def check_tensor(title: str, options: Options) -> None:
    """Raises ValueError for an input tensor of another size than the input shape."""
    image, shape = options.input_tensor, options.input_shape
    if image is None or shape is None:
        return
    if rows_and_columns(image.shape[1:])[1] != rows_and_columns(shape)[1]:
        raise ValueError(
            f"[{title}] input_shape must be that of input_tensor; received "
            f"input_shape={tuple(shape)} and a tensor of shape {image.shape}."
        )


def _body(x: Any, options: Options, alpha: float) -> Any:
    x = conv(x, rounded(32 * alpha), 3, "Conv1", strides=2)
    x = _relu6(norm(x, "bn_Conv1"), "Conv1_relu")
    x = _inverted(x, int(16 * alpha), 1, 1, "expanded_conv_")
    number = 1
    for filters, strides, count in _STACKS:
        for i in range(count):
            name = f"block_{number}_"
            x = _inverted(x, int(filters * alpha), 1 if i else strides, 6, name)
            number += 1
    x = conv(x, rounded(1280 * max(alpha, 1.0)), 1, "Conv_1", padding="valid")
    return _relu6(norm(x, "Conv_1_bn"), "out_relu")


def _inverted(x: Any, filters: int, strides: int, expansion: int, name: str) -> Any:
    """More channels, a depthwise convolution, few channels, and the input again."""
    inputs, filters = x, rounded(filters)
    if expansion > 1:
        x = conv(x, expansion * channels(x), 1, f"{name}expand")
        x = _relu6(norm(x, f"{name}expand_BN"), f"{name}expand_relu")
    if strides == 2:
        x = pad(x, half_padding(x, 3), f"{name}pad")
    x = depthwise(x, 3, strides, f"{name}depthwise")
    x = _relu6(norm(x, f"{name}depthwise_BN"), f"{name}depthwise_relu")
    x = norm(conv(x, filters, 1, f"{name}project"), f"{name}project_BN")
    if strides == 1 and channels(inputs) == filters:
        return layers.Add(name=f"{name}add")([inputs, x])
    return x


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=name)(x)


MobileNetV2 = builder(
    "MobileNetV2",
    _build,
    "Inverted Residuals and Linear Bottlenecks (arXiv:1801.04381).",
    "input_shape alpha include_top weights input_tensor pooling classes "
    "classifier_activation name",
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
