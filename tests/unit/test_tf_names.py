# SPDX-License-Identifier: Apache-2.0
"""Every name that the features name of `tf`: it resolves, and gives what it should."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import tf
from fastnn.errors import DTypeError, ShapeError

# Part 2.6 of features/items.txt and the calls named in 1D, 3D, 4A, 4B, 4G and 4I.
NAMES = """constant Variable range zeros_like random.normal random.uniform
float32 float64 int32 int64 string add multiply square exp sqrt abs add_n math.log
math.add matmul reduce_mean reduce_sum reduce_max sort argmax reshape squeeze tile
transpose concat stack size shape newaxis cast where identity stop_gradient
custom_gradient TensorShape py_function GradientTape function autograph.to_code
while_loop cond SparseTensor sparse.to_dense TensorArray RaggedTensor.from_sparse
RaggedTensor ragged strings sets queue.FIFOQueue queue.PriorityQueue
queue.RandomShuffleQueue queue.PaddingFIFOQueue nn.conv2d nn.max_pool
nn.depthwise_conv2d nn.local_response_normalization nn.relu nn.softplus image.resize
image.crop_and_resize image.random_crop image.random_flip_left_right Tensor keras
__version__ keras.layers keras.metrics.MeanIoU gather map_fn""".split()
METHODS = """assign assign_add assign_sub scatter_update scatter_nd_update constraint
trainable name numpy""".split()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves(name: str) -> None:
    found: Any = tf
    for part in name.split("."):
        found = getattr(found, part)
    assert found is not None or name == "newaxis"


@pytest.mark.parametrize("name", METHODS)
def test_variables_have_their_methods(name: str) -> None:
    assert hasattr(tf.Variable([1.0, 2.0]), name)


@pytest.mark.parametrize("name", ["log", "T"])
@pytest.mark.feature("1D-4c", "4A-5")
def test_names_that_do_not_exist(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(tf if name == "log" else tf.constant([[1.0]]), name)


X = np.array([[3.0, 1.0, 2.0], [-1.0, 5.0, 5.0]], "float32")
I = np.arange(24, dtype="float32").reshape(2, 3, 4)  # noqa: E741
CASES = {
    "add_n": (lambda: tf.add_n([X, X, X]), 3 * X),
    "argmax": (lambda: tf.argmax(X), X.argmax(0)),
    "argmax 1": (lambda: tf.argmax(X, 1), X.argmax(1)),
    "argmin": (lambda: tf.argmin(X), X.argmin(0)),
    "sort": (lambda: tf.sort(X), np.sort(X)),
    "sort down": (lambda: tf.sort(X, 0, "DESCENDING"), -np.sort(-X, 0)),
    "argsort": (lambda: tf.argsort(X), np.argsort(X, kind="stable")),
    "argsort down": (
        lambda: tf.argsort(X, direction="DESCENDING"),
        np.argsort(-X, kind="stable"),
    ),
    "gather": (lambda: tf.gather(X, [2, 0], axis=1), X[:, [2, 0]]),
    "gather 0": (lambda: tf.gather(X, [[1, 0]]), X[[[1, 0]]]),
    "gather_nd": (lambda: tf.gather_nd(X, [[0, 2], [1, 1]]), X[[0, 1], [2, 1]]),
    "boolean_mask": (lambda: tf.boolean_mask(X, X > 1.5), X[X > 1.5]),
    "boolean_mask 1": (
        lambda: tf.boolean_mask(X, np.array([True, False, True]), 1),
        X[:, [0, 2]],
    ),
    "map_fn": (lambda: tf.map_fn(lambda row: tf.reduce_sum(row), X), X.sum(1)),
    "size": (lambda: tf.size(X), np.int32(6)),
    "rank": (lambda: tf.rank(X), np.int32(2)),
    "reverse": (lambda: tf.reverse(X, [1]), X[:, ::-1]),
    "pad": (lambda: tf.pad(X, [[1, 0], [0, 2]]), np.pad(X, [[1, 0], [0, 2]])),
    "pad reflect": (
        lambda: tf.pad(X, [[0, 0], [1, 1]], "REFLECT"),
        np.pad(X, [[0, 0], [1, 1]], "reflect"),
    ),
    "cumsum": (lambda: tf.cumsum(X, 1), X.cumsum(1)),
    "cumsum exclusive": (lambda: tf.cumsum([1, 2, 3], exclusive=True), [0, 1, 3]),
    "cumsum reverse": (lambda: tf.cumsum([1, 2, 3], reverse=True), [6, 5, 3]),
    "cumsum both": (
        lambda: tf.cumsum([1, 2, 3], exclusive=True, reverse=True),
        [5, 3, 0],
    ),
    "reduce_std": (lambda: tf.reduce_std(X, 1), X.std(1)),
    "py_function": (
        lambda: tf.py_function(lambda t: t.numpy().sum(), [X], tf.float64),
        np.float64(15),
    ),
    "numpy_function": (lambda: tf.numpy_function(np.sort, [X], "float32"), np.sort(X)),
    "math.log": (lambda: tf.math.log(I + 1), np.log(I + 1)),
    "math.add": (lambda: tf.math.add(X, 1.0), X + 1),
    "nn.leaky_relu": (lambda: tf.nn.leaky_relu(X), np.where(X > 0, X, 0.2 * X)),
    "nn.l2_loss": (lambda: tf.nn.l2_loss(X), (X**2).sum() / 2),
    "nn.bias_add": (lambda: tf.nn.bias_add(X, X[0]), X + X[0]),
    "nn.softmax": (
        lambda: tf.nn.softmax(X),
        np.exp(X) / np.exp(X).sum(1, keepdims=True),
    ),
    "nn.embedding_lookup": (lambda: tf.nn.embedding_lookup(X, [1, 1]), X[[1, 1]]),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    call, expected = CASES[name]
    got = np.asarray(call())
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.shape == np.shape(expected)


def test_shapes() -> None:
    shape = tf.TensorShape([2, None, 3])
    assert repr(shape) == "TensorShape([2, None, 3])"
    assert tf.TensorShape(shape.as_list()[:-1] + [7]) == (2, None, 7)
    assert (shape.rank, shape.num_elements()) == (3, None)
    assert tf.TensorShape((2, 3)).num_elements() == 6
    assert tf.TensorShape(4).concatenate([5]) == (4, 5)
    assert tf.shape(tf.constant(X)) == (2, 3)
    noise = tf.random.normal(tf.shape(X), stddev=0.1)
    assert noise.shape == (2, 3)


def test_wrong_arguments_say_so() -> None:
    with pytest.raises(ShapeError, match="add_n"):
        tf.add_n([X, X[0]])
    with pytest.raises(ValueError, match="at least one"):
        tf.add_n([])
    with pytest.raises(ValueError, match="DESCENDING"):
        tf.sort(X, direction="down")
    with pytest.raises(ValueError, match="height and width"):
        tf.nn.max_pool(np.zeros((1, 4, 4, 4), "f"), (2, 1, 1, 1), 1, "SAME")
    with pytest.raises(ShapeError, match="random_crop"):
        tf.image.random_crop(I, (3, 3, 4))
    with pytest.raises(ValueError, match="method"):
        tf.image.crop_and_resize(I[None], [[0.0, 0.0, 1.0, 1.0]], [0], (2, 2), "cubic")
    with pytest.raises(ShapeError, match=r"py_function.*every time"):
        tf.function(lambda t: tf.py_function(np.flatnonzero, [t], tf.float32))(X)
    with pytest.raises(DTypeError):
        tf.constant(X) + tf.constant([1, 2, 3])


class TestNetworks:
    images = np.random.default_rng(0).standard_normal((2, 5, 6, 4)).astype("float32")

    def test_conv2d(self) -> None:
        filters = np.random.default_rng(1).standard_normal((3, 3, 4, 2)).astype("f")
        for strides in (1, (2, 1), [1, 2, 1, 1]):
            got = tf.nn.conv2d(self.images, filters, strides, "SAME")
            pair = {1: 1, (2, 1): (2, 1)}.get(
                strides if isinstance(strides, (int, tuple)) else 0, (2, 1)
            )
            expected = fastnn.ops.conv(self.images, filters, pair, "same")
            np.testing.assert_array_equal(got.numpy(), expected.numpy())

    def test_depthwise(self) -> None:
        filters = np.ones((2, 2, 4, 1), "float32")
        got = tf.nn.depthwise_conv2d(self.images, filters, [1, 1, 1, 1], "VALID")
        x = self.images
        expected = x[:, :-1, :-1] + x[:, 1:, :-1] + x[:, :-1, 1:] + x[:, 1:, 1:]
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)

    def test_pools(self) -> None:
        x = self.images[:, :4]
        windows = x.reshape(2, 2, 2, 3, 2, 4)
        got = tf.nn.max_pool(x, ksize=2, strides=2, padding="VALID")
        np.testing.assert_array_equal(got.numpy(), windows.max((2, 4)))
        got = tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
        np.testing.assert_allclose(got.numpy(), windows.mean((2, 4)), rtol=1e-5)
        got = tf.nn.max_pool(x, (1, 1, 1, 2), (1, 1, 1, 2), "VALID")
        np.testing.assert_array_equal(
            got.numpy(), x.reshape(*x.shape[:3], 2, 2).max(-1)
        )

    @pytest.mark.parametrize("radius", [0, 1, 2, 5])
    def test_local_response_normalization(self, radius: int) -> None:
        x = self.images.astype("float64")
        expected = np.empty_like(x)
        for c in range(4):
            near = x[..., max(0, c - radius) : c + radius + 1]
            total = (near**2).sum(-1)
            expected[..., c] = x[..., c] / (2.0 + 0.3 * total) ** 0.75
        got = tf.nn.local_response_normalization(x, radius, 2.0, 0.3, 0.75)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)

    def test_cross_entropies(self) -> None:
        labels = np.array([0, 2])
        rows = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, X)
        expected = -np.log(np.exp(X) / np.exp(X).sum(1, keepdims=True))
        np.testing.assert_allclose(rows.numpy(), expected[[0, 1], labels], rtol=1e-5)
        dense = tf.nn.softmax_cross_entropy_with_logits(np.eye(3, dtype="f")[labels], X)
        np.testing.assert_allclose(dense.numpy(), rows.numpy(), rtol=1e-5)


class TestImages:
    def test_resize(self) -> None:
        images = np.arange(32, dtype="float32").reshape(2, 4, 4, 1)
        assert tf.image.resize(images, [224, 224]).shape == (2, 224, 224, 1)
        half = tf.image.resize(images, [2, 2], method="nearest")
        assert half.shape == (2, 2, 2, 1)
        kept = tf.image.resize(images, [2, 4], preserve_aspect_ratio=True)
        assert kept.shape == (2, 2, 2, 1)

    def test_flips(self) -> None:
        fastnn.utils.set_random_seed(1)
        images = np.arange(64 * 6, dtype="float32").reshape(64, 2, 3, 1)
        got = tf.image.random_flip_left_right(images).numpy()
        turned = (got == images[:, :, ::-1]).all((1, 2, 3))
        same = (got == images).all((1, 2, 3))
        assert (turned ^ same).all()
        assert 16 < turned.sum() < 48
        one = tf.image.flip_up_down(images[0])
        np.testing.assert_array_equal(one.numpy(), images[0, ::-1])

    def test_random_crop(self) -> None:
        fastnn.utils.set_random_seed(2)
        image = np.arange(5 * 4 * 3).reshape(5, 4, 3)
        seen = set()
        for _ in range(100):
            part = tf.image.random_crop(image, [3, 2, 3]).numpy()
            y, x = divmod(int(part[0, 0, 0]) // 3, 4)
            np.testing.assert_array_equal(part, image[y : y + 3, x : x + 2])
            seen.add((y, x))
        assert seen == set(itertools.product(range(3), range(3)))

    @pytest.mark.parametrize("method", ["bilinear", "nearest"])
    def test_crop_and_resize(self, method: str) -> None:
        rng = np.random.default_rng(3)
        images = rng.standard_normal((2, 5, 7, 3))
        boxes = np.array(
            [[0, 0, 1, 1], [0.2, 0.1, 0.9, 0.7], [0.9, 0, 0.1, 1], [-0.5, 0, 1.2, 0.5]]
        )
        which, (ch, cw) = [0, 1, 0, 1], (4, 6)
        expected = np.full((4, ch, cw, 3), -7.0)
        for b, (y1, x1, y2, x2) in enumerate(boxes):
            for i, j in itertools.product(range(ch), range(cw)):
                y = y1 * 4 + i * (y2 - y1) * 4 / (ch - 1)
                x = x1 * 6 + j * (x2 - x1) * 6 / (cw - 1)
                if not (0 <= y <= 4 and 0 <= x <= 6):
                    continue
                image = images[which[b]]
                if method == "nearest":
                    expected[b, i, j] = image[int(y + 0.5), int(x + 0.5)]
                    continue
                t, s = int(y), int(x)
                dy, dx = y - t, x - s
                u, v = min(t + 1, 4), min(s + 1, 6)
                expected[b, i, j] = (1 - dy) * (
                    (1 - dx) * image[t, s] + dx * image[t, v]
                ) + dy * ((1 - dx) * image[u, s] + dx * image[u, v])
        got = tf.image.crop_and_resize(images, boxes, which, (ch, cw), method, -7.0)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9, atol=1e-9)
