# SPDX-License-Identifier: Apache-2.0
"""ResNet50V2, 101V2 and 152V2: normalization before convolution (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import activate, pad
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels
from fastnn.applications.resnet import (
    DEPTHS,
    FILTERS,
    conv,
    first_pool,
    norm,
    stem,
)
from fastnn.models import Model

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2"]
__all__ += ["decode_predictions", "preprocess_input"]


def _body(x: Any, options: Options, depths: tuple[int, ...]) -> Any:
    x = first_pool(stem(x))
    for stack, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == depth and stack < 5 else 1
            name = f"conv{stack}_block{block}"
            x = _bottleneck(x, filters, strides, block == 1, name)
    return activate(norm(x, "post_bn"), "post_relu")


def _bottleneck(x: Any, filters: int, strides: int, widens: bool, name: str) -> Any:
    """As in `resnet`, but each convolution comes after its normalization."""
    before = activate(norm(x, f"{name}_preact_bn"), f"{name}_preact_relu")
    shortcut = x
    if widens:
        shortcut = conv(before, 4 * filters, 1, f"{name}_0_conv", strides=strides)
    elif strides > 1:
        shortcut = layers.MaxPooling2D(1, strides=strides)(x)
    x = conv(before, filters, 1, f"{name}_1_conv", use_bias=False)
    x = activate(norm(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = pad(x, 1, f"{name}_2_pad")
    x = conv(x, filters, 3, f"{name}_2_conv", strides=strides, use_bias=False)
    x = activate(norm(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = conv(x, 4 * filters, 1, f"{name}_3_conv")
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _resnet(depth: int, *digests: str) -> Callable[..., Model]:
    body = partial(_body, depths=DEPTHS[depth])
    files = tf_kernels(f"resnet/resnet{depth}v2", *digests)
    return usual(
        Network(f"ResNet{depth}V2", body, files),
        "Identity Mappings in Deep Residual Networks (arXiv:1603.05027).",
    )


ResNet50V2 = _resnet(
    50, "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"
)
ResNet101V2 = _resnet(
    101, "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"
)
ResNet152V2 = _resnet(
    152, "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
