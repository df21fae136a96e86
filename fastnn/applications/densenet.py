# SPDX-License-Identifier: Apache-2.0
"""DenseNet121, 169 and 201: every layer reads all before it (Huang et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import activate, channels, conv, join, pad
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels
from fastnn.applications.resnet import norm
from fastnn.models import Model

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201"]
__all__ += ["decode_predictions", "preprocess_input"]

_GROWTH = 32  # channels that a layer adds


def _body(x: Any, options: Options, depths: tuple[int, ...]) -> Any:
    x = conv(pad(x, 3), 64, 7, "conv1_conv", strides=2, padding="valid")
    x = activate(norm(x, "conv1_bn"), "conv1_relu")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(pad(x, 1))
    for stack, depth in enumerate(depths, 2):
        for block in range(1, depth + 1):
            x = _growing(x, f"conv{stack}_block{block}")
        if stack < 5:
            x = _halving(x, f"pool{stack}")
    return activate(norm(x, "bn"), "relu")


def _growing(x: Any, name: str) -> Any:
    new = activate(norm(x, f"{name}_0_bn"), f"{name}_0_relu")
    new = conv(new, 4 * _GROWTH, 1, f"{name}_1_conv", padding="valid")
    new = activate(norm(new, f"{name}_1_bn"), f"{name}_1_relu")
    new = conv(new, _GROWTH, 3, f"{name}_2_conv")
    return join([x, new], f"{name}_concat")


def _halving(x: Any, name: str) -> Any:
    """Half the channels, rows and columns."""
    x = activate(norm(x, f"{name}_bn"), f"{name}_relu")
    x = conv(x, channels(x) // 2, 1, f"{name}_conv", padding="valid")
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _densenet(
    title: str, *depths: int, digests: tuple[str, str]
) -> Callable[..., Model]:
    name = title.lower()
    return usual(
        Network(
            title,
            partial(_body, depths=depths),
            tf_kernels(f"densenet/{name}", *digests),
            channels_last_only=True,
        ),
        "Densely Connected Convolutional Networks (arXiv:1608.06993).",
    )


DenseNet121 = _densenet(
    "DenseNet121",
    *(6, 12, 24, 16),
    digests=("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
)
DenseNet169 = _densenet(
    "DenseNet169",
    *(6, 12, 32, 32),
    digests=("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
)
DenseNet201 = _densenet(
    "DenseNet201",
    *(6, 12, 48, 32),
    digests=("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
)
preprocess_input = imagenet_utils.preprocessing("torch")
decode_predictions = imagenet_utils.decode_predictions
