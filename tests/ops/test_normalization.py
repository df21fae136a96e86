# SPDX-License-Identifier: Apache-2.0
"""Normalization beside NumPy in float64: axes, offsets, NaN, empty batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor

RNG = np.random.default_rng(5)


def draw(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def standard(x: np.ndarray, axes: Any, epsilon: float) -> np.ndarray:
    x = x.astype(np.float64)
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_layer_and_rms_normalization_over_any_axes(axes: tuple[int, ...]) -> None:
    x = draw(5, 7, 33)
    shape = tuple(x.shape[a] for a in axes)
    gamma, beta = draw(*shape), draw(*shape)
    wide = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    g, b = gamma.reshape(wide).astype(np.float64), beta.reshape(wide)
    y = ops.layer_normalization(x, gamma, beta, axis=list(axes), epsilon=1e-3)
    np.testing.assert_allclose(y, standard(x, axes, 1e-3) * g + b, rtol=2e-5, atol=2e-5)
    root = np.sqrt(np.mean(np.square(x.astype("f8")), axis=axes, keepdims=True) + 1e-3)
    y = ops.rms_normalization(x, gamma, axis=axes, epsilon=1e-3)
    np.testing.assert_allclose(y, x / root * g, rtol=2e-5, atol=2e-5)
    deviation = np.sqrt(x.astype("f8").var(axis=axes, keepdims=True) + 1e-3)
    y = ops.layer_normalization(
        x, gamma, beta, axis=axes, epsilon=1e-3, rms_scaling=True
    )
    np.testing.assert_allclose(y, x / deviation * g, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_batch_normalization_with_given_statistics(axis: int) -> None:
    x = draw(4, 6, 5)
    n = x.shape[axis]
    mean, offset, scale = draw(n), draw(n), draw(n)
    variance = np.abs(draw(n)) + 0.1
    wide = [1, 1, 1]
    wide[axis] = n
    m, v, o, s = (a.reshape(wide).astype("f8") for a in (mean, variance, offset, scale))
    y = ops.batch_normalization(x, mean, variance, axis, offset, scale, 1e-3)
    expected = (x - m) / np.sqrt(v + 1e-3)
    np.testing.assert_allclose(y, expected * s + o, rtol=1e-5, atol=1e-5)
    y = ops.batch_normalization(x, mean, variance, axis)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2)])
def test_normalize(order: int, axis: Any) -> None:
    x = draw(4, 6, 5)
    x[1] = 0
    if order != 2 and isinstance(axis, tuple):
        pytest.skip("a norm of matrices, not of their elements")
    length = np.sum(np.abs(x.astype("f8")) ** order, axis=axis, keepdims=True)
    expected = x / np.maximum(length ** (1 / order), 1e-7)
    np.testing.assert_allclose(
        ops.normalize(x, axis, order), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(530, 3), (6, 4, 4, 40), (1000,), (3, 5000)])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_an_offset_costs_no_digits_of_the_variance(
    shape: tuple[int, ...], offset: float
) -> None:
    x = (draw(*shape) + offset).astype("float32")
    axes = tuple(range(max(len(shape) - 1, 1)))
    mean, variance = ops.moments(x, axes)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=axes), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=axes), rtol=2e-6)


@pytest.mark.parametrize("value", [1e30, -3e37, 1e-38])
def test_a_constant_is_exact_whatever_its_size(value: float) -> None:
    x = np.full((37, 19), value, "float32")
    for axes in ((0,), (1,), (0, 1)):
        mean, variance = ops.moments(x, axes)
        assert (mean.numpy() == np.float32(value)).all()
        assert (variance.numpy() == 0).all()
    gamma, beta = draw(19), draw(19)
    y, mean, variance = raw.batch_norm(Tensor(x), Tensor(gamma), Tensor(beta), 1, 1e-3)
    np.testing.assert_array_equal(y, np.broadcast_to(beta, x.shape))
    y = ops.layer_normalization(x, gamma, beta)
    np.testing.assert_array_equal(y, np.broadcast_to(beta, x.shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_channel_and_row(bad: float) -> None:
    x = draw(20, 18)
    x[3, 5] = bad
    gamma, beta = Tensor(np.ones(18, "f4")), Tensor(np.zeros(18, "f4"))
    y = raw.batch_norm(Tensor(x), gamma, beta, 1, 1e-3)[0].numpy()
    assert np.isnan(y[:, 5]).all()
    assert np.isfinite(np.delete(y, 5, axis=1)).all()
    y = raw.layer_norm(Tensor(x), gamma, beta, 1, 1e-3, True)[0].numpy()
    assert np.isnan(y[3]).all()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


def test_an_empty_batch_has_no_statistics() -> None:
    vector = Tensor(np.ones(3, "f4"))
    y, mean, variance = raw.batch_norm(
        Tensor(np.zeros((0, 3), "f4")), vector, vector, 1, 1e-3
    )
    assert y.shape == (0, 3)
    assert np.isnan(mean).all()
    assert np.isnan(variance).all()
    mean, variance = ops.moments(np.zeros((3, 0), "f4"), 1)
    assert np.isnan(mean).all()
    assert np.isnan(variance).all()


@pytest.mark.parametrize(
    ("shape", "axis"), [((64, 10), 1), ((3, 4, 50), 1), ((9, 70), 1)]
)
def test_the_gradient_is_that_of_the_formula_written_out(
    shape: tuple[int, ...], axis: int
) -> None:
    x, gamma, beta, dy = (
        Tensor(draw(*s, dtype="float64"))
        for s in (shape, shape[axis : axis + 1], shape[axis : axis + 1], shape)
    )
    axes = tuple(i for i in range(len(shape)) if i != axis)
    wide = tuple(n if i == axis else 1 for i, n in enumerate(shape))

    def written(x: Any, gamma: Any, beta: Any) -> Any:
        d = ops.subtract(x, ops.mean(x, axes, True))
        variance = ops.mean(ops.square(d), axes, True)
        xhat = ops.divide(d, ops.sqrt(variance + 1e-3))
        return xhat * ops.reshape(gamma, wide) + ops.reshape(beta, wide)

    results = []
    for f in (written, lambda *v: raw.batch_norm(*v, axis, 1e-3)[0]):
        with GradientTape() as tape:
            tape.watch([x, gamma, beta])
            y = ops.sum(f(x, gamma, beta) * dy)
        results.append(tape.gradient(y, [x, gamma, beta]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="order must be an int"):
        ops.normalize(draw(3), order=0)
    with pytest.raises(NotImplementedError, match="synchronized=False"):
        ops.moments(draw(3), 0, synchronized=True)
    with pytest.raises(TypeError, match="unknown arguments"):
        ops.layer_normalization(draw(3, 4), rms=True)
    with pytest.raises(ValueError, match="groups do not divide"):
        raw.group_norm(Tensor(draw(2, 3)), Tensor(draw(3)), Tensor(draw(3)), 2, 1e-3)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1)])
def test_moments_are_not_taken_relative_to_the_largest_numbers(shape: tuple) -> None:
    signs = np.where(np.indices(shape).sum(0) % 2, -1, 1)  # neighbours cancel
    x = (3e38 * signs).astype("f")
    for axis in (0, 1):
        mean, _ = ops.moments(x, axis)
        expected = x.astype(np.float64).mean(axis)
        np.testing.assert_allclose(mean.numpy(), expected, rtol=1e-6, atol=1e32)
