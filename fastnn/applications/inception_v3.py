# SPDX-License-Identifier: Apache-2.0
"""InceptionV3: towers of factorized convolutions side by side (Szegedy et al. 2015)."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import join, mean_tower, tower, towers
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]


def stem(x: Any) -> Any:
    """From the image to 35x35 places of 192 channels."""
    x = tower(x, "32:3/2 32:3! 64:3")
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = tower(x, "80:1! 192:3!")
    return layers.MaxPooling2D(3, strides=2)(x)


def _body(x: Any, options: Options) -> Any:
    x = stem(x)
    for i, filters in enumerate((32, 64, 64)):
        parts = towers(x, "64:1", "48:1 64:5", "64:1 96:3 96:3")
        x = join([*parts, mean_tower(x, filters)], f"mixed{i}")
    parts = towers(x, "384:3/2", "64:1 96:3 96:3/2")
    x = join([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed3")
    for i, n in enumerate((128, 160, 160, 192), 4):
        parts = towers(
            x,
            "192:1",
            f"{n}:1 {n}:1x7 192:7x1",
            f"{n}:1 {n}:7x1 {n}:1x7 {n}:7x1 192:1x7",
        )
        x = join([*parts, mean_tower(x, 192)], f"mixed{i}")
    parts = towers(x, "192:1 320:3/2", "192:1 192:1x7 192:7x1 192:3/2")
    x = join([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed8")
    for i in (0, 1):
        single = tower(x, "320:1")
        flat = join(towers(tower(x, "384:1"), "384:1x3", "384:3x1"), f"mixed9_{i}")
        deep = join(towers(tower(x, "448:1 384:3"), "384:1x3", "384:3x1"))
        x = join([single, flat, deep, mean_tower(x, 192)], f"mixed{9 + i}")
    return x


InceptionV3 = usual(
    Network(
        "InceptionV3",
        _body,
        tf_kernels(
            "inception_v3/inception_v3",
            "9a0d58056eeedaa3f26cb7ebd46da564",
            "bcbd6486424b2319ff4ef7d526e38f63",
        ),
        size=299,
        smallest=75,
        named_pooling=False,
    ),
    "Rethinking the Inception Architecture for Computer Vision (arXiv:1512.00567).",
    name="inception_v3",
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
