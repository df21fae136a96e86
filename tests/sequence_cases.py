# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of layers: recurrent layers, attention and wrappers."""

from __future__ import annotations

from layer_table import FIRST, Inner, case

# Recurrent layers
ROWS = (3, 5, 4)
case("SimpleRNN", ROWS, units=6)
case("SimpleRNN", ROWS, units=5, return_sequences=True, go_backwards=True, masked=True)
case("SimpleRNN", ROWS, units=5, activation="relu", return_sequences=True)
case("SimpleRNN", ROWS, units=5, activation="sigmoid", use_bias=False, masked=True)
case("SimpleRNN", ROWS, units=5, unroll=True)
for _gated in ("LSTM", "GRU"):
    case(_gated, ROWS, units=6)
    case(_gated, ROWS, units=5, return_sequences=True)
    case(_gated, ROWS, units=5, return_sequences=True, masked=True)
    case(_gated, ROWS, units=5, masked=True)
    case(_gated, ROWS, units=5, return_sequences=True, go_backwards=True)
    case(_gated, ROWS, units=5, go_backwards=True, masked=True, use_bias=False)
    case(_gated, ROWS, units=5, activation="relu", return_sequences=True, masked=True)
    case(_gated, ROWS, units=5, recurrent_activation="hard_sigmoid", unroll=True)
    case(_gated, ROWS, units=5, implementation=1, activation=None, masked=True)
    case(_gated, ROWS, units=19, return_sequences=True)
case("LSTM", ROWS, units=5, unit_forget_bias=False)
case("GRU", ROWS, units=5, reset_after=False)
case("GRU", ROWS, units=5, reset_after=False, use_bias=False, return_sequences=True)
case("GRU", ROWS, units=5, reset_after=False, implementation=1, masked=True)
case("RNN", ROWS, cell=Inner("LSTMCell", {"units": 5}), masked=True)
case("RNN", ROWS, cell=Inner("SimpleRNNCell", {"units": 5}), return_sequences=True)
case(
    "RNN",
    ROWS,
    cell=[Inner("LSTMCell", {"units": 5}), Inner("GRUCell", {"units": 3})],
    return_sequences=True,
)
case(
    "RNN",
    ROWS,
    cell=Inner("GRUCell", {"units": 3}),
    return_sequences=True,
    zero_output_for_mask=True,
    masked=True,
)
_sequences = {"units": 4, "return_sequences": True}
case("Bidirectional", ROWS, layer=Inner("LSTM", {"units": 4}))
case("Bidirectional", ROWS, layer=Inner("GRU", _sequences), masked=True)
case("Bidirectional", ROWS, layer=Inner("LSTM", _sequences), merge_mode="sum")
case("Bidirectional", ROWS, layer=Inner("SimpleRNN", _sequences), merge_mode="mul")
case(
    "Bidirectional",
    ROWS,
    layer=Inner("LSTM", _sequences),
    backward_layer=Inner("GRU", {**_sequences, "go_backwards": True}),
    merge_mode="ave",
    masked=True,
)
case("TimeDistributed", ROWS, layer=Inner("Dense", {"units": 6}))
case(
    "TimeDistributed",
    (2, 3, 5, 6, 2),
    layer=Inner("Conv2D", {"filters": 3, "kernel_size": 2}),
    masked=True,
)
case("TimeDistributed", ROWS, layer=Inner("BatchNormalization", {}), training=True)
case("ConvLSTM1D", (2, 3, 6, 2), filters=3, kernel_size=3)
case("ConvLSTM1D", (2, 3, 2, 6), filters=3, kernel_size=2, padding="same", **FIRST)
case("ConvLSTM2D", (2, 3, 5, 4, 2), filters=2, kernel_size=3, return_sequences=True)
case(
    "ConvLSTM2D",
    (2, 3, 5, 4, 2),
    filters=2,
    kernel_size=(2, 3),
    strides=2,
    padding="same",
    go_backwards=True,
    use_bias=False,
)
case("ConvLSTM3D", (1, 2, 3, 4, 3, 2), filters=2, kernel_size=2, activation="relu")
case("Masking", ROWS)
case("Masking", ROWS, mask_value=0.5)
case("GlobalAveragePooling1D", ROWS, masked=True)

# Einsum and attention
SEQUENCES = {"spread": True}  # query, value (and key) are arguments of their own
case("EinsumDense", (2, 3, 5), equation="abc,cd->abd", output_shape=(None, 4))
case(
    "EinsumDense",
    (2, 3, 5),
    equation="...x,xy->...y",
    output_shape=4,
    bias_axes="y",
    activation="tanh",
)
case(
    "EinsumDense",
    (2, 3, 5),
    equation="abc,cde->abde",
    output_shape=(None, 2, 4),
    bias_axes="de",
)
case(
    "EinsumDense",
    (2, 3, 5),
    equation="abc,cde->abde",
    output_shape=(None, 2, 4),
    bias_axes="e",
)
case("EinsumDense", (2, 3, 5), equation="ab...,bc->ac...", output_shape=4)
case(
    "EinsumDense",
    (2, 3, 5),
    equation="abc,bd->adc",
    output_shape=(4, 5),
    bias_axes="d",
)
case("Attention", (2, 3, 4), (2, 5, 4))
case("Attention", (2, 3, 4), (2, 5, 6), (2, 5, 4), use_scale=True)
case(
    "Attention",
    (2, 3, 4),
    (2, 5, 4),
    score_mode="concat",
    use_scale=True,
    options={"use_causal_mask": True},
)
case("AdditiveAttention", (2, 3, 4), (2, 5, 4))
case("AdditiveAttention", (2, 3, 4), (2, 5, 3), (2, 5, 4), use_scale=False)
case("MultiHeadAttention", (2, 3, 4), (2, 5, 6), **SEQUENCES, num_heads=2, key_dim=3)
case(
    "MultiHeadAttention",
    (2, 3, 4),
    (2, 5, 6),
    (2, 5, 3),
    **SEQUENCES,
    num_heads=2,
    key_dim=3,
    value_dim=5,
    output_shape=7,
    use_bias=False,
)
case(
    "MultiHeadAttention",
    (2, 4, 6),
    (2, 4, 6),
    **SEQUENCES,
    num_heads=3,
    key_dim=2,
    options={"use_causal_mask": True},
)
case(
    "MultiHeadAttention",
    (2, 3, 4),
    (2, 5, 4),
    **SEQUENCES,
    num_heads=2,
    key_dim=2,
    use_gate=True,
    sliding_window=2,
    masks={"attention_mask": (2, 3, 5)},
)
case(
    "MultiHeadAttention",
    (2, 3, 4),
    (2, 5, 4),
    **SEQUENCES,
    num_heads=2,
    key_dim=2,
    dropout=0.3,  # outside training: only the way by explicit scores
    masks={"value_mask": (2, 5), "key_mask": (2, 5)},
    options={"use_causal_mask": True},
)
case(
    "MultiHeadAttention",
    (2, 3, 4, 5),
    (2, 3, 4, 5),
    **SEQUENCES,
    num_heads=2,
    key_dim=3,
    attention_axes=(2,),
)
case(
    "MultiHeadAttention",
    (2, 3, 2, 5),
    (2, 4, 3, 5),
    **SEQUENCES,
    num_heads=2,
    key_dim=3,
    output_shape=(2, 4),
)
case(
    "GroupQueryAttention",
    (2, 3, 6),
    (2, 5, 6),
    **SEQUENCES,
    head_dim=3,
    num_query_heads=4,
    num_key_value_heads=2,
)
case(
    "GroupQueryAttention",
    (2, 4, 6),
    (2, 4, 6),
    (2, 4, 5),
    **SEQUENCES,
    head_dim=2,
    num_query_heads=4,
    num_key_value_heads=1,
    use_gate=True,
    use_bias=False,
    options={"use_causal_mask": True},
)
case(
    "GroupQueryAttention",
    (2, 3, 6),
    (2, 5, 6),
    **SEQUENCES,
    head_dim=2,
    num_query_heads=4,
    num_key_value_heads=2,
    dropout=0.3,
    sliding_window=3,
    masks={"attention_mask": (2, 3, 5)},
)
case("SpectralNormalization", (3, 5), layer=Inner("Dense", {"units": 4}))
case("SpectralNormalization", (3, 5), training=True, layer=Inner("Dense", {"units": 4}))
case(
    "SpectralNormalization",
    (2, 5, 4, 3),
    training=True,
    power_iterations=3,
    layer=Inner("Conv2D", {"filters": 2, "kernel_size": 2}),
)
case("ReversibleEmbedding", (3, 4), classes=7, input_dim=7, output_dim=3)
case(
    "ReversibleEmbedding",
    (2, 4, 3),
    input_dim=7,
    output_dim=3,
    tie_weights=False,
    logit_soft_cap=2.0,
    options={"reverse": True},
)
case(
    "ReversibleEmbedding",
    (2, 4, 3),
    input_dim=7,
    output_dim=3,
    options={"reverse": True},
)
