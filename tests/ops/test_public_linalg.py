# SPDX-License-Identifier: Apache-2.0
"""Linear algebra against NumPy and SciPy; gradients of what is composed of ops."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import BackendError, ShapeError

RNG = np.random.default_rng(8)
M = RNG.normal(size=(3, 4, 4)) + 3 * np.eye(4)
S = M @ np.swapaxes(M, 1, 2) + np.eye(4)


def same(actual: Any, expected: Any) -> None:
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-9, atol=1e-9)


def slope(f: Any, x: np.ndarray) -> None:
    """The gradient of sum(weights * f(x)) along a direction, by differences."""
    t = ops.convert_to_tensor(x)
    weights = RNG.normal(size=f(t).shape)
    d = RNG.normal(size=x.shape)
    with fastnn.GradientTape() as tape:
        tape.watch(t)
        y = ops.sum(f(t) * weights)
    along = float(np.sum(tape.gradient(y, t).numpy() * d))
    up, down = (np.sum(f(x + h * d).numpy() * weights) for h in (1e-6, -1e-6))
    assert along == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6)


def test_factorizations_give_the_matrix_back() -> None:
    lower = ops.cholesky(S)
    same(lower @ ops.swapaxes(lower, 1, 2), S)
    same(ops.cholesky(S, upper=True), np.swapaxes(lower.numpy(), 1, 2))
    same(ops.cholesky_inverse(lower), np.linalg.inv(S))
    same(ops.cholesky_inverse(ops.cholesky(S, True), True), np.linalg.inv(S))
    for x in (M, M[:, :2], M[:, :, :2]):
        for mode in ("reduced", "complete"):
            q, r = ops.qr(x, mode)
            same(q @ r, x)
        for full in (False, True):
            u, s, vh = (t.numpy() for t in ops.svd(x, full))
            k = s.shape[-1]
            back = (u[..., :k] * s[:, None, :]) @ vh[:, :k]
            np.testing.assert_allclose(back, x, atol=1e-12)
        same(ops.svd(x, compute_uv=False), np.linalg.svd(x, compute_uv=False))
    w, v = ops.eigh(S)
    same(ops.matmul(v * ops.expand_dims(w, 1), ops.swapaxes(v, 1, 2)), S)
    w, v = ops.eig(S)
    same(ops.matmul(S, v), (v * ops.expand_dims(w, 1)).numpy())


def test_lu_factor_as_scipy() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    lu, pivots = ops.lu_factor(M)
    for i in range(3):
        want, order = linalg.lu_factor(M[i])
        same(lu[i], want)
        same(pivots[i], order)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return plain(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(BackendError, match=r"pip install \"fastnn-dl\[scipy\]\""):
        ops.lu_factor(M)
    b = M[..., :2]
    same(ops.solve_triangular(M, b, True), np.linalg.solve(np.tril(M), b))


def test_systems() -> None:
    b = RNG.normal(size=(3, 4))
    want = np.linalg.solve(M, b[..., None])[..., 0]
    same(ops.solve(M, b), want)
    same(ops.solve(M[0], b[0]), want[0])
    many = b[None, :2].swapaxes(1, 2)  # for every matrix the same
    same(ops.solve(M, many), np.linalg.solve(M, many))
    for lower in (True, False):
        t = np.tril(M) if lower else np.triu(M)
        same(
            ops.solve_triangular(M, b, lower), np.linalg.solve(t, b[..., None])[..., 0]
        )
    same(ops.lstsq(M[0, :, :2], b[0]), np.linalg.lstsq(M[0, :, :2], b[0], None)[0])
    same(ops.pinv(M[:, :2]), np.linalg.pinv(M[:, :2]))
    with pytest.raises(ShapeError, match="cannot solve"):
        ops.solve(M, np.ones((3, 5, 1)))


def test_numbers() -> None:
    same(ops.det(M), np.linalg.det(M))
    sign, log = ops.slogdet(-M[:, :3, :3])
    same(sign, np.linalg.slogdet(-M[:, :3, :3])[0])
    same(log, np.linalg.slogdet(-M[:, :3, :3])[1])
    same(ops.logdet(S), np.log(np.linalg.det(S)))
    same(ops.matrix_power(M, 3), np.linalg.matrix_power(M, 3))
    same(ops.matrix_power(M, -2), np.linalg.matrix_power(M, -2))
    same(ops.matrix_power(M, 0), np.linalg.matrix_power(M, 0))
    flat = np.array(M)
    flat[0, 0] = 0
    flat[0, 1] = flat[0, 2]
    same(ops.matrix_rank(flat), [2, 4, 4])
    same(ops.matrix_rank(M, 1e9), [0, 0, 0])


INF = np.inf


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axis", [(1, 2), (2, 1), (0, -1)])
@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, INF, -INF])
def test_norms_of_matrices(ord: Any, axis: Any, keep: bool) -> None:
    same(ops.norm(M, ord, axis, keep), np.linalg.norm(M, ord, axis, keep))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("ord", [None, 0, 0.5, 1, 2, 3, -1, INF, -INF])
def test_norms_of_vectors(ord: Any, keep: bool) -> None:
    same(ops.norm(M, ord, 1, keep), np.linalg.norm(M, ord, 1, keep))
    same(
        ops.norm(M[0, 0], ord, keepdims=keep),
        np.linalg.norm(M[0, 0], ord, keepdims=keep),
    )


def test_norms_that_do_not_exist() -> None:
    same(ops.norm(M), np.linalg.norm(M))
    for given in ((3, (1, 2)), ("nuc", 1), ("fro", 1), (1, None)):
        with pytest.raises(ValueError, match=r"\[norm\]"):
            ops.norm(M, *given)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ops.norm(x, "nuc", (1, 2)),
        lambda x: ops.norm(x, 2, (1, 2)),
        lambda x: ops.norm(x, 3, 1),
        lambda x: ops.norm(x, -INF, (1, 2)),
        lambda x: ops.cholesky_inverse(ops.cholesky(x @ ops.swapaxes(x, 1, 2))),
        lambda x: ops.logdet(x),
        lambda x: ops.solve(x, x[:, 0]),
        lambda x: ops.matrix_power(x, -3),
        lambda x: ops.svd(x, compute_uv=False),
        lambda x: ops.lstsq(x[0, :, :2], x[0, :, 2]),
        lambda x: ops.diag(ops.qr(x)[1][0]),
    ],
)
def test_slopes(f: Any) -> None:
    slope(f, M)


def test_the_determinant_of_a_singular_matrix_has_a_gradient() -> None:
    x = ops.convert_to_tensor(np.array([[1.0, 2.0], [2.0, 4.0]]))
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        y = ops.det(x)
    np.testing.assert_allclose(
        tape.gradient(y, x).numpy(), [[4, -2], [-2, 1]], atol=1e-12
    )


def test_errors_name_the_op() -> None:
    with pytest.raises(np.linalg.LinAlgError, match=r"\[cholesky\]"):
        ops.cholesky(-np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match=r"\[inv\] Singular"):
        ops.inv(np.zeros((2, 2)))
    with pytest.raises(BackendError, match="complex"):
        ops.eig([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.raises(ShapeError, match="square"):
        ops.det(np.ones((2, 3)))
    x = ops.convert_to_tensor(M[0, :3])
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        u, _, _ = ops.svd(x)
        y = ops.sum(u)
    tape.gradient(y, x)  # 3 x 4: only vh is not unique
    x = ops.convert_to_tensor(M[0, :, :3])
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.svd(x)[0])
    with pytest.raises(ShapeError, match="full_matrices=False"):
        tape.gradient(y, x)


def test_a_compiled_step_with_linear_algebra_trains() -> None:
    target = np.array([1.0, -2.0, 0.5])
    v = fastnn.Variable(np.zeros(3))

    @fastnn.function
    def step() -> Any:
        with fastnn.GradientTape() as tape:
            loss = ops.sum(ops.square(ops.solve(M[0, :3, :3], v) - target))
        v.assign(v - 0.5 * tape.gradient(loss, v))
        return loss

    losses = [float(step()) for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
