# SPDX-License-Identifier: Apache-2.0
"""Jacobians and Hessians against complex steps, which round as the function does."""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, function, hessian, ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError

RNG = np.random.default_rng(2)
X, W = RNG.uniform(0.5, 1.5, (3, 4)), RNG.uniform(0.5, 1.5, (4, 2))


def by_complex_step(f: Any, *args: np.ndarray) -> list[np.ndarray]:
    """Derivative of each element of f by each of each argument (Squire, Trapp 1998)."""
    found = []
    for k, x in enumerate(args):
        columns = []
        for at in np.ndindex(x.shape):
            moved = x.astype(complex)
            moved[at] += 1e-30j
            columns.append(np.imag(f(*args[:k], moved, *args[k + 1 :])) / 1e-30)
        stacked = np.stack(columns, axis=-1)
        found.append(stacked.reshape(*stacked.shape[:-1], *x.shape))
    return found


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_jacobian(traced: bool, persistent: bool) -> None:
    def found(x: Any, w: Any) -> Any:
        with GradientTape(persistent=persistent) as tape:
            tape.watch([x, w])
            y = ops.exp(ops.sin(x) @ w)
        return tape.jacobian(y, {"w": w, "x": x})

    run = function(found) if traced else found
    got = run(Tensor(X), Tensor(W))
    jx, jw = by_complex_step(lambda x, w: np.exp(np.sin(x) @ w), X, W)
    assert got["x"].shape == (3, 2, 3, 4) and got["w"].shape == (3, 2, 4, 2)
    np.testing.assert_allclose(got["x"].numpy(), jx, rtol=1e-12)
    np.testing.assert_allclose(got["w"].numpy(), jw, rtol=1e-12)


def test_a_tape_is_erased_by_jacobian_unless_persistent() -> None:
    x = Variable(np.ones(3))
    for method, target in (("jacobian", "y"), ("batch_jacobian", "y")):
        with GradientTape() as tape:
            y = x * x
        assert getattr(tape, method)(y, x) is not None, target
        with pytest.raises(RuntimeError, match="persistent=True"):
            getattr(tape, method)(y, x)
        with pytest.raises(RuntimeError, match="persistent=True"):
            tape.gradient(y, x)
        with GradientTape(persistent=True) as tape:
            y = x * x
        for _ in range(2):
            assert getattr(tape, method)(y, x).shape[0] == 3


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
def test_small_targets(shape: tuple[int, ...]) -> None:
    x = Tensor(np.ones(shape))
    with GradientTape() as tape:
        tape.watch(x)
        y = x * 3.0
    found = tape.jacobian(y, x)
    size = int(np.prod(shape))
    np.testing.assert_array_equal(
        found.numpy(), (3 * np.eye(size)).reshape(shape + shape)
    )


def test_what_is_not_connected() -> None:
    x, z = Variable(np.ones(2)), Variable(np.ones(3))
    with GradientTape(persistent=True) as tape:
        y = x * x
    assert tape.jacobian(y, [x, z])[1] is None
    assert tape.batch_jacobian(y, Variable(np.ones(2))) is None
    zeros = tape.jacobian(y, z, unconnected_gradients="zero")
    np.testing.assert_array_equal(zeros.numpy(), np.zeros((2, 3)))


@pytest.mark.parametrize("traced", [False, True])
def test_batch_jacobian_has_the_blocks_of_jacobian(traced: bool) -> None:
    def found(x: Any) -> Any:
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = ops.tanh(x @ W) * ops.sum(x, axis=1, keepdims=True)
        return tape.jacobian(y, x), tape.batch_jacobian(y, x)

    full, rows = (function(found) if traced else found)(Tensor(X))
    assert rows.shape == (3, 2, 4)
    for i in range(3):
        np.testing.assert_allclose(rows.numpy()[i], full.numpy()[i, :, i], rtol=1e-12)
    with pytest.raises(ShapeError, match="rows"):
        GradientTape().batch_jacobian(ops.zeros((4,)), Tensor(X))


@pytest.mark.parametrize("traced", [False, True])
def test_hessian(traced: bool) -> None:
    def f(x: Any, w: Any) -> Any:
        return ops.sum(ops.exp(x @ w)) + ops.sum(x) ** 3

    def slopes(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The gradient by hand, flat: first of x, then of w."""
        e = np.exp(x @ w)
        dx = e @ w.T + 3 * np.sum(x) ** 2
        return np.concatenate([dx.ravel(), (x.T @ e).ravel()])

    by_x, by_w = by_complex_step(slopes, X, W)
    split = [slice(0, X.size), slice(X.size, None)]
    expected = [
        [
            by[part].reshape(*first.shape, *second.shape)
            for by, second in ((by_x, X), (by_w, W))
        ]
        for part, first in zip(split, (X, W), strict=True)
    ]
    run = function(hessian(f, (0, 1))) if traced else hessian(f, (0, 1))
    found = run(Tensor(X), Tensor(W))
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(found[i][j].numpy(), expected[i][j], rtol=1e-10)
    one = hessian(f)(X, Tensor(W))
    np.testing.assert_allclose(one.numpy(), expected[0][0], rtol=1e-10)


def test_hessian_of_a_linear_function_is_zero() -> None:
    found = hessian(lambda x: ops.sum(3.0 * x))(np.ones((2, 2)))
    np.testing.assert_array_equal(found.numpy(), np.zeros((2, 2, 2, 2)))
    with pytest.raises(ValueError, match="scalar"):
        hessian(lambda x: x)(np.ones(2))


def test_jacobian_of_a_layer_by_its_weights() -> None:
    layer = fastnn.layers.Dense(2, activation="tanh", dtype="float64")
    layer.build((None, 4))
    with GradientTape() as tape:
        y = layer(Tensor(X))
    found = tape.jacobian(y, layer.trainable_weights)
    kernel, bias = (w.numpy() for w in layer.trainable_weights)
    jk, jb = by_complex_step(lambda k, b: np.tanh(X @ k + b), kernel, bias)
    np.testing.assert_allclose(found[0].numpy(), jk, rtol=1e-10)
    np.testing.assert_allclose(found[1].numpy(), jb, rtol=1e-10)


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("size", [0, 3])
def test_batch_jacobians_of_nothing_have_their_shape(rows: int, size: int) -> None:
    x = Tensor(np.ones((rows, 2)))
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = ops.matmul(x, np.ones((2, size))) * 3.0
    found = tape.batch_jacobian(y, x)
    assert found.shape == (rows, size, 2)
    np.testing.assert_array_equal(found, np.full((rows, size, 2), 3.0))
    assert tape.batch_jacobian(y, Tensor(np.ones((rows, 2)))) is None
