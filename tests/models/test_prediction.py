# SPDX-License-Identifier: Apache-2.0
"""`predict` on many batches at once: the same bits, and only where rows stay apart."""

from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, Case

import fastnn as keras
from fastnn import Sequential, layers, ops
from fastnn.graph.passes import optimize
from fastnn.graph.rows import rows_are_apart
from fastnn.graph.trace import trace
from fastnn.opset import Spec

RNG = np.random.default_rng(5)
ROWS = RNG.standard_normal((64, 6)).astype("f4")


def in_batches(model: Any, x: Any, batch_size: int) -> Any:
    """What `predict` is by definition: one call per batch, put together."""
    count = len(x[0] if isinstance(x, list) else x)
    parts = [
        model.predict_on_batch(
            [a[i : i + batch_size] for a in x]
            if isinstance(x, list)
            else x[i : i + batch_size]
        )
        for i in range(0, count, batch_size)
    ]
    return np.concatenate(parts)


def widest_call(model: Any) -> int:
    """Rows of the largest program of `predict`."""
    programs = model._get_runner()._programs
    shapes = [key[1][0].shape for key in programs if key[0] == ("predict",)]
    return max(shape[0] for shape in shapes)


def predict_twice(model: Any, x: Any, batch_size: int) -> Any:
    """The program for many batches is made when it is wanted again."""
    first = model.predict(x, batch_size=batch_size, verbose=0)
    second = model.predict(x, batch_size=batch_size, verbose=0)
    np.testing.assert_array_equal(first, second)
    return second


def test_batches_of_an_mlp_run_as_one() -> None:
    model = Sequential(
        [keras.Input((6,)), layers.Dense(9, activation="relu"), layers.Dense(3)]
    )
    found = predict_twice(model, ROWS, 4)
    np.testing.assert_array_equal(found, in_batches(model, ROWS, 4))
    assert widest_call(model) == 64


def test_many_batches_that_ran_as_one_take_the_short_way() -> None:
    model = Sequential([keras.Input((6,)), layers.Dense(9), layers.Dense(3)])
    found = predict_twice(model, ROWS, 4)
    taken = model._ready("predict", ROWS)
    assert taken.rows_apart
    for batch_size in (1, 2, 16, None):
        again = model.predict(ROWS, batch_size=batch_size, verbose=0)
        np.testing.assert_array_equal(again, found)
    with pytest.raises(ValueError, match="batch_size"):
        model.predict(ROWS, batch_size=0, verbose=0)
    model.layers[0].kernel.assign(np.zeros((6, 9)))
    assert not model.predict(ROWS, verbose=0).any()


def test_what_no_power_of_two_covers_runs_in_batches() -> None:
    model = Sequential([keras.Input((6,)), layers.Dense(9), layers.Softmax()])
    found = predict_twice(model, ROWS[:63], 5)  # 12 batches and 3 rows
    np.testing.assert_array_equal(found, in_batches(model, ROWS[:63], 5))
    assert widest_call(model) == 40


def test_a_call_takes_no_more_memory_than_fits_the_cache() -> None:
    model = Sequential([keras.Input((6,)), layers.Dense(3000), layers.Dense(3)])
    x = np.tile(ROWS, (32, 1))
    model.predict(x, verbose=0)
    assert 32 < widest_call(model) < 1024
    assert model.plan("predict").arena_bytes < 4 << 20


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_layer_gives_the_same_bits_for_any_number_of_rows(case: Case) -> None:
    rng = case.rng()
    shapes = [(12, *shape[1:]) for shape in case.shapes]
    batch = case._replace(shapes=tuple(shapes)).inputs(rng)
    given = [keras.Input(a.shape[1:], dtype=a.dtype.name) for a in batch]
    layer = case.make(layers)
    model = keras.Model(given, layer(*case.arranged(given), **case.options))
    x = batch if len(batch) > 1 else batch[0]
    np.testing.assert_array_equal(predict_twice(model, x, 3), in_batches(model, x, 3))


MEETING = {
    "mean of the batch": lambda x: x - ops.mean(x, axis=0),
    "the first row": lambda x: x - x[:1],
    "reversed": lambda x: x[::-1],
    "sorted": lambda x: ops.sort(x, axis=0),
    "running sum": lambda x: ops.cumsum(x, axis=0),
    "number of rows": lambda x: x / x.shape[0],
    "a number for each row": lambda x: x + np.arange(x.shape[0], dtype="f4")[:, None],
    "flattened": lambda x: ops.reshape(ops.cumsum(ops.reshape(x, (-1,))), x.shape),
    "products of rows": lambda x: ops.matmul(ops.matmul(x, ops.transpose(x)), x),
    "softmax of the batch": lambda x: ops.softmax(x, axis=0),
    "turned": lambda x: ops.reshape(ops.transpose(x), x.shape),
    "a border of rows": lambda x: ops.pad(x, ((1, 0), (0, 0)))[:-1],
    "looked up in itself": lambda x: ops.take(x, ops.argmax(x[:, :4], -1), axis=0),
    "doubled": lambda x: ops.concatenate([x, x], axis=0)[: x.shape[0]],
}


@pytest.mark.parametrize("fn", MEETING.values(), ids=MEETING)
def test_rows_that_meet_are_never_put_together(fn: Any) -> None:
    model = Sequential([keras.Input((6,)), layers.Lambda(fn)])
    found = predict_twice(model, ROWS, 4)
    np.testing.assert_array_equal(found, in_batches(model, ROWS, 4))
    assert widest_call(model) == 64, "it was tried"
    few, many = (optimize(trace(fn, [Spec((n, 6), "float32")])[0]) for n in (4, 64))
    assert not rows_are_apart(few, many)


APART = {
    "rows": lambda x: ops.softmax(x) + ops.sum(x, axis=-1, keepdims=True),
    "columns": lambda x: x[:, ::2][:, 1:],
    "images": lambda x: ops.transpose(ops.reshape(x, (x.shape[0], 2, 3)), (0, 2, 1)),
    "side by side": lambda x: ops.concatenate([x, 2 * x], axis=1),
    "sorted columns": lambda x: ops.sort(x, axis=-1),
    "several rows each": lambda x: ops.softmax(ops.reshape(x, (-1, 2))) @ np.eye(2, 3),
    "a border": lambda x: ops.pad(x, ((0, 0), (1, 2))),
    "products of each": lambda x: (
        ops.reshape(x, (-1, 2, 3)) @ ops.reshape(x, (-1, 3, 2))
    ),
}


@pytest.mark.parametrize("fn", APART.values(), ids=APART)
def test_rows_that_stay_apart_are_found(fn: Any) -> None:
    few, many = (optimize(trace(fn, [Spec((n, 6), "float32")])[0]) for n in (4, 64))
    assert rows_are_apart(few, many)


def test_random_rows_are_drawn_batch_by_batch() -> None:
    def noisy(x: Any) -> Any:
        return x + keras.random.normal(x.shape, seed=3)

    model = Sequential([keras.Input((6,)), layers.Lambda(noisy)])
    found = predict_twice(model, ROWS, 4)
    np.testing.assert_array_equal(found, in_batches(model, ROWS, 4))
