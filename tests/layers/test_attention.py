# SPDX-License-Identifier: Apache-2.0
"""Masks, scores, dropout and errors of attention; numbers are in test_against_keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn as keras
from fastnn import layers
from fastnn.errors import ShapeError

RNG = np.random.default_rng(1)
Q = RNG.normal(size=(2, 3, 4)).astype("float32")
V = RNG.normal(size=(2, 5, 4)).astype("float32")
QUERY_MASK = np.array([[True, True, False], [True, False, True]])
VALUE_MASK = np.array([[True, True, False, True, False], [True] * 5])


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_masks_of_one_head() -> None:
    layer = layers.Attention()
    y, scores = layer(
        [Q, V], mask=[QUERY_MASK, VALUE_MASK], return_attention_scores=True
    )
    kept = VALUE_MASK[:, None, :]
    z = np.where(kept, Q @ V.swapaxes(1, 2), -np.inf)
    np.testing.assert_allclose(scores.numpy(), softmax(z), 1e-5, 1e-6)
    wanted = np.where(QUERY_MASK[..., None], softmax(z) @ V, 0)
    np.testing.assert_allclose(y.numpy(), wanted, 1e-5, 1e-6)
    mask = layer.compute_mask([Q, V], [QUERY_MASK, VALUE_MASK])
    np.testing.assert_array_equal(mask.numpy(), QUERY_MASK)
    causal = layer([Q, V], mask=[None, VALUE_MASK], use_causal_mask=True)
    z = np.where(kept & np.tri(3, 5, dtype=bool), Q @ V.swapaxes(1, 2), -np.inf)
    np.testing.assert_allclose(causal.numpy(), softmax(z) @ V, 1e-5, 1e-6)


@pytest.mark.parametrize("cls", [layers.Attention, layers.AdditiveAttention])
def test_calls_of_one_head_that_cannot_be(cls: Any) -> None:
    layer = cls()
    for inputs in (Q, [Q], [Q, V, V, V]):
        with pytest.raises(ValueError, match=r"\[query, value\]"):
            layer(inputs)
    with pytest.raises(ValueError, match="must be a list"):
        layer([Q, V], mask=VALUE_MASK)
    with pytest.raises(ValueError, match="score_mode"):
        layers.Attention(score_mode="scaled")


HEADS = {
    "multi": lambda **kw: layers.MultiHeadAttention(2, 3, **kw),
    "grouped": lambda **kw: layers.GroupQueryAttention(3, 4, 2, **kw),
}
every_kind = pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)


@every_kind
def test_masks_are_combined(make: Any) -> None:
    layer = make()
    masks = {"query_mask": QUERY_MASK, "value_mask": VALUE_MASK}
    together = VALUE_MASK[:, None] & QUERY_MASK[..., None] & np.tri(3, 5, dtype=bool)
    a = layer(Q, V, **masks, use_causal_mask=True)
    b = layer(Q, V, attention_mask=together)
    np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-6)
    y, scores = layer(Q, V, attention_mask=together, return_attention_scores=True)
    # Targets without any source: no score at all, as in Keras; the fused way there
    # takes the mean of all values, also as in Keras.
    rows = together.any(-1)
    np.testing.assert_allclose(y.numpy()[rows], b.numpy()[rows], 1e-5, 1e-6)
    hidden = np.broadcast_to(~together[:, None], scores.shape)
    assert scores.numpy()[hidden].max() == 0
    sums = np.broadcast_to(rows[:, None], scores.shape[:-1])
    np.testing.assert_allclose(scores.numpy().sum(-1), sums, 1e-5)


@every_kind
def test_a_given_mask_stays_beside_the_causal_one(make: Any) -> None:
    layer = make()
    layer.build(Q.shape, V.shape)
    pairs = 2
    heads = 4 if isinstance(layer, layers.GroupQueryAttention) else pairs
    query = RNG.normal(size=(2, 3, heads, 3)).astype("float32")
    value = RNG.normal(size=(2, 5, pairs, 3)).astype("float32")
    kept = np.array([True, False, True, True, False])[None, None]

    def scores(mask: Any, causal: bool) -> Any:
        projected = query, value, value, mask, False, True, causal
        return layer._compute_attention(*projected)[1].numpy()

    together = kept & np.tri(3, 5, dtype=bool)
    np.testing.assert_array_equal(scores(kept, True), scores(together, False))
    assert scores(kept, True)[..., ~together[0]].max() == 0


@every_kind
def test_causal_outputs_do_not_see_what_comes(make: Any) -> None:
    layer = make()
    changed = V.copy()
    changed[:, 2:] += 1
    a, b = (layer(V, x, use_causal_mask=True).numpy() for x in (V, changed))
    np.testing.assert_array_equal(a[:, :2], b[:, :2])
    assert not np.allclose(a[:, 2:], b[:, 2:])


@every_kind
def test_a_window_is_a_band(make: Any) -> None:
    places = np.abs(np.arange(5)[:, None] - np.arange(5)) < 2
    layer, plain = make(sliding_window=2), make()
    layer.build(V.shape, V.shape)
    plain.build(V.shape, V.shape)
    plain.set_weights(layer.get_weights())
    a, b = layer(V, V), plain(V, V, attention_mask=np.tile(places, (2, 1, 1)))
    np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-6)


@every_kind
def test_dropout_of_scores_while_training(make: Any) -> None:
    layer = make(dropout=0.5, seed=3)
    quiet = layer(Q, V).numpy()
    _, scores = layer(Q, V, training=True, return_attention_scores=True)
    loud = layer(Q, V, training=True).numpy()
    assert not np.allclose(loud, quiet)
    np.testing.assert_allclose(scores.numpy().sum(-1), 1.0, 1e-5)  # not dropped
    np.testing.assert_array_equal(layer(Q, V, training=False).numpy(), quiet)


def test_subclasses_may_attend_in_their_own_way() -> None:
    seen = []

    class Mine(layers.MultiHeadAttention):
        def _compute_attention(self, query, key, value, mask=None, *rest, **more):
            seen.append((mask.shape, more))
            return super()._compute_attention(query, key, value, mask, *rest, **more)

    y = Mine(2, 3)(V, V, use_causal_mask=True)
    assert seen == [((1, 5, 5), {})] and y.shape == (2, 5, 4)


@every_kind
def test_flash_attention_is_accepted(make: Any) -> None:
    layer = make(flash_attention=True)
    assert layer(Q, V).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="flash"):
        layer(Q, V, return_attention_scores=True)
    with pytest.raises(ValueError, match="flash"):
        make(flash_attention=True, dropout=0.1)


def test_arguments_that_cannot_be() -> None:
    for wrong in ({"num_heads": 0, "key_dim": 2}, {"num_heads": 2, "key_dim": 1.5}):
        with pytest.raises(ValueError, match="positive integer"):
            layers.MultiHeadAttention(**wrong)
    with pytest.raises(ValueError, match="sliding_window"):
        layers.MultiHeadAttention(2, 3, sliding_window=0)
    with pytest.raises(ValueError, match="attention_axes"):
        layers.MultiHeadAttention(2, 3, attention_axes="1")
    with pytest.raises(ValueError, match="multiple of"):
        layers.GroupQueryAttention(2, 3, 2)
    with pytest.raises(ShapeError, match="must agree"):
        layers.MultiHeadAttention(2, 3)(Q, V, V[:, :4])
    for equation in ("ab,bc", "...ab,bc->ab", "a...b,bc->ac"):
        with pytest.raises(ValueError, match="form"):
            layers.EinsumDense(equation, 3)(Q)
    with pytest.raises(ValueError, match="neither in"):
        layers.EinsumDense("abc,cd->abz", (None, 3))(Q)
    with pytest.raises(ValueError, match="bias_axes"):
        layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="z")(Q)


@every_kind
def test_heads_start_with_values_of_their_own(make: Any) -> None:
    layer = make()
    layer(Q, V)
    kernels = [w.numpy() for w in layer.weights if w.name == "kernel"]
    assert not np.allclose(kernels[1], kernels[2])  # keys and values
    config = layers.serialize(layer)
    again = layers.deserialize(config)
    assert again.built and [w.shape for w in again.weights] == [
        w.shape for w in layer.weights
    ]


@every_kind
def test_a_transformer_block_learns(make: Any) -> None:
    keras.utils.set_random_seed(0)
    x = keras.Input((5, 4))
    y = layers.LayerNormalization()(x + make()(x, x, use_causal_mask=True))
    model = keras.Model(x, layers.Dense(1)(layers.Flatten()(y)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    data = RNG.normal(size=(64, 5, 4))
    target = data[:, 0, :1] * 2
    losses = model.fit(data, target, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert "matmul" in model.plan().summary()
