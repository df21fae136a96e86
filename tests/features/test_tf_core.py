# SPDX-License-Identifier: Apache-2.0
"""Each name of items.txt, part 2.6, called once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import tf

X = np.array([[3.0, 1.0, 2.0], [-1.0, 5.0, 4.0]], "float32")
IMAGE = np.arange(32, dtype="float32").reshape(1, 4, 4, 2)
FILTER = np.zeros((3, 3, 2, 1), "float32")
FILTER[:, 1, 0, 0] = 1.0  # sums three pixels above each other


def t() -> Any:
    return tf.constant(X)


def v() -> Any:
    return tf.Variable(X)


def noise() -> tuple[Any, ...]:
    drawn = tf.random.normal([1000, 100], stddev=2.0, dtype=tf.float64).numpy()
    return drawn.dtype, abs(drawn.mean()) < 0.05, abs(drawn.std() - 2.0) < 0.05


def custom() -> Any:
    @tf.custom_gradient
    def f(x: Any) -> Any:
        return 2.0 * x, lambda upstream: 7.0 * upstream

    w = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = f(w)
    return [float(y), float(tape.gradient(y, w))]


def taped(*, watch: bool = False, stop: bool = False) -> Any:
    x = tf.constant(3.0) if watch else tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        if watch:
            tape.watch(x)
        y = x * x
        if stop:
            with tape.stop_recording():
                y = y + 100.0 * x.numpy()
    gradients = [tape.gradient(y, x) for _ in range(2)]
    return [None if g is None else float(g) for g in gradients]


def cube(x: Any) -> Any:
    return x**3


def code() -> bool:
    def doubled(x: Any) -> Any:
        while x < 10:
            x = 2 * x
        return x

    text = tf.autograph.to_code(doubled)
    return "doubled" in text and "while" in text


def changed(method: str, *args: Any, **kwargs: Any) -> np.ndarray:
    variable = v()
    getattr(variable, method)(*args, **kwargs)
    return variable.numpy()


def sliced() -> np.ndarray:
    variable = v()
    variable[0, 1].assign(42.0)
    variable[:, 2].assign([0.0, 7.0])
    return variable.numpy()


def rows() -> np.ndarray:
    return changed("scatter_update", tf.IndexedSlices(tf.constant(X[1:]), [0]))


def queued(queue: Any, elements: list[Any]) -> Any:
    for element in elements:
        queue.enqueue(element)
    return [np.asarray(queue.dequeue()).tolist() for _ in elements]


def pairs() -> Any:
    queue = tf.queue.PriorityQueue(5, [tf.float32], [[]])
    for element in ((2, 20.0), (1, 10.0), (3, 30.0)):
        queue.enqueue(element)
    return [[float(x) for x in queue.dequeue()] for _ in range(3)]


def padded() -> Any:
    queue = tf.queue.PaddingFIFOQueue(5, [tf.int32], [[None]])
    for element in ([1], [2, 3]):
        queue.enqueue([element])
    return np.asarray(queue.dequeue_many(2)).tolist()


SPARSE = tf.SparseTensor([[0, 1], [1, 2]], ["a", "b"], [2, 3])
SHIFTED = np.array([[3.0, 1.0, 2.0], [9.0, 5.0, 4.0]], "float32")


def column_sums(padding: str) -> np.ndarray:
    wide = np.pad(IMAGE[..., 0], [(0, 0), (1, 1), (0, 0)])
    sums = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return (sums if padding == "SAME" else sums[:, 1:-1, 1:-1])[..., None]


CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "constant": (lambda: tf.constant(X, dtype=tf.float64).numpy(), X.astype("d")),
    "Variable": (lambda: v().numpy(), X),
    "range": (lambda: tf.range(10), np.arange(10, dtype="int32")),
    "zeros_like": (lambda: tf.zeros_like(t()), 0 * X),
    "random.normal": (noise, (np.dtype("float64"), True, True)),
    "random.uniform": (lambda: 0.0 <= float(tf.random.uniform([])) < 1.0, True),
    "float32": (lambda: tf.constant(1.0).dtype == tf.float32, True),
    "float64": (lambda: tf.constant(np.ones(1)).dtype == tf.float64, True),
    "int32": (lambda: tf.constant(1).dtype == tf.int32, True),
    "int64": (lambda: tf.constant(np.array([1])).dtype == tf.int64, True),
    "string": (lambda: tf.constant("x").dtype == tf.string, True),
    "add": (lambda: tf.add(t(), t()), X + X),
    "multiply": (lambda: tf.multiply(t(), t()), X * X),
    "square": (lambda: tf.square(t()), X * X),
    "exp": (lambda: tf.exp(t()), np.exp(X)),
    "sqrt": (lambda: tf.sqrt(tf.abs(t())), np.sqrt(abs(X))),
    "abs": (lambda: tf.abs(t()), abs(X)),
    "add_n": (lambda: tf.add_n([t(), t(), t()]), 3 * X),
    "math.log": (lambda: tf.math.log(t() + 2.0), np.log(X + 2)),
    "math.add": (lambda: tf.math.add(t(), t()), X + X),
    "matmul": (lambda: tf.matmul(t(), tf.transpose(t())), X @ X.T),
    "reduce_mean": (
        lambda: tf.reduce_mean(tf.constant(IMAGE), axis=[1, 2]),
        IMAGE.mean((1, 2)),
    ),
    "reduce_sum": (lambda: tf.reduce_sum(t(), axis=0), X.sum(0)),
    "reduce_max": (lambda: tf.reduce_max(t(), axis=1), X.max(1)),
    "sort": (lambda: tf.sort(t()), np.sort(X)),
    "argmax": (lambda: tf.argmax(t(), axis=1), X.argmax(1)),
    "+": (lambda: t() + 1, X + 1),
    "-": (lambda: 1 - t(), 1 - X),
    "*": (lambda: t() * 3, X * 3),
    "/": (lambda: t() / 4, X / 4),
    "**": (lambda: t() ** 2, X**2),
    "@": (lambda: t() @ tf.transpose(t()), X @ X.T),
    "<": (lambda: t() < 2.0, X < 2),
    "reshape": (lambda: tf.reshape(t(), [3, -1]), X.reshape(3, 2)),
    "squeeze": (lambda: tf.squeeze(t()[:1]), X[0]),
    "tile": (lambda: tf.tile(t(), [1, 2]), np.tile(X, (1, 2))),
    "transpose": (lambda: tf.transpose(t()), X.T),
    "concat": (
        lambda: tf.concat([IMAGE, IMAGE], axis=3),
        np.concatenate([IMAGE, IMAGE], 3),
    ),
    "stack": (lambda: tf.stack([t(), t()]), np.stack([X, X])),
    "size": (lambda: tf.size(t()), np.int32(6)),
    "shape": (lambda: tuple(tf.shape(t())), (2, 3)),
    "newaxis": (lambda: t()[..., 1, tf.newaxis], X[:, 1:2]),
    "cast": (lambda: tf.cast(t(), tf.int32), X.astype("int32")),
    "where": (lambda: tf.where(t() > 1.5, t(), -t()), np.where(X > 1.5, X, -X)),
    "identity": (lambda: tf.identity(t()), X),
    "stop_gradient": (lambda: tf.stop_gradient(t()), X),
    "custom_gradient": (custom, [2.0, 7.0]),
    "TensorShape": (lambda: tf.TensorShape([None, 2]).as_list(), [None, 2]),
    "py_function": (
        lambda: tf.py_function(lambda x: x.numpy() + 1, [t()], tf.float32),
        X + 1,
    ),
    "GradientTape": (taped, [6.0, 6.0]),
    "watch": (lambda: taped(watch=True), [6.0, 6.0]),
    "stop_recording": (lambda: taped(stop=True), [None, None]),
    "function": (lambda: float(tf.function(cube)(tf.constant(2.0))), 8.0),
    "python_function": (lambda: tf.function(cube).python_function is cube, True),
    "autograph.to_code": (code, True),
    "while_loop": (
        lambda: tf.while_loop(
            lambda i, s: i < 5,
            lambda i, s: (i + 1, s + i),
            [tf.constant(0), tf.constant(0)],
        )[1],
        np.int32(10),
    ),
    "cond": (lambda: tf.cond(tf.constant(False), t, lambda: -t()), -X),
    "SparseTensor": (lambda: SPARSE.values.numpy().tolist(), [b"a", b"b"]),
    "sparse.to_dense": (
        lambda: tf.sparse.to_dense(SPARSE, default_value=b"").numpy().tolist(),
        [[b"", b"a", b""], [b"", b"", b"b"]],
    ),
    "TensorArray": (
        lambda: tf.TensorArray(tf.float32, 2).write(0, 3.0).write(1, 4.0).stack(),
        np.array([3, 4], "float32"),
    ),
    "RaggedTensor.from_sparse": (
        lambda: tf.RaggedTensor.from_sparse(
            tf.SparseTensor([[0, 0], [1, 0], [1, 1]], [1, 2, 3], [2, 3])
        ).to_list(),
        [[1], [2, 3]],
    ),
    "ragged": (
        lambda: tf.ragged.constant([[1, 2], [], [3]]).to_list(),
        [[1, 2], [], [3]],
    ),
    "strings": (
        lambda: tf.strings.unicode_decode("caf\u00e9", "UTF-8").numpy().tolist(),
        [99, 97, 102, 233],
    ),
    "sets": (
        lambda: tf.sparse.to_dense(
            tf.sets.intersection(tf.constant([[1, 2, 3]]), tf.constant([[3, 5, 1]]))
        ),
        np.array([[1, 3]], "int32"),
    ),
    "queue.FIFOQueue": (
        lambda: queued(tf.queue.FIFOQueue(3, [tf.int32], [[]]), [3, 1, 2]),
        [3, 1, 2],
    ),
    "queue.PriorityQueue": (pairs, [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]),
    "queue.RandomShuffleQueue": (
        lambda: sorted(
            queued(tf.queue.RandomShuffleQueue(5, 0, [tf.int32], [[]]), [3, 1, 2])
        ),
        [1, 2, 3],
    ),
    "queue.PaddingFIFOQueue": (padded, [[1, 0], [2, 3]]),
    "assign": (lambda: changed("assign", -X), -X),
    "assign_add": (lambda: changed("assign_add", X), 2 * X),
    "assign_sub": (lambda: changed("assign_sub", X), 0 * X),
    "slice": (sliced, np.array([[3, 42, 0], [-1, 5, 7]], "float32")),
    "scatter_update": (rows, X[[1, 1]]),
    "scatter_nd_update": (
        lambda: changed("scatter_nd_update", indices=[[1, 0]], updates=[9.0]),
        SHIFTED,
    ),
    "constraint": (
        lambda: tf.Variable(X, constraint=tf.nn.relu).constraint is tf.nn.relu,
        True,
    ),
    "trainable": (lambda: tf.Variable(X, trainable=False).trainable, False),
    "name": (lambda: tf.Variable(X, name="weights").name.split(":")[0], "weights"),
    "numpy": (lambda: v().numpy(), X),
    "nn.conv2d": (
        lambda: tf.nn.conv2d(IMAGE, FILTER, strides=1, padding="SAME"),
        column_sums("SAME"),
    ),
    "nn.max_pool": (
        lambda: tf.nn.max_pool(IMAGE, ksize=(1, 2, 2, 1), strides=2, padding="VALID"),
        IMAGE[:, 1::2, 1::2],
    ),
    "nn.depthwise_conv2d": (
        lambda: tf.nn.depthwise_conv2d(IMAGE, FILTER, (1, 1, 1, 1), "VALID")[..., :1],
        column_sums("VALID"),
    ),
    "nn.local_response_normalization": (
        lambda: tf.nn.local_response_normalization(IMAGE, 1, 2.0, 0.5, 1.0),
        IMAGE / (2.0 + 0.5 * (IMAGE**2).sum(-1, keepdims=True)),
    ),
    "nn.relu": (lambda: tf.nn.relu(t()), np.maximum(X, 0)),
    "nn.softplus": (lambda: tf.nn.softplus(t()), np.log1p(np.exp(X))),
    "image.resize": (
        lambda: tf.image.resize(IMAGE, [2, 2], "nearest"),
        IMAGE[:, 1::2, 1::2],
    ),
    "image.crop_and_resize": (
        lambda: tf.image.crop_and_resize(IMAGE, [[0.0, 0.0, 1.0, 1.0]], [0], (4, 4)),
        IMAGE,
    ),
    "image.random_crop": (lambda: tf.image.random_crop(IMAGE[0], (4, 4, 2)), IMAGE[0]),
    "image.random_flip_left_right": (
        lambda: np.sort(tf.image.random_flip_left_right(IMAGE[0]), axis=1),
        np.sort(IMAGE[0], axis=1),
    ),
}


@pytest.mark.feature(
    "2.6-1",
    "2.6-2",
    "2.6-3",
    "2.6-4",
    "2.6-5",
    "2.6-6",
    "2.6-7",
    "2.6-8",
    "2.6-9",
    "2.6-10",
    "2.6-11",
)
def test_every_name_of_the_rows_has_a_case() -> None:
    text = Path(__file__).with_name("items.txt").read_text()
    rows = [line.split()[1:] for line in text.splitlines() if line.startswith("2.6-")]
    assert sorted(name for row in rows for name in row) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_it_gives(name: str) -> None:
    call, expected = CASES[name]
    got = call()
    if not isinstance(expected, (np.ndarray, np.generic)):
        assert got == expected
        return
    got = np.asarray(got)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
