# SPDX-License-Identifier: Apache-2.0
"""Decoding, forward-mode products, edges and errors of functions for networks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError, ShapeError

RNG = np.random.default_rng(31)


# ---- CTC ---------------------------------------------------------------------------


def spelled(frames: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """What frames say: repeated labels once, without blanks."""
    return tuple(c for c, _ in itertools.groupby(frames) if c != blank)


def all_sequences(x: np.ndarray, blank: int) -> dict[tuple[int, ...], float]:
    """Log-probabilities of all sequences, from all alignments."""
    shares = np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(x.shape[1]), repeat=x.shape[0]):
        said = spelled(path, blank)
        chance = float(np.prod(shares[np.arange(len(path)), path]))
        found[said] = found.get(said, 0) + chance
    return {said: float(np.log(chance)) for said, chance in found.items()}


@pytest.mark.parametrize("blank", [0, 2, -1])
def test_a_wide_beam_finds_the_most_probable_sequences_of_all(blank: int) -> None:
    x = RNG.normal(size=(4, 6, 3)) * 2
    lengths = np.array([6, 4, 1, 5])
    paths, scores = ops.ctc_decode(
        x, lengths, "beam_search", beam_width=200, top_paths=3, mask_index=blank
    )
    assert paths.dtype == "int32"
    assert paths.shape == (3, 4, 6)
    for i, n in enumerate(lengths):
        every = all_sequences(x[i, :n], blank % 3)
        best = sorted(every, key=every.__getitem__, reverse=True)[:3]
        for k, said in enumerate(best):
            row = [*said, *[-1] * (6 - len(said))]
            np.testing.assert_array_equal(paths.numpy()[k, i], row)
            assert scores.numpy()[i, k] == pytest.approx(every[said], abs=1e-9)


def test_a_narrow_beam_gives_chances_that_are_no_larger() -> None:
    x = RNG.normal(size=(8, 6, 4))
    paths, scores = ops.ctc_decode(x, [6] * 8, "beam_search", beam_width=3)
    for row, score, logits in zip(paths.numpy()[0], scores.numpy(), x, strict=True):
        every = all_sequences(logits, 0)
        said = tuple(int(c) for c in row if c >= 0)
        assert score[0] <= every[said] + 1e-9
        assert score[0] > every[said] - 1.5


@pytest.mark.parametrize("merge", [True, False])
def test_greedy_decoding_reads_the_best_classes(merge: bool) -> None:
    x = RNG.normal(size=(20, 7, 3)).astype("float32")
    lengths = RNG.integers(0, 8, 20)
    labels, scores = ops.ctc_decode(x, lengths, merge_repeated=merge, mask_index=None)
    assert labels.shape == (1, 20, 7)
    for i, n in enumerate(lengths):
        path = x[i, :n].argmax(-1)
        said = spelled(tuple(path), 2) if merge else path[path != 2]
        np.testing.assert_array_equal(labels.numpy()[0, i, : len(said)], said)
        assert (labels.numpy()[0, i, len(said) :] == -1).all()
        want = -x[i, :n].max(-1).sum() if n else 0
        assert scores.numpy()[i, 0] == pytest.approx(want, abs=1e-5)


def test_decoding_in_a_traced_function_is_the_eager_one() -> None:
    x = Tensor(RNG.normal(size=(2, 5, 4)).astype("float32"))
    for strategy in ("greedy", "beam_search"):
        traced = fastnn.function(
            lambda v, s=strategy: ops.ctc_decode(v, [5, 3], s, 4, mask_index=1)
        )
        for a, b in zip(
            traced(x), ops.ctc_decode(x, [5, 3], strategy, 4, mask_index=1), strict=True
        ):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_target_that_does_not_fit_costs_much_and_teaches_nothing() -> None:
    x = Tensor(RNG.normal(size=(2, 3, 4)))
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        loss = ops.ctc_loss([[1, 1, 2], [1, 2, 3]], x, [3, 3], [3, 3])
    assert loss.numpy()[0] == 1e5  # 1 _ 1 2 are four frames
    assert loss.numpy()[1] < 100
    slopes = tape.gradient(loss, x).numpy()
    assert (slopes[0] == 0).all()
    assert np.isfinite(slopes[1]).all()
    assert slopes[1].any()


def test_what_is_behind_the_ends_counts_nothing() -> None:
    x = RNG.normal(size=(1, 6, 4))
    want = ops.ctc_loss([[3, 1]], x[:, :4], [2], [4]).numpy()
    x[:, 4:] = np.nan
    loss = ops.ctc_loss([[3, 1, -1, 99]], x, [2], [4])
    np.testing.assert_allclose(loss, want)
    none = np.zeros(0, int)
    assert ops.ctc_loss(np.zeros((0, 2), int), x[:0], none, none).shape == (0,)


def test_a_loss_of_more_frames_than_a_trace_writes_out() -> None:
    x = RNG.normal(size=(1, 300, 3)).astype("float32")
    args = ([[1, 2, 1]], [3], [300])
    traced = fastnn.function(lambda v: ops.ctc_loss(args[0], v, *args[1:]))
    want = ops.ctc_loss(args[0], x, *args[1:]).numpy()
    np.testing.assert_allclose(traced(Tensor(x)), want, rtol=1e-6)


# ---- forward-mode products ---------------------------------------------------------

X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))


@pytest.mark.parametrize(
    ("fun", "arrays"),
    [
        (ops.sin, (X,)),
        (lambda x, y: ops.softmax(ops.matmul(x, y)), (X, Y)),
        (lambda x: ops.logsumexp(ops.relu(x) * x, 1), (X,)),
        (lambda x: ops.sort(ops.tanh(x), 1), (X,)),
        (lambda x: ops.cumsum(ops.square(x), 0), (X,)),
        (lambda x: ops.dot_product_attention(*[x[None, :, None]] * 3), (X,)),
    ],
)
def test_jvp_is_the_difference_along_the_tangents(fun: Any, arrays: Any) -> None:
    tangents = tuple(RNG.normal(size=a.shape) for a in arrays)
    y, moved = ops.jvp(fun, arrays, tangents)
    up, down = (
        fun(*(Tensor(a + h * t) for a, t in zip(arrays, tangents, strict=True))).numpy()
        for h in (1e-6, -1e-6)
    )
    np.testing.assert_array_equal(y, fun(*map(Tensor, arrays)))
    np.testing.assert_allclose(moved, (up - down) / 2e-6, rtol=1e-6, atol=1e-8)
    traced = fastnn.function(lambda *a: ops.jvp(fun, a, tangents)[1])
    np.testing.assert_allclose(traced(*map(Tensor, arrays)), moved, rtol=1e-12)


def test_jvp_of_structures_with_what_else_there_is() -> None:
    def fun(pair: Any, z: Any) -> Any:
        first = {"product": pair["a"] * pair["b"], "free": ops.ones(2)}
        return {**first, "places": ops.argmax(z)}, "else"

    x = ({"a": np.array(2.0), "b": np.array(5.0)}, np.array([1.0, 3.0]))
    t = ({"a": np.array(1.0), "b": np.array(0.1)}, np.zeros(2))
    y, moved, more = ops.jvp(fun, x, t, has_aux=True)
    assert more == "else"
    assert float(y["product"]) == 10
    assert float(moved["product"]) == pytest.approx(5.2)
    np.testing.assert_array_equal(moved["free"], [0, 0])
    assert int(moved["places"]) == 0
    same = np.array(3.0)
    assert float(ops.jvp(lambda a, b: a * b, (same, same), (same, 0 * same))[1]) == 9


def test_jvp_has_gradients_itself() -> None:
    x = Tensor(np.array(0.7))
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        moved = ops.jvp(lambda v: v**3, (x,), (np.array(2.0),))[1]
    assert float(tape.gradient(moved, x)) == pytest.approx(6 * 0.7 * 2)


# ---- attention and the rest --------------------------------------------------------


def test_attention_without_sources_and_of_halves() -> None:
    q = RNG.normal(size=(2, 3, 2, 4)).astype("float32")
    y = ops.dot_product_attention(q, q, q, mask=np.zeros((1, 1, 3, 3), bool))
    alike = np.broadcast_to(q.mean(1, keepdims=True), q.shape)
    np.testing.assert_allclose(y, alike, 1e-5)
    half = ops.cast(q, "bfloat16")
    y = ops.dot_product_attention(half, half, half)
    assert y.dtype == "bfloat16"
    want = ops.dot_product_attention(*[ops.cast(half, "float32")] * 3)
    np.testing.assert_array_equal(y, ops.cast(want, "bfloat16"))
    assert ops.dot_product_attention(q[:0], q[:0], q[:0]).shape == (0, 3, 2, 4)


def test_sparsemax_of_ties_and_extremes() -> None:
    np.testing.assert_allclose(ops.sparsemax([2.0, 2.0, -5.0]), [0.5, 0.5, 0])
    np.testing.assert_allclose(ops.sparsemax([0.5, 0.4, -3.0]), [0.55, 0.45, 0], 1e-6)
    np.testing.assert_array_equal(ops.sparsemax([1e30, -1e30]), [1, 0])
    assert float(ops.psnr(np.ones(3), np.ones(3), 1.0)) == np.inf


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.binary_crossentropy([1], [[0.5]]), ShapeError, "one shape"),
        (lambda: ops.categorical_crossentropy(1.0, 0.5), ShapeError, "rank 1"),
        (
            lambda: ops.sparse_categorical_crossentropy([1, 2], [[0.5, 0.5]]),
            ShapeError,
            "target must have",
        ),
        (lambda: ops.ctc_loss([[1]], X, [1], [1]), ShapeError, "frames, classes"),
        (lambda: ops.ctc_loss([1], X[None], [1], [1]), ShapeError, "target must"),
        (lambda: ops.ctc_loss([[1]], X[None], [1, 1], [1]), ShapeError, "one length"),
        (lambda: ops.ctc_loss([[0.5]], X[None], [1], [1]), TypeError, "integers"),
        (lambda: ops.ctc_decode(X[None], [3], "best"), ValueError, "strategy"),
        (lambda: ops.ctc_decode(X[None], [3], mask_index=4), ValueError, "none of"),
        (
            lambda: ops.ctc_decode(X[None], [3], "beam_search", 2, 3),
            ValueError,
            "top_paths <= beam_width",
        ),
        (lambda: ops.dot_product_attention(X, X, X), ShapeError, "query"),
        (
            lambda: ops.dot_product_attention(*[X[None, None]] * 3, mask=np.ones(9)),
            ShapeError,
            "cannot broadcast|broadcast",
        ),
        (
            lambda: ops.dot_product_attention(
                *[X[None, None]] * 3, attn_logits_soft_cap=1.0
            ),
            ValueError,
            "soft_cap",
        ),
        (lambda: ops.psnr(X, Y, 1.0), ShapeError, "one shape"),
        (lambda: ops.unfold(X, 2), ShapeError, "height, width"),
        (lambda: ops.unfold(X[None, None], 9), ShapeError, "do not fit"),
        (lambda: ops.fold(X[None], 4, 2), ShapeError, "images of"),
        (lambda: ops.depth_to_space(X[None, None], 3), ShapeError, "no multiple"),
        (lambda: ops.space_to_depth(X[None, None], 3), ShapeError, "whole blocks"),
        (lambda: ops.depth_to_space(X[None, None], 1), ValueError, "at least 2"),
        (lambda: ops.jvp(ops.sin, X, X), TypeError, "tuples"),
        (lambda: ops.jvp(ops.sin, (X,), (Y,)), ShapeError, "tangent"),
        (lambda: ops.jvp(ops.sin, ([1, 2],), ([1, 2],)), DTypeError, "floats"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[\w+\].*({text})"):
        call()
