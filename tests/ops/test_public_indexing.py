# SPDX-License-Identifier: Apache-2.0
"""Gathers, scatters, segments, diagonals and the like against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import PlanError, ShapeError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
AXES = [None, 0, 1, 2, -1]


def same(actual: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        for a, b in zip(actual, expected, strict=True):
            same(a, b)
        return
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", AXES)
def test_take_along_any_axis(axis: int | None) -> None:
    index = [[0, 1], [3, -1]]
    same(ops.take(X, index, axis), np.take(X, index, axis))
    same(ops.take(X, 2, axis), np.take(X, 2, axis))
    same(ops.take(X > 0, [1], axis), np.take(X > 0, [1], axis))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_take_along_axis_broadcasts_the_others(axis: int) -> None:
    shape = [1, 1, 1]
    shape[axis] = 7
    index = RNG.integers(-4, 4, shape)
    wide = [*X.shape]
    wide[axis] = 7
    same(
        ops.take_along_axis(X, index, axis),
        np.take_along_axis(X, np.broadcast_to(index, wide), axis),
    )


KEYS = [
    (slice(None), np.array([0, 2])),
    (np.array([1, 2]), slice(1, 3), np.array([0, -1])),
    (np.array([[1], [2]]), np.array([0, 3])),
    (0, slice(None), np.array([1, 2])),
    (Ellipsis, np.array([1, 2])),
    (None, np.array([3, 1])),
    (slice(None), np.array([0, 2]), np.array([[1], [5]])),
    (slice(None, None, 2), np.array([0, 2]), None, np.array([1, 1])),
    ([1, 3], Ellipsis, 2),
    X > 0,
    (X[:, 0, 0] > 0, 1),
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_get_item_as_numpy(key: Any) -> None:
    same(ops.get_item(X, key), X[key])


def test_get_item_by_tensors_of_a_traced_function() -> None:
    f = fastnn.function(lambda t, i, j: (t[i, :, j], t[:, i], t[i]))
    i, j = np.array([1, -2]), np.array([5, 0])
    same(f(X, i, j), (X[i, :, j], X[:, i], X[i]))


def test_an_index_out_of_range_is_named_with_its_place() -> None:
    t = ops.convert_to_tensor(X)
    with pytest.raises(
        IndexError, match=r"\[take\] index 9 at position \(0, 1\) .*axis 1"
    ):
        ops.take(X, [[0, 9]], 1)
    with pytest.raises(
        IndexError, match=r"index 7 at position \(0, 0, 0\) .*of size 5"
    ):
        ops.take_along_axis(X, np.full((4, 1, 6), 7), 1)
    with pytest.raises(IndexError, match=r"index -5 at position \(1,\) .*axis 0"):
        t[np.array([0, -5])]
    with pytest.raises(IndexError, match=r"\[scatter\] index 9 .*axis 1 of size 3"):
        ops.scatter([[0, 9]], [1.0], (2, 3))
    with pytest.raises(IndexError, match="segment id 9 at position 2"):
        ops.segment_sum(X, [0, 1, 9, 0], 3)
    with pytest.raises(ValueError, match=r"\[take\] index 4 at position \(1\)"):
        fastnn.function(lambda a, i: ops.take(a, i, 0))(X, np.array([0, 4]))
    # Within the flat range, but not within its axis.
    with pytest.raises(ValueError, match="out of range"):
        fastnn.function(lambda i: ops.scatter(i, X[:2, 0, 0], (2, 3)))(
            np.array([[0, 3], [0, 0]])
        )


def test_slices_with_starts_known_and_unknown() -> None:
    same(ops.slice(X, (1, 0, 2), (2, 3, -1)), X[1:3, :3, 2:])
    f = fastnn.function(lambda a, i: ops.slice(a, (i, 0, i), (2, 5, 3)))
    same(f(X, np.array(2)), X[2:4, :, 2:5])
    with pytest.raises(ShapeError, match="do not fit axis 0"):
        ops.slice(X, (3, 0, 0), (2, 5, 6))
    want = X.copy()
    want[1:3, :3, 2:4] = 1
    same(ops.slice_update(X, (1, 0, 2), np.ones((2, 3, 2))), want)
    g = fastnn.function(lambda a, i, u: ops.slice_update(a, [i, 0, 2], u))
    same(g(X, np.array(1), np.ones((2, 3, 2), "float32")), want)


def test_scatter_adds_and_scatter_update_keeps_the_last() -> None:
    index = np.array([[0, 1], [1, 2], [0, 1]])
    want = np.zeros((2, 3))
    np.add.at(want, tuple(index.T), [1.0, 2.0, 3.0])
    same(ops.scatter(index, np.array([1.0, 2.0, 3.0]), (2, 3)), want)
    base = np.arange(6.0).reshape(2, 3)
    for reduction, value in ((None, 3), ("add", 5), ("max", 3), ("min", 1), ("mul", 3)):
        got = ops.scatter_update(base, index, np.array([1.0, 2.0, 3.0]), reduction)
        assert float(got[0, 1]) == value, reduction
        assert float(got[1, 0]) == 3
    rows = ops.scatter_update(base, [[1]], [[7.0, 8.0, 9.0]])
    same(rows, [[0, 1, 2], [7, 8, 9]])
    assert ops.scatter_update(np.zeros(3, "int8"), [[1]], [5]).dtype == "int8"
    with pytest.raises(ValueError, match="reduction must be"):
        ops.scatter_update(base, [[1]], [[7.0, 8.0, 9.0]], "mean")


SEGMENTS = {
    "sum": (np.add, 0),
    "prod": (np.multiply, 1),
    "max": (np.maximum, -np.inf),
    "min": (np.minimum, np.inf),
}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_drop_negative_ids(name: str, traced: bool) -> None:
    merge, start = SEGMENTS[name]
    ids = np.array([0, -1, 2, 2])
    want = np.full((4, 5, 6), float(start))
    for i, row in zip(ids, X, strict=True):
        if i >= 0:
            want[i] = merge(want[i], row)
    function = getattr(ops, f"segment_{name}")
    if traced:
        same(fastnn.function(lambda x, i: function(x, i, 4))(X, ids), want)
        with pytest.raises(PlanError, match="num_segments"):
            fastnn.function(lambda x, i: function(x, i))(X, ids)
    else:
        same(function(X, ids, 4), want)
        same(function(X, ids), want[:3])
        small = function(X.astype("int8"), ids)
        assert small.dtype == "int8" and small.shape == (3, 5, 6)


def test_multi_hot_and_one_hot() -> None:
    same(
        ops.multi_hot([[0, 2], [1, 1], [-1, 9]], 4),
        [[1, 0, 1, 0], [0, 1, 0, 0], [0] * 4],
    )
    same(ops.multi_hot([1, 3], 4, dtype="int32"), [0, 1, 0, 1])
    same(ops.one_hot([[0, 2]], 3, axis=1), [[[1, 0], [0, 0], [0, 1]]])


def test_places() -> None:
    same(ops.unravel_index([5, 7, -1], (2, 4)), ([1, 1, 1], [1, 3, 3]))
    f = fastnn.function(lambda i: ops.unravel_index(i, (2, 3, 4)))
    same(f(np.array([5, 23])), np.unravel_index([5, 23], (2, 3, 4)))
    same(ops.nonzero(X > 1), np.nonzero(X > 1))
    same(ops.where(X > 1), np.where(X > 1))
    with pytest.raises(PlanError, match="nonzero"):
        fastnn.function(ops.nonzero)(X)


@pytest.mark.parametrize("k", [-7, -2, 0, 1, 9])
def test_diagonals_and_triangles(k: int) -> None:
    v = np.array([1.0, 2.0, 3.0])
    same(ops.diag(v, k), np.diag(v, k))
    same(ops.diagflat([[1, 2]], k), np.diagflat([[1, 2]], k))
    same(ops.diag(X[0], k), np.diag(X[0], k))
    same(ops.diagonal(X, k, 2, 0), np.diagonal(X, k, 2, 0))
    same(ops.trace(X, k, 0, 2), np.trace(X, k, 0, 2))
    same(ops.tril(X, k), np.tril(X, k))
    same(ops.triu(X, k), np.triu(X, k))
    same(ops.triu(X > 0, k), np.triu(X > 0, k))
    same(ops.tri(3, 4, k), np.tri(3, 4, k))


@pytest.mark.parametrize("axis", AXES)
def test_rolls_and_repeats(axis: int | None) -> None:
    for shift in (0, 2, -3, 11):
        same(ops.roll(X, shift, axis), np.roll(X, shift, axis))
    same(ops.repeat(X, 3, axis), np.repeat(X, 3, axis))
    counts = np.arange(X.size if axis is None else X.shape[axis]) % 3
    same(ops.repeat(X, counts, axis), np.repeat(X, counts, axis))


def test_turns_and_grids() -> None:
    same(ops.roll(X, (1, 2), (0, 2)), np.roll(X, (1, 2), (0, 2)))
    for k in range(-1, 5):
        same(ops.rot90(X, k, (0, 2)), np.rot90(X, k, (0, 2)))
    same(ops.fliplr(X), np.fliplr(X))
    same(ops.flipud(X), np.flipud(X))
    for indexing in ("xy", "ij"):
        same(
            ops.meshgrid([1, 2], [3, 4, 5], [6], indexing=indexing),
            np.meshgrid([1, 2], [3, 4, 5], [6], indexing=indexing),
        )
    same(ops.append(X, X, 1), np.append(X, X, 1))
    same(ops.append([1], [[2.5]]), [1, 2.5])


@pytest.mark.parametrize("axis", AXES)
def test_running_sums(axis: int | None) -> None:
    same(ops.cumsum(X, axis), np.cumsum(X, axis))
    same(ops.cumprod(X, axis), np.cumprod(X, axis))
    holes = np.where(X > 1, np.nan, X)
    same(ops.nancumsum(holes, axis), np.nancumsum(holes, axis))
    same(ops.nancumprod(holes, axis), np.nancumprod(holes, axis))


def test_running_sums_of_integers() -> None:
    assert ops.cumsum(np.array([True, True])).dtype == "int32"
    y = ops.cumsum(np.full(3, 100, "int8"))
    np.testing.assert_array_equal(y.numpy(), np.array([100, -56, 44], "int8"))
    assert ops.cumsum(np.full(3, 100, "int8"), dtype="float64").dtype == "float64"


def test_the_gradient_of_cumprod_at_zeros() -> None:
    x = fastnn.ops.convert_to_tensor(np.array([2.0, 0.0, 3.0, 0.0]))
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.cumprod(x))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [1.0, 8.0, 0.0, 0.0])
