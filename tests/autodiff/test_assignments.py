# SPDX-License-Identifier: Apache-2.0
"""Variables replaced whole, by slice and by scatter, eagerly and traced, as NumPy."""

import copy
import itertools
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, Variable, function, initializers, ops
from fastnn.autodiff.assignments import IndexedSlices
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError

SHAPE = (4, 5, 3)
KEYS = [
    0,
    -1,
    (1, 2),
    (1, 2, 0),
    (slice(None), 2),
    (slice(1, 3), slice(None, None, 2)),
    (..., 1),
    (slice(None, None, -1), 0, slice(2)),
    (None, 3),
    ([0, 2], [1, 4]),
    (slice(None), [4, 0], 1),
    np.array([True, False, False, True]),
    slice(0, 0),
    ...,
]
DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]


def values(rng: np.random.Generator, shape: Any, dtype: str) -> np.ndarray:
    return rng.integers(0, 2 if dtype == "bool" else 9, shape).astype(dtype)


@pytest.fixture(params=["eager", "traced"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return function if request.param == "traced" else lambda f: f


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_key_that_reads_can_write(run: Any, key: Any, dtype: str) -> None:
    rng = np.random.default_rng(1)
    start = values(rng, SHAPE, dtype)
    part = values(rng, start[key].shape, dtype)
    v, expected = Variable(start), start.copy()
    expected[key] = part

    def write(t: Any) -> Any:
        v[key].assign(t)
        return v[key]

    seen = run(write)(Tensor(part))
    np.testing.assert_array_equal(v.numpy(), expected)
    np.testing.assert_array_equal(seen.numpy(), expected[key])
    if dtype != "bool":
        run(lambda: v[key].assign_add(1))()
        expected[key] += 1
        np.testing.assert_array_equal(v.numpy(), expected)


def test_positions_known_only_when_it_runs() -> None:
    v = Variable(np.zeros((3, 4)))
    put = function(lambda i, x: v[i, 1:3].assign(x))
    for i in (2, 0, -1):
        put(convert_to_tensor(i), convert_to_tensor(np.array([1.0 + i, 2.0])))
    expected = np.zeros((3, 4))
    expected[2, 1:3], expected[0, 1:3] = [0.0, 2.0], [1.0, 2.0]
    np.testing.assert_array_equal(v.numpy(), expected)
    with pytest.raises(ValueError, match="out of range"):
        put(convert_to_tensor(3), convert_to_tensor(np.zeros(2)))


def test_a_part_is_a_tensor_and_is_differentiated() -> None:
    v = Variable(np.arange(6.0).reshape(2, 3))
    with GradientTape() as tape:
        y = ops.sum(v[:, 1] * v[0, 0] * 2.0 + v[1, :2] ** 2)
    g = tape.gradient(y, v)
    np.testing.assert_array_equal(g.numpy(), [[10.0, 0.0, 0.0], [6.0, 8.0, 0.0]])
    assert isinstance(v[0], Tensor) and v[0].numpy().tolist() == [0.0, 1.0, 2.0]


def test_what_was_read_before_stays(run: Any) -> None:
    v = Variable(np.zeros(3))

    def read_write(x: Any) -> Any:
        before = v[1:]
        v[1:].assign(x)
        return before + 0.0

    assert run(read_write)(Tensor(np.ones(2))).numpy().tolist() == [0.0, 0.0]
    assert v.numpy().tolist() == [0.0, 1.0, 1.0]


def test_what_does_not_fit() -> None:
    v = Variable(np.zeros((2, 3), "f"))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        v[0].assign([1.0, 2.0])
    with pytest.raises(DTypeError, match="cast"):
        v[0].assign(Tensor(np.ones(3)))
    with pytest.raises(TypeError, match=r"v\[key\].assign"):
        v[0] = 1.0
    with pytest.raises(IndexError, match="out of range"):
        v[5].assign(0.0)
    with pytest.raises(IndexError, match="out of range"):
        v.scatter_nd_update([[2, 0]], [1.0])
    with pytest.raises(TypeError, match="IndexedSlices"):
        v.scatter_update([[0]])
    assert not v.numpy().any()


class TestScatter:
    @pytest.mark.feature("1D-8b", "1D-8c")
    def test_the_textbook_example(self) -> None:
        v = Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        v.assign(2 * v)
        v[0, 1].assign(42)
        v[:, 2].assign([0.0, 1.0])
        v.scatter_nd_update(indices=[[0, 0], [1, 2]], updates=[100.0, 200.0])
        assert v.numpy().tolist() == [[100.0, 42.0, 0.0], [8.0, 10.0, 200.0]]

    @pytest.mark.parametrize("depth", [1, 2, 3])
    @pytest.mark.parametrize("how", ["update", "add", "sub", "max", "min"])
    @pytest.mark.parametrize("dtype", ["float32", "int64"])
    def test_positions_may_repeat(
        self, run: Any, how: str, depth: int, dtype: str
    ) -> None:
        rng = np.random.default_rng(depth)
        start = values(rng, SHAPE, dtype)
        at = rng.integers(0, 3, (7, depth))
        updates = values(rng, (7, *SHAPE[depth:]), dtype)
        v, expected = Variable(start), start.copy()
        merge = {
            "add": np.add,
            "sub": np.subtract,
            "max": np.maximum,
            "min": np.minimum,
            "update": lambda _, new: new,
        }[how]
        for i, u in zip(at, updates, strict=True):
            expected[tuple(i)] = merge(expected[tuple(i)], u)
        run(lambda i, u: getattr(v, f"scatter_nd_{how}")(i, u))(
            Tensor(at), Tensor(updates)
        )
        np.testing.assert_array_equal(v.numpy(), expected)
        rows = Variable(start)
        if depth == 1:
            delta = IndexedSlices(Tensor(updates), at[:, 0])
            assert getattr(rows, f"scatter_{how}")(delta) is rows
            np.testing.assert_array_equal(rows.numpy(), expected)


def test_a_thread_that_reads_sees_a_whole_value() -> None:
    """Assigned elsewhere while kernels run without the GIL."""
    n = 384
    ones, values = np.ones((n, n), "f"), [np.full((n, n), v, "f") for v in (1, 2)]
    variable, done = Variable(ones), threading.Event()

    def write() -> None:
        for k in itertools.count():
            if done.is_set():
                break
            variable.assign(values[k % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [np.unique((variable @ ones).numpy()) for _ in range(200)]
    finally:
        done.set()
        writer.join()
    assert all(len(found) == 1 and found[0] in (n, 2 * n) for found in seen)


@pytest.mark.parametrize(
    ("make", "value", "trainable"),
    [
        (lambda: Variable("zeros", (2,)), [0, 0], True),
        (lambda: Variable(np.ones(2), None, "int32", False), [1, 1], False),
        (lambda: Variable([1.0, 2.0], False), [1, 2], False),
        (lambda: Variable(initial_value=[3.0], trainable=True), [3], True),
        (lambda: Variable(initializers.Ones, shape=(2,)), [1, 1], True),
        (lambda: Variable(lambda: np.zeros(3)), [0, 0, 0], True),
        (lambda: Variable(lambda s, dtype: np.full(s, 5, dtype), (1,)), [5], True),
    ],
)
def test_variables_begin_as_keras_and_tensorflow_say_it(make, value, trainable):
    """Keras's arguments in Keras's order; TensorFlow's second one is a bool."""
    made = make()
    np.testing.assert_array_equal(made.numpy(), value)
    assert made.trainable is trainable
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert copied.trainable is trainable and copied.dtype == made.dtype
        assert copied.path == made.path and copied is not made
        np.testing.assert_array_equal(copied.numpy(), value)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Variable(), TypeError, "needs an initial value"),
        (lambda: Variable("zeros"), ValueError, "needs the shape"),
        (lambda: Variable(initializers.Ones()), ValueError, "needs the shape"),
        (lambda: Variable("nought", (1,)), ValueError, "initializer 'nought'"),
        (lambda: Variable(1.0, color=2), TypeError, "unknown arguments: color"),
        (lambda: Variable(1.0, aggregation="x"), ValueError, "'mean', 'sum'"),
    ],
)
def test_what_no_variable_can_begin_with(make, error, said):
    with pytest.raises(error, match=said):
        make()
