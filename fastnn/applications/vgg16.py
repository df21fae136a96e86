# SPDX-License-Identifier: Apache-2.0
"""VGG16: plain stacks of 3x3 convolutions (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

PAPER = (
    "Very Deep Convolutional Networks for Large-Scale Image Recognition "
    "(arXiv:1409.1556)."
)


def stacks(x: Any, counts: tuple[int, ...]) -> Any:
    """Five blocks with so many convolutions each, and a maximum at the end of each."""
    for block, (count, filters) in enumerate(
        zip(counts, (64, 128, 256, 512, 512), strict=True), 1
    ):
        for i in range(1, count + 1):
            x = layers.Conv2D(
                filters,
                3,
                activation="relu",
                padding="same",
                name=f"block{block}_conv{i}",
            )(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    return x


def head(x: Any, options: Options) -> Any:
    """Two wide layers and the classifier."""
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    activation = options.classifier_activation
    return layers.Dense(options.classes, activation=activation, name="predictions")(x)


VGG16 = usual(
    Network(
        "VGG16",
        lambda x, options: stacks(x, (2, 2, 3, 3, 3)),
        tf_kernels(
            "vgg16/vgg16",
            "64373286793e3c8b2b4e3219cbf3544b",
            "6d6bbae143d832006294945121d1f1fc",
        ),
        head,
        named_pooling=False,
    ),
    PAPER,
)
preprocess_input = imagenet_utils.preprocessing("caffe")
decode_predictions = imagenet_utils.decode_predictions
