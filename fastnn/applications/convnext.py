# SPDX-License-Identifier: Apache-2.0
"""ConvNeXtTiny to XLarge: convolutions in the manner of transformers (Liu et al. 2022).

Blocks are dropped at random in the paper; Keras's networks drop none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn._registry import export
from fastnn.applications import imagenet_utils
from fastnn.applications._blocks import activate, channels, conv
from fastnn.applications._builder import USUAL, usual
from fastnn.applications._checks import Options
from fastnn.applications._frame import STORE, File, Network
from fastnn.models import Model, Sequential

__all__ = [f"ConvNeXt{v}" for v in "Base Large Small Tiny XLarge".split()]
__all__ += ["decode_predictions", "preprocess_input"]

_MEAN_RGB = (0.485, 0.456, 0.406)
_STDDEV_RGB = (0.229, 0.224, 0.225)
_SCALE = 1e-6  # of a block, at the beginning

norm = partial(layers.LayerNormalization, epsilon=1e-6)


@export("keras.src.applications.convnext")
class LayerScale(layers.Layer):
    """A trained factor per channel (Touvron et al. 2021, arXiv:2103.17239).

    Args:
        init_values: what the factors are at the beginning.
        projection_dim: how many channels.
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(
            (self.projection_dim,),
            {"class_name": "Constant", "config": {"value": self.init_values}},
        )

    def call(self, x: Any) -> Any:
        return x * self.gamma

    def get_config(self) -> dict[str, Any]:
        own = {"init_values": self.init_values, "projection_dim": self.projection_dim}
        return {**super().get_config(), **own}


def _body(
    x: Any, options: Options, depths: tuple[int, ...], widths: tuple[int, ...]
) -> Any:
    name = options.name
    if options.include_preprocessing and channels(x) == 3:
        x = layers.Normalization(
            mean=[255 * m for m in _MEAN_RGB],
            variance=[(255 * s) ** 2 for s in _STDDEV_RGB],
            name=f"{name}_prestem_normalization",
        )(x)
    shrinking = [
        Sequential(
            [
                layers.Conv2D(widths[0], 4, strides=4, name=f"{name}_stem_conv"),
                norm(name=f"{name}_stem_layernorm"),
            ],
            name=f"{name}_stem",
        )
    ]
    shrinking += [
        Sequential(
            [
                norm(name=f"{name}_downsampling_layernorm_{i}"),
                layers.Conv2D(
                    width, 2, strides=2, name=f"{name}_downsampling_conv_{i}"
                ),
            ],
            name=f"{name}_downsampling_block_{i}",
        )
        for i, width in enumerate(widths[1:])
    ]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        x = shrinking[stage](x)
        for i in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{i}")
    return x


def _block(x: Any, width: int, name: str) -> Any:
    inputs = x
    x = conv(x, width, 7, f"{name}_depthwise_conv", groups=width, use_bias=True)
    x = norm(name=f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = activate(x, f"{name}_gelu", "gelu")
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(_SCALE, width, name=f"{name}_layer_scale")(x)
    return inputs + activate(x, f"{name}_identity", "linear")


def _head(x: Any, options: Options) -> Any:
    name = options.name
    x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    x = norm(name=f"{name}_head_layernorm")(x)
    activation = options.classifier_activation
    return layers.Dense(
        options.classes, activation=activation, name=f"{name}_head_dense"
    )(x)


def _convnext(
    variant: str, blocks: int, width: int, *digests: str
) -> Callable[..., Model]:
    """Three stages of 3 blocks and one of `blocks`; each doubles the width."""
    model = f"convnext_{variant.lower()}"
    url = f"{STORE}convnext/{model}"
    network = Network(
        f"ConvNeXt{variant}",
        partial(
            _body,
            depths=(3, 3, blocks, 3),
            widths=(width, 2 * width, 4 * width, 8 * width),
        ),
        (File(f"{url}.h5", digests[0]), File(f"{url}_notop.h5", digests[1])),
        _head,
        named_pooling=False,
        after_pooling=lambda x: norm()(x),
        channels_last_only=True,
    )

    return usual(
        network,
        "A ConvNet for the 2020s (arXiv:2201.03545).",
        arguments=USUAL.replace(" weights", " include_preprocessing weights"),
        name=model,
    )


ConvNeXtTiny = _convnext(
    *("Tiny", 9, 96),
    "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
    "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
)
ConvNeXtSmall = _convnext(
    *("Small", 27, 96),
    "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
    "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
)
ConvNeXtBase = _convnext(
    *("Base", 27, 128),
    "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
    "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
)
ConvNeXtLarge = _convnext(
    *("Large", 27, 192),
    "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
    "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
)
ConvNeXtXLarge = _convnext(
    *("XLarge", 27, 256),
    "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
    "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
)
preprocess_input = imagenet_utils.preprocessing(None)
decode_predictions = imagenet_utils.decode_predictions
