# SPDX-License-Identifier: Apache-2.0
"""Xception: residual stacks of separable convolutions (Chollet 2017)."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import activate, conv, norm
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


def _body(x: Any, options: Options) -> Any:
    for i, (filters, strides) in enumerate(((32, 2), (64, 1)), 1):
        name = f"block1_conv{i}"
        x = conv(x, filters, 3, name, strides=strides, padding="valid")
        x = activate(norm(x, f"{name}_bn"), f"{name}_act")
    x = _shrinking(x, 2, 128, 128, relu_first=False)
    x = _shrinking(x, 3, 256, 256)
    x = _shrinking(x, 4, 728, 728)
    for block in range(5, 13):
        residual = x
        for i in (1, 2, 3):
            x = _separable(x, 728, f"block{block}_sepconv{i}", relu="before")
        x = layers.add([x, residual])
    x = _shrinking(x, 13, 728, 1024)
    x = _separable(x, 1536, "block14_sepconv1", relu="after")
    return _separable(x, 2048, "block14_sepconv2", relu="after")


def _shrinking(
    x: Any, block: int, first: int, second: int, relu_first: bool = True
) -> Any:
    """Two separable convolutions and a maximum, beside a convolution of the input."""
    residual = norm(conv(x, second, 1, strides=2))
    name = f"block{block}_sepconv"
    x = _separable(x, first, f"{name}1", relu="before" if relu_first else "")
    x = _separable(x, second, f"{name}2", relu="before")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return layers.add([x, residual])


def _separable(x: Any, filters: int, name: str, relu: str) -> Any:
    if relu == "before":
        x = activate(x, f"{name}_act")
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = norm(x, f"{name}_bn")
    return activate(x, f"{name}_act") if relu == "after" else x


Xception = usual(
    Network(
        "Xception",
        _body,
        tf_kernels(
            "xception/xception",
            "0a58e3b7378bc2990ea3b43d5981f1f6",
            "b0042744bf5b25fce3cb969f33bebb97",
        ),
        size=299,
        smallest=71,
        named_pooling=False,
    ),
    "Xception: Deep Learning with Depthwise Separable Convolutions (arXiv:1610.02357).",
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
