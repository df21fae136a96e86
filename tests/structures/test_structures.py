# SPDX-License-Identifier: Apache-2.0
"""Gradients, traces, reprs and errors of strings, ragged and sparse tensors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import fastnn
from fastnn import ops, tf
from fastnn.errors import (
    DTypeError,
    OutOfRangeError,
    PlanError,
    ShapeError,
    StructureError,
)

RNG = np.random.default_rng(3)
ROWS = tf.RaggedTensor.from_row_splits
SPLITS = [0, 3, 3, 5]
AT = [[0, 1], [1, 0], [1, 3], [2, 2]]


def ragged(v):
    return ROWS(v, SPLITS)


def sparse(v):
    return tf.SparseTensor(AT, v, [3, 4])


X = RNG.normal(size=5)
MASK = ragged(X > 0)
B = RNG.normal(size=(4, 2))

# A scalar of a vector of values; every one is checked against central differences.
FUNCTIONS = {
    "to_tensor": lambda v: ops.sum(ops.sin(ragged(v).to_tensor(2.0))),
    "sum rows": lambda v: ops.sum(ops.exp(tf.reduce_sum(ragged(v), 1))),
    "sum columns": lambda v: ops.sum(ops.exp(tf.reduce_sum(ragged(v), 0))),
    "max rows": lambda v: tf.reduce_max(ragged(v), 1)[0] ** 2.0,
    "mean rows": lambda v: ops.sum(tf.reduce_mean(ragged(v), 1)[::2] ** 3.0),
    "operators": lambda v: tf.reduce_sum(ragged(v) * ragged(v) - 2.0 * ragged(v)),
    "beside columns": lambda v: tf.reduce_sum(
        tf.square(ragged(v) * tf.constant([[2.0], [3.0], [4.0]], tf.float64))
    ),
    "slices": lambda v: tf.reduce_sum(tf.square(ragged(v)[::-1, 1:])),
    "concat": lambda v: ops.sum(
        ops.sin(tf.concat([ragged(v), ragged(v) * 2.0], 1).to_tensor())
    ),
    "stack": lambda v: tf.reduce_sum(tf.square(tf.stack([ragged(v), ragged(v)]))),
    "mask": lambda v: tf.reduce_sum(tf.square(tf.ragged.boolean_mask(ragged(v), MASK))),
    "map": lambda v: tf.reduce_sum(tf.ragged.map_flat_values(ops.tanh, ragged(v))),
    "to_dense": lambda v: ops.sum(ops.sin(tf.sparse.to_dense(sparse(v[:4]), 0.5))),
    "product": lambda v: ops.sum(
        ops.sin(tf.sparse.sparse_dense_matmul(sparse(v[:4]), B))
    ),
    "product of values": lambda v: ops.sum(
        ops.sin(
            tf.sparse.sparse_dense_matmul(
                sparse(v[:4]), ops.reshape(ops.concatenate([v[:4], v[1:5]]), (4, 2))
            )
        )
    ),
    "adjoint": lambda v: ops.sum(
        ops.sin(tf.sparse.sparse_dense_matmul(sparse(v[:4]), B[:3], adjoint_a=True))
    ),
    "sparse sum": lambda v: ops.sum(ops.exp(tf.sparse.reduce_sum(sparse(v[:4]), 1))),
    "sparse add": lambda v: ops.sum(
        ops.exp(
            tf.sparse.add(
                sparse(v[:4]), tf.SparseTensor([[0, 0], [0, 1]], v[3:], [3, 4])
            ).values
        )
    ),
    "softmax": lambda v: ops.sum(tf.sparse.softmax(sparse(v[:4])).values ** 2.0),
    "array": lambda v: ops.sum(
        ops.exp(tf.TensorArray("float64", 5).unstack(v).gather([0, 2, 2, 4]))
    ),
}


def slope(f, x, eps=1e-6):
    """Central differences."""
    out = np.zeros_like(x)
    for i in range(x.size):
        step = np.zeros_like(x)
        step[i] = eps
        up, down = (f(fastnn.convert_to_tensor(x + s)) for s in (step, -step))
        out[i] = (float(up) - float(down)) / (2 * eps)
    return out


def gradient(f, v):
    with fastnn.GradientTape() as tape:
        tape.watch(v)
        y = f(v)
    return tape.gradient(y, v)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    f = FUNCTIONS[name]
    v = fastnn.convert_to_tensor(X)
    np.testing.assert_allclose(
        gradient(f, v).numpy(), slope(f, X), rtol=1e-6, atol=1e-8
    )

    def second(u):
        return ops.sum(gradient(f, u) ** 2.0)

    with fastnn.GradientTape() as tape:
        tape.watch(v)
        y = second(v)
    found = tape.gradient(y, v)
    expected = slope(second, X)
    found = np.zeros(5) if found is None else found.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_equals_eager(name):
    f = FUNCTIONS[name]
    traced = fastnn.function(f)
    for x in (X, -X):
        v = fastnn.convert_to_tensor(x)
        np.testing.assert_allclose(
            traced(v).numpy(), f(v).numpy(), rtol=1e-12, atol=1e-12
        )


def test_rows_of_a_trace_are_known_then():
    @fastnn.function
    def f(v, splits):
        return ROWS(v, splits).to_tensor()

    with pytest.raises(PlanError, match="row_splits is a value of the function"):
        f(fastnn.convert_to_tensor(X), fastnn.convert_to_tensor(np.array(SPLITS)))


def test_reprs():
    assert repr(tf.constant("café")) == (
        "<tf.Tensor: shape=(), dtype=string, numpy=b'caf\\xc3\\xa9'>"
    )
    assert repr(tf.constant(["a", "b"])) == (
        "<tf.Tensor: shape=(2,), dtype=string, numpy=array([b'a', b'b'], dtype=object)>"
    )
    assert str(tf.constant(b"x")) == "tf.Tensor(b'x', shape=(), dtype=string)"
    rows = tf.ragged.constant([[1.5, 2.0], [], [0.1]])
    assert repr(rows) == "<tf.RaggedTensor [[1.5, 2.0], [], [0.1]]>"
    assert repr(tf.ragged.constant([["a"], []])) == "<tf.RaggedTensor [[b'a'], []]>"
    assert (
        repr(tf.ragged.constant([[[True], []]])) == "<tf.RaggedTensor [[[True], []]]>"
    )
    assert repr(tf.ragged.range(30)) == (
        "<tf.RaggedTensor [[0, 1, 2, ..., 27, 28, 29]]>"
    )
    x = sparse([1.0, 2.0, 3.0, 4.0])
    assert repr(x) == (
        f"SparseTensor(indices={x.indices}, values={x.values}, "
        f"dense_shape={x.dense_shape})"
    )
    array = tf.TensorArray(tf.float32, 2).write(0, [1.0])
    assert repr(array) == ("<tf.TensorArray size=2, dtype=float32, element_shape=(1,)>")


@pytest.mark.feature("1D-12", "4A-9b")
def test_strings_are_arrays_of_bytes():
    t = tf.constant([["a", "bc"], ["d\0", ""]])
    assert (t.shape, t.ndim, t.size, t.dtype, len(t)) == ((2, 2), 2, 4, tf.string, 2)
    assert t.numpy().tolist() == [[b"a", b"bc"], [b"d\0", b""]]
    assert np.array(t).dtype == object
    assert [row.numpy().tolist() for row in t] == [[b"a", b"bc"], [b"d\0", b""]]
    assert tf.constant("café").numpy() == b"caf\xc3\xa9"
    again = pickle.loads(pickle.dumps(t))
    assert (again == t).numpy().all()
    assert tf.convert_to_tensor(t) is t
    assert ops.convert_to_tensor(t) is t
    assert tf.constant(np.array(["é", "b"])).numpy().tolist() == [b"\xc3\xa9", b"b"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.multiply(tf.constant("a"), 2), StructureError, "tf.strings"),
        (lambda: ops.add("a", "b"), DTypeError, "cannot make a tensor of str"),
        (lambda: tf.constant([1], tf.string), DTypeError, "as_string"),
        (lambda: tf.constant([["a"], ["b", "c"]]), ShapeError, "tf.ragged.constant"),
        (lambda: ops.matmul(ragged(X), ragged(X)), StructureError, "to_tensor"),
        (lambda: ops.exp(sparse([1.0] * 4)), StructureError, "to_dense"),
        (lambda: np.asarray(ragged(X)), StructureError, "to_tensor"),
        (lambda: np.asarray(sparse([1.0] * 4)), StructureError, "to_dense"),
        (lambda: ragged(X)[:, 0], ValueError, "some rows may be shorter"),
        (lambda: ragged(X) + ROWS(X, [0, 5]), ShapeError, "rows have different"),
        (lambda: ROWS(X, [0, 4]), ShapeError, "rows end at 4, there are 5 values"),
        (lambda: bool(ragged(X)), StructureError, "neither true nor false"),
        (lambda: bool(tf.constant("a")), StructureError, "neither true nor false"),
        (lambda: tf.sparse.to_dense(X), StructureError, "expects a SparseTensor"),
        (lambda: tf.TensorArray("int32", 2).read(2), OutOfRangeError, "size 2"),
        (lambda: tf.TensorArray("int32", 2).read(0), ValueError, "never written"),
        (lambda: tf.sets.size([[1.5]]), DTypeError, "integers or strings"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_an_element_is_read_once_unless_it_is_kept():
    array = tf.TensorArray(tf.float32, 1).write(0, 1.0)
    assert float(array.read(0)) == 1.0
    with pytest.raises(ValueError, match="clear_after_read"):
        array.read(0)
    kept = tf.TensorArray(tf.float32, 1, clear_after_read=False).write(0, 1.0)
    assert float(kept.read(0)) == float(kept.read(0)) == 1.0
    copy = kept.identity()
    kept.close()
    assert int(kept.size()) == 0 and int(copy.size()) == 1


def test_ops_take_ragged_tensors_and_symbolic_ones_still_work():
    rows = tf.ragged.constant([[1, 2], [3]])
    assert ops.concatenate([rows, [[4]]], axis=0).to_list() == [[1, 2], [3], [4]]
    assert ops.take(rows, [1, 0, -1], axis=0).to_list() == [[3], [1, 2], [3]]
    assert ops.take([10, 20, 30, 40], rows, axis=0).to_list() == [[20, 30], [40]]
    assert ops.shape(rows) == (2, None)
    assert ops.clip(rows, 2, 3).to_list() == [[2, 2], [3]]
    table = fastnn.Variable(np.eye(4, 2, dtype="float32"))
    assert ops.take(table, rows, axis=0).shape == (2, None, 2)
    symbolic = fastnn.Input((3,))
    assert ops.add(symbolic, 1.0).shape == (None, 3)


def test_numpy_of_ragged_tensors():
    assert tf.ragged.constant([[1, 2], [3, 4]]).numpy().tolist() == [[1, 2], [3, 4]]
    rows = tf.ragged.constant([[1, 2], [3]]).numpy()
    assert rows.dtype == object and [r.tolist() for r in rows] == [[1, 2], [3]]


def test_structures_go_through_traced_functions():
    traces = []

    @fastnn.function
    def f(rows, factor):
        traces.append(rows.shape)
        return {"twice": rows * factor, "sums": tf.reduce_sum(rows, 1)}

    for splits in (SPLITS, SPLITS, [0, 1, 5]):
        for x in (X, -X):
            rows = ROWS(fastnn.convert_to_tensor(x), splits)
            found = f(rows, fastnn.convert_to_tensor(np.array(2.0)))
            assert found["twice"].row_splits.numpy().tolist() == splits
            np.testing.assert_array_equal(found["twice"].values.numpy(), 2 * x)
            sums = np.add.reduceat(np.append(x, 0.0), splits[:-1])
            sums[np.diff(splits) == 0] = 0
            np.testing.assert_allclose(found["sums"].numpy(), sums)
    assert traces == [(3, None), (2, None)]  # one trace per rows, not per values


def test_gradients_of_traced_functions_reach_into_structures():
    @fastnn.function
    def f(rows, x):
        return rows * rows, tf.sparse.reduce_sum(x, 1), tf.constant(["a"])

    v = fastnn.Variable(X)
    w = fastnn.convert_to_tensor(X[:4])
    with fastnn.GradientTape() as tape:
        tape.watch(w)
        squares, sums, names = f(ROWS(v * 1.0, SPLITS), sparse(w))
        y = tf.reduce_sum(squares) + ops.sum(sums * sums)
    dv, dw = tape.gradient(y, [v, w])
    np.testing.assert_allclose(dv.numpy(), 2 * X)
    np.testing.assert_allclose(
        dw.numpy(), 2 * np.array([X[0], X[1] + X[2], X[1] + X[2], X[3]])
    )
    assert names.numpy().tolist() == [b"a"]


def test_strings_are_built_into_traces():
    traces = []

    @fastnn.function
    def f(words, x):
        traces.append(0)
        return tf.strings.upper(words), x + 1.0

    for words in (["a", "b"], ["a", "b"], ["c"]):
        found, _ = f(tf.constant(words), tf.constant(1.0))
        assert found.numpy().tolist() == [w.upper().encode() for w in words]
    assert len(traces) == 2

    @fastnn.function
    def only_strings(words):
        return tf.strings.length(words)

    assert only_strings(tf.constant(["ab", ""])).numpy().tolist() == [2, 0]
