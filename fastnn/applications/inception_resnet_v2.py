# SPDX-License-Identifier: Apache-2.0
"""InceptionResNetV2: towers of Inception as residuals (Szegedy et al. 2016)."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn._registry import export
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import (
    activate,
    channels,
    conv,
    conv_norm,
    join,
    mean_tower,
    towers,
)
from fastnn.applications._builder import usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import Network, tf_kernels
from fastnn.applications.inception_v3 import stem

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]


@export("keras.src.applications.inception_resnet_v2")
class CustomScaleLayer(layers.Layer):
    """x + scale * residual, of the inputs [x, residual]."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        x, residual = inputs
        return x + residual * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


# Kind of block -> towers.
_BLOCKS = {
    "block35": ("32:1", "32:1 32:3", "32:1 48:3 64:3"),
    "block17": ("192:1", "128:1 160:1x7 192:7x1"),
    "block8": ("192:1", "192:1 224:1x3 256:3x1"),
}


def _body(x: Any, options: Options) -> Any:
    x = stem(x)
    parts = towers(x, "96:1", "48:1 64:5", "64:1 96:3 96:3")
    x = join([*parts, mean_tower(x, 64)], "mixed_5b")
    for i in range(1, 11):
        x = _residual(x, "block35", i, 0.17)
    x = _shrinking(x, "mixed_6a", "384:3/2", "256:1 256:3 384:3/2")
    for i in range(1, 21):
        x = _residual(x, "block17", i, 0.1)
    x = _shrinking(
        x, "mixed_7a", "256:1 384:3/2", "256:1 288:3/2", "256:1 288:3 320:3/2"
    )
    for i in range(1, 10):
        x = _residual(x, "block8", i, 0.2)
    x = _residual(x, "block8", 10, 1.0, relu=False)
    return conv_norm(x, 1536, 1, "conv_7b")


def _shrinking(x: Any, name: str, *branches: str) -> Any:
    parts = towers(x, *branches)
    return join([*parts, layers.MaxPooling2D(3, strides=2)(x)], name)


def _residual(x: Any, kind: str, number: int, scale: float, relu: bool = True) -> Any:
    name = f"{kind}_{number}"
    mixed = join(towers(x, *_BLOCKS[kind]), f"{name}_mixed")
    residual = conv(mixed, channels(x), 1, f"{name}_conv", use_bias=True)
    x = CustomScaleLayer(scale)([x, residual])
    return activate(x, f"{name}_ac") if relu else x


InceptionResNetV2 = usual(
    Network(
        "InceptionResNetV2",
        _body,
        tf_kernels(
            "inception_resnet_v2/inception_resnet_v2",
            "e693bd0210a403b3192acc6073ad2e96",
            "d19885ff4a710c122648d3b5c3b684e4",
        ),
        size=299,
        smallest=75,
        named_pooling=False,
    ),
    "Inception-v4, Inception-ResNet and the Impact of Residual Connections on "
    "Learning (arXiv:1602.07261).",
    name="inception_resnet_v2",
)
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
