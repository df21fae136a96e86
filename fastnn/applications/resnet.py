# SPDX-License-Identifier: Apache-2.0
"""ResNet50, 101 and 152: residual bottlenecks (He et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import _blocks, imagenet_utils
from fastnn.applications._blocks import activate, pad
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels
from fastnn.models import Model

__all__ = ["ResNet50", "ResNet101", "ResNet152"]
__all__ += ["decode_predictions", "preprocess_input"]

# Bottlenecks in each of the four stacks, for both versions of the network.
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
FILTERS = (64, 128, 256, 512)

norm = partial(_blocks.norm, epsilon=1.001e-5)
conv = partial(_blocks.conv, padding="valid", use_bias=True)


def stem(x: Any) -> Any:
    """The first convolution, with strides of 2."""
    return conv(pad(x, 3, "conv1_pad"), 64, 7, "conv1_conv", strides=2)


def first_pool(x: Any) -> Any:
    """The maximum before the stacks, with strides of 2."""
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(pad(x, 1, "pool1_pad"))


def _body(x: Any, options: Options, depths: tuple[int, ...]) -> Any:
    x = activate(norm(stem(x), "conv1_bn"), "conv1_relu")
    x = first_pool(x)
    for stack, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 and stack > 2 else 1
            name = f"conv{stack}_block{block}"
            x = _bottleneck(x, filters, strides, block == 1, name)
    return x


def _bottleneck(x: Any, filters: int, strides: int, widens: bool, name: str) -> Any:
    """1x1, 3x3, 1x1 beside the input itself, or a 1x1 convolution of it."""
    shortcut = x
    if widens:
        shortcut = conv(x, 4 * filters, 1, f"{name}_0_conv", strides=strides)
        shortcut = norm(shortcut, f"{name}_0_bn")
    x = conv(x, filters, 1, f"{name}_1_conv", strides=strides)
    x = activate(norm(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = conv(x, filters, 3, f"{name}_2_conv", padding="same")
    x = activate(norm(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = norm(conv(x, 4 * filters, 1, f"{name}_3_conv"), f"{name}_3_bn")
    return activate(layers.Add(name=f"{name}_add")([shortcut, x]), f"{name}_out")


def _resnet(depth: int, *digests: str) -> Callable[..., Model]:
    body = partial(_body, depths=DEPTHS[depth])
    files = tf_kernels(f"resnet/resnet{depth}", *digests)
    return usual(
        Network(f"ResNet{depth}", body, files),
        "Deep Residual Learning for Image Recognition (arXiv:1512.03385).",
    )


ResNet50 = _resnet(
    50, "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"
)
ResNet101 = _resnet(
    101, "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"
)
ResNet152 = _resnet(
    152, "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"
)
preprocess_input = imagenet_utils.preprocessing("caffe")
decode_predictions = imagenet_utils.decode_predictions
