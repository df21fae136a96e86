# SPDX-License-Identifier: Apache-2.0
"""Further rows of the table of layers, compared with an installed Keras alone.

Layers given states and giving them back, cells, options that the recorded rows leave
at their defaults.
"""

from __future__ import annotations

from typing import Any

from layer_table import FIRST, IMAGE, Case, Inner
from layer_table import case as recorded_case

CASES: list[Case] = []


def case(layer: str, /, *shapes: tuple[int, ...], **options: Any) -> None:
    recorded_case(layer, *shapes, table=CASES, **options)


# States
STATES = {"states": "initial_state", "return_state": True}
ROWS, STATE = (3, 5, 4), (3, 6)
for _name, _count in (("SimpleRNN", 1), ("GRU", 1), ("LSTM", 2)):
    for _more in (
        {},
        {"return_sequences": True, "masked": True},
        {"go_backwards": True, "unroll": True},
        {"stateful": True},
        {"stateful": True, "return_sequences": True, "masked": True},
    ):
        case(_name, ROWS, *[STATE] * _count, units=6, **STATES, **_more)
    case(_name, ROWS, units=6, return_state=True, stateful=True)
    case(_name, (3, 4), *[STATE] * _count, units=6, states="states")
    CASES[-1] = CASES[-1]._replace(name=f"{_name}Cell+0", layer=f"{_name}Cell")
    case(
        "RNN",
        ROWS,
        *[STATE] * _count,
        cell=Inner(f"{_name}Cell", {"units": 6, "activation": "relu"}),
        return_sequences=True,
        **STATES,
    )
    case(
        "Bidirectional",
        ROWS,
        *[STATE] * (2 * _count),
        layer=Inner(_name, {"units": 6, "return_state": True}),
        states="initial_state",
        masked=_name == "LSTM",
    )
_CELLS = [Inner("SimpleRNNCell", {"units": 6}), Inner("GRUCell", {"units": 5})]
case("StackedRNNCells", (3, 4), STATE, (3, 5), cells=_CELLS, states="states")
case("RNN", ROWS, STATE, (3, 5), cell=_CELLS, **STATES)
case("RNN", ROWS, cell=_CELLS, return_state=True, go_backwards=True, masked=True)
case("ConvLSTM1D", (2, 3, 6, 2), filters=3, kernel_size=3, return_state=True)
case(
    "ConvLSTM2D",
    (2, 3, 5, 4, 2),
    (2, 5, 4, 3),
    (2, 5, 4, 3),
    filters=3,
    kernel_size=3,
    padding="same",
    **STATES,
)
case(
    "ConvLSTM2D",
    (2, 3, 5, 4, 2),
    filters=2,
    kernel_size=2,
    recurrent_activation="hard_sigmoid",
    unit_forget_bias=False,
    stateful=True,
)

# Layers with several outputs
for _name, _scores in (("Attention", {}), ("AdditiveAttention", {})):
    case(
        _name,
        (2, 3, 4),
        (2, 5, 4),
        options={"return_attention_scores": True, "use_causal_mask": True},
    )
case("Attention", (2, 3, 4), (2, 5, 4), score_mode="concat", use_scale=True)
for _name, _arguments in (
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
    ),
):
    case(
        _name,
        (2, 3, 4),
        (2, 5, 4),
        spread=True,
        options={"return_attention_scores": True},
        masks={"attention_mask": (2, 3, 5)},
        **_arguments,
    )
    case(
        _name,
        (2, 3, 4),
        (2, 3, 4),
        spread=True,
        masks={"key_mask": (2, 3), "value_mask": (2, 3)},
        **_arguments,
    )

# Options
case("Activation", (3, 5), activation="softmax")
case("BatchNormalization", (3, 4, 5), training=True, masked=True)
case("BatchNormalization", (3, 4, 5), training=True, synchronized=False, axis=-2)
case("LayerNormalization", (2, 3, 4), axis=(-2, -1), scale=False, center=False)
case("GroupNormalization", (2, 3, 4, 6), groups=6)
case("GroupNormalization", (2, 3, 4, 6), groups=1, scale=False, center=False)
case("UnitNormalization", (2, 3, 4), axis=1)
case("Conv1D", (2, 9, 4), filters=4, kernel_size=3, activation="gelu", strides=2)
case("Conv2D", IMAGE, filters=4, kernel_size=2, dilation_rate=2, activation="elu")
case("Conv2D", IMAGE, filters=4, kernel_size=3, strides=3, padding="same")
case("Conv3D", (2, 5, 4, 6, 2), filters=2, kernel_size=2, groups=2, dilation_rate=2)
case(
    "Conv1DTranspose",
    (2, 5, 4),
    filters=3,
    kernel_size=3,
    strides=2,
    output_padding=1,
    padding="same",
    activation="tanh",
)
case("Conv2DTranspose", (2, 4, 5, 3), filters=2, kernel_size=2, strides=3)
case("Conv3DTranspose", (1, 2, 3, 2, 3), filters=2, kernel_size=2, **FIRST)
case("DepthwiseConv1D", (2, 9, 3), kernel_size=3, strides=2, use_bias=False)
case("DepthwiseConv1D", (2, 9, 3), kernel_size=3, dilation_rate=2)
case("SeparableConv1D", (2, 9, 3), filters=4, kernel_size=3, dilation_rate=2)
case("SeparableConv2D", IMAGE, filters=4, kernel_size=3, dilation_rate=2)
case("MaxPooling2D", IMAGE, pool_size=3, strides=1, padding="same")
case("AveragePooling2D", IMAGE, pool_size=3, strides=1, padding="same")
case("MaxPooling1D", (2, 7, 3), pool_size=2, strides=3)
case("MaxPooling3D", (2, 5, 4, 6, 2), pool_size=3, strides=2, padding="same")
case("Concatenate", (2, 3), (2, 4), (2, 1), axis=-1)
case("Dot", (2, 3, 4), (2, 4, 5), axes=(-1, -2))
case("Dot", (2, 4, 3), (2, 5, 3), axes=2)
case("Embedding", (3, 4), classes=7, input_dim=7, output_dim=3, mask_zero=True)
case("Dense", (3, 5), units=4, activation="softmax")
case("Dense", (2, 3, 4, 5), units=3, activation="silu")
case("Flatten", (3,))
case("Flatten", (2, 3, 1, 2), **FIRST)
case("Permute", (2, 3, 4, 5), dims=(3, 1, 2))
case("Reshape", (2, 12), target_shape=(3, -1, 2))
case("Cropping3D", (1, 4, 5, 6, 2), cropping=((1, 0), (0, 2), (1, 1)))
case("ZeroPadding3D", (1, 2, 2, 3, 2), padding=2, **FIRST)
for _way in ("nearest", "bilinear"):
    case("UpSampling2D", (1, 3, 4, 2), size=(2, 3), interpolation=_way)
case("Normalization", (3, 4), axis=-1, mean=[0.5, 1, 2, 3], variance=[1, 2, 3, 4])
case("Softmax", (3, 4, 5), axis=-2)
case("Softmax", (3, 4), masks={"mask": (3, 4)})
case("PReLU", (2, 4, 5, 3), shared_axes=[1, 2])
case("ReLU", (3, 5), threshold=0.5)
case("ReLU", (3, 5), max_value=0.3, negative_slope=0.5)
case(
    "EinsumDense",
    (2, 3, 5),
    equation="abc,cd->abd",
    output_shape=(3, 4),
    bias_axes="bd",
)
case("TimeDistributed", ROWS, layer=Inner("LSTM", {"units": 3}))
CASES[-1] = CASES[-1]._replace(shapes=((2, 3, 4, 5),))
case("TimeDistributed", ROWS, layer=Inner("Dropout", {"rate": 0.5}), training=False)
case(
    "SpectralNormalization",
    (3, 5),
    layer=Inner("Dense", {"units": 4}),
    power_iterations=2,
)
case("Lambda", (3, 5), function=lambda x: x * 2 + 1)
