# SPDX-License-Identifier: Apache-2.0
"""Public pooling against windows written out in NumPy, float64."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError


def pooled(
    x: np.ndarray, size: tuple, strides: tuple, padding: str, reduce: Any
) -> np.ndarray:
    """Pooling by definition: pad with NaN, cut every window out, reduce it."""
    rank = len(size)
    pads = [(0, 0)]
    for n, w, s in zip(x.shape[1:-1], size, strides, strict=True):
        total = max((-(-n // s) - 1) * s + w - n, 0) if padding == "same" else 0
        pads.append((total // 2, total - total // 2))
    wide = np.pad(x, [*pads, (0, 0)], constant_values=np.nan)
    patches = np.lib.stride_tricks.sliding_window_view(
        wide, size, tuple(range(1, rank + 1))
    )
    patches = patches[:, *[slice(None, None, s) for s in strides]]
    return reduce(patches, axis=tuple(range(-rank, 0)))


REDUCERS = {"max_pool": np.nanmax, "average_pool": np.nanmean}
CASES = [
    ((2, 9, 5), (3,), (2,)),
    ((2, 8, 7, 3), (2, 2), (2, 2)),
    ((1, 9, 11, 20), (3, 2), (2, 3)),
    ((2, 5, 6, 4, 3), (2, 3, 2), (1, 2, 2)),
]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", REDUCERS)
def test_pooling_in_both_data_formats(name: str, case: Any, padding: str) -> None:
    rng = np.random.default_rng(20)
    shape, size, strides = case
    x = rng.normal(size=shape)
    expected = pooled(x, size, strides, padding, REDUCERS[name])
    pool = getattr(ops, name)
    y = pool(x, size, strides, padding.upper())
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14, atol=1e-14)
    first = np.moveaxis(x, -1, 1)
    y = pool(first, size, strides, padding, data_format="channels_first")
    np.testing.assert_allclose(np.moveaxis(y.numpy(), 1, -1), expected, atol=1e-14)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_the_gradient_of_a_maximum_goes_to_the_first_of_equals(form: str) -> None:
    x = np.zeros((1, 2, 4, 1))
    x[0, 1, 3] = 5
    if form == "channels_first":
        x = np.moveaxis(x, -1, 1).copy()
    t = Tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        y = ops.sum(ops.max_pool(t, 2, data_format=form))
    expected = np.array([[1, 0, 0, 0], [0, 0, 0, 1.0]])
    np.testing.assert_array_equal(tape.gradient(y, t).numpy().reshape(2, 4), expected)


def test_a_recorded_maximum_has_the_bits_of_one_that_is_not() -> None:
    rng = np.random.default_rng(20)
    x = Tensor(rng.normal(size=(2, 7, 7, 19)).astype("float32"))
    plain = ops.max_pool(x, 3, 2, "same")
    with GradientTape() as tape:
        tape.watch(x)
        recorded = ops.max_pool(x, 3, 2, "same")
    np.testing.assert_array_equal(plain.numpy(), recorded.numpy())


def test_nan_wins() -> None:
    x = np.ones((1, 4, 4, 3), "float32")
    x[0, 1, 1, 2] = np.nan
    y = ops.max_pool(x, 2).numpy()
    assert np.isnan(y[0, 0, 0, 2])
    assert np.isnan(y).sum() == 1


def test_windows_larger_than_a_byte_can_number() -> None:
    rng = np.random.default_rng(20)
    x = Tensor(rng.normal(size=(2, 20, 20, 3)))
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.square(ops.max_pool(x, 20)))
    values = x.numpy()
    best = values.max((1, 2), keepdims=True)
    np.testing.assert_array_equal(
        tape.gradient(y, x).numpy(), np.where(values == best, 2 * values, 0)
    )


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", REDUCERS)
def test_pooling_over_channels(name: str, form: str) -> None:
    rng = np.random.default_rng(21)
    x = rng.normal(size=(2, 4, 5, 6))
    expected = REDUCERS[name](x.reshape(2, 4, 5, 2, 3), axis=-1)
    size: tuple[int, ...] = (1, 1, 1, 3)
    if form == "channels_first":
        x, size = np.moveaxis(x, -1, 1), (1, 3, 1, 1)
        expected = np.moveaxis(expected, -1, 1)
    t = Tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        y = getattr(ops, name)(t, size, size, data_format=form)
        v = rng.normal(size=y.shape)
        total = ops.sum(y * Tensor(v))
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)
    g = tape.gradient(total, t).numpy()
    last = np.moveaxis(x, 1, -1) if form == "channels_first" else x
    groups = last.reshape(2, 4, 5, 2, 3)
    share = np.full(groups.shape, 1 / 3)
    if name == "max_pool":
        share = groups == groups.max(-1, keepdims=True)
    weights = np.moveaxis(v, 1, -1) if form == "channels_first" else v
    wanted = (share * weights[..., None]).reshape(last.shape)
    wanted = np.moveaxis(wanted, -1, 1) if form == "channels_first" else wanted
    np.testing.assert_allclose(g, wanted, rtol=1e-12)


def test_tensorflow_windows_over_space_are_ordinary_ones() -> None:
    rng = np.random.default_rng(20)
    x = rng.normal(size=(2, 6, 6, 3))
    y = ops.max_pool(x, (1, 2, 2, 1), (1, 2, 2, 1))
    np.testing.assert_array_equal(y.numpy(), ops.max_pool(x, 2).numpy())


@pytest.mark.parametrize("name", ["max", "average"])
@pytest.mark.parametrize(("shape", "out"), [((2, 7, 5), 3), ((1, 5, 9, 4), (2, None))])
def test_adaptive_pooling(name: str, shape: tuple, out: Any) -> None:
    rng = np.random.default_rng(20)
    x = rng.normal(size=shape)
    sizes = shape[1:-1]
    given = out if isinstance(out, tuple) else (out,)
    targets = [n if m is None else m for n, m in zip(sizes, given, strict=True)]
    expected = np.empty((shape[0], *targets, shape[-1]))
    for at in product(*[range(m) for m in targets]):
        cut = tuple(
            slice(int(np.floor(o * n / m)), int(np.ceil((o + 1) * n / m)))
            for o, n, m in zip(at, sizes, targets, strict=True)
        )
        reduce = np.max if name == "max" else np.mean
        expected[:, *at] = reduce(x[:, *cut], axis=tuple(range(1, 1 + len(cut))))
    y = getattr(ops, f"adaptive_{name}_pool")(x, out)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)


def test_integers_keep_their_dtype_in_a_maximum() -> None:
    x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
    y = ops.max_pool(x, 2)
    assert y.dtype == "int32"
    np.testing.assert_array_equal(y.numpy().ravel(), [5, 7, 13, 15])


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_a_maximum_of_large_integers_is_exact(dtype: str) -> None:
    top = 2**24 if dtype != "int64" else 2**52
    x = np.array([top, top + 1, top - 1, top + 3], dtype).reshape(1, 4, 1)
    y = ops.max_pool(x, 2).numpy()
    assert y.dtype == dtype
    assert y.ravel().tolist() == [top + 1, top + 3]
    y = ops.adaptive_max_pool(x, 1).numpy()
    assert y.dtype == dtype and int(y.ravel()[0]) == top + 3


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_floats_cannot_tell_apart_are_refused(dtype: str) -> None:
    x = np.array([2**53, 2**53 + 1], dtype).reshape(1, 2, 1)
    with pytest.raises(TypeError, match=r"^\[max_pool\].*cast the inputs"):
        ops.max_pool(x, 2)


@pytest.mark.parametrize("size", [np.int64(2), np.array([2, 2]), [2, np.int32(2)]])
def test_numpy_integers_are_integers(size: Any) -> None:
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    y = ops.max_pool(x, size, size)
    np.testing.assert_array_equal(y.numpy().ravel(), [5, 7, 13, 15])


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 5, 6, 2), (2**20, 2**10)),
        ((1, 9, 3), (2**31 - 1,)),
        ((1, 3, 300, 1), (7, 2**25)),
    ],
)
def test_windows_much_larger_than_the_image(name: str, shape: tuple, size: Any) -> None:
    rng = np.random.default_rng(20)
    x = rng.normal(size=shape)
    t = Tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        y = getattr(ops, name)(t, size, 2**30, "same")
        total = ops.sum(y * y)
    axes = tuple(range(1, x.ndim - 1))
    best = {"max_pool": x.max, "average_pool": x.mean}[name](axes, keepdims=True)
    np.testing.assert_allclose(y.numpy(), best, rtol=1e-12)
    count = np.full(x.shape, np.prod(x.shape[1:-1]))
    share = {"max_pool": x == best, "average_pool": 1 / count}[name]
    np.testing.assert_allclose(
        tape.gradient(total, t).numpy(), 2 * best * share, rtol=1e-12
    )


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize(
    ("shape", "size", "strides"),
    [
        ((1, 300, 300, 1), 2**33, 300),
        ((1, 9, 3), 2**61, 1),
        ((1, 4, 4, 1), (2**16, 2**15), 1),
        ((1, 4, 4, 4, 1), (2**32, 2**32, 2), 1),
        ((1, 9, 3), 3, 2**63),
        ((1, 9, 3), 10**30, None),
    ],
)
def test_windows_that_cannot_be_numbered_are_refused(
    name: str, shape: tuple, size: Any, strides: Any
) -> None:
    with pytest.raises(ShapeError, match=rf"^\[{name}\].*exceeds 2147483647"):
        getattr(ops, name)(np.ones(shape, "f"), size, strides, "same")


def test_a_window_over_nothing_is_refused() -> None:
    x = Tensor(np.zeros((1, 0, 2), "f"))
    with pytest.raises(ShapeError, match="do not fit"):
        raw.max_pool(x, (2,), (1,), (1,), (1,))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: ops.max_pool(x, 5), ShapeError, "do not fit"),
        (lambda x: ops.max_pool(x, 2, padding="full"), ValueError, "padding"),
        (lambda x: ops.max_pool(x, (2, 2, 2)), ValueError, "pool_size"),
        (lambda x: ops.max_pool(x, 2, 0), ValueError, "strides"),
        (lambda x: ops.max_pool(x, 2.0), ValueError, "pool_size must be .* 2.0"),
        (lambda x: ops.max_pool(x, 2, (2, 1.5)), ValueError, "strides must be"),
        (lambda x: ops.max_pool(x, 2, data_format="last"), ValueError, "data_format"),
        (lambda x: ops.max_pool(x, (1, 1, 1, 2)), ShapeError, "divide the 3"),
        (lambda x: ops.max_pool(x, (2, 1, 1, 1)), ValueError, "over the batch"),
        (lambda x: ops.max_pool(x, (1, 2, 1, 3)), ValueError, "pool twice"),
        (lambda x: ops.average_pool(x[0, 0], 2), ShapeError, "spatial axes"),
        (lambda x: ops.adaptive_max_pool(x, (2, 3, 4)), ValueError, "output_size"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[\w+\].*{text}"):
        call(np.ones((1, 4, 4, 3)))
