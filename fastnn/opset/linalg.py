# SPDX-License-Identifier: Apache-2.0
"""Inverses, determinants, systems and least squares over the last two axes, by LAPACK.

Host ops: they have no kernel; `ref` is what runs. Where SciPy has the better routine it
is used when installed (`pip install "fastnn-dl[scipy]"`); only `lu_factor` needs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset import _matrix_grads as grads
from fastnn.opset._matrices import (
    TALL,
    check,
    host_op,
    matrices,
    of_matrix,
    same,
)
from fastnn.opset._matrix_grads import product, transposed
from fastnn.opset._opdef import Attr, Sample, Spec
from fastnn.opset._samples import uniform

# ---- inverse, determinant, systems -------------------------------------------------


def _inv_vjp(c: Any, dy: Any) -> Any:
    yt = transposed(c, c.y)
    return c.op.negative(product(c, yt, dy, yt))


host_op(
    "inv",
    np.linalg.inv,
    same("inv"),
    of_matrix(),
    inputs="x",
    vjp=_inv_vjp,
    saves=("y",),
    doc="inverse of square matrices",
)


def _scaled(c: Any, matrix: Any, by: Any) -> Any:
    return c.op.multiply(matrix, c.op.reshape(by, (*by.shape, 1, 1)))


def _cofactor(x: Any) -> Any:
    # Through the SVD, which singular matrices have too.
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (u * (others * sign[..., None])[..., None, :]) @ vh


def _cofactor_vjp(c: Any, dy: Any) -> Any:
    axes = (len(dy.shape) - 2, len(dy.shape) - 1)
    inverse = transposed(c, c.op.inv(c.x))
    along = c.op.sum(c.op.multiply(dy, inverse), axes, False)
    turn = product(c, inverse, transposed(c, dy), inverse)
    return c.op.subtract(_scaled(c, c.y, along), _scaled(c, turn, c.op.det(c.x)))


host_op(
    "cofactor",
    _cofactor,
    same("cofactor"),
    of_matrix(),
    inputs="x",
    vjp=_cofactor_vjp,
    saves=("x", "y"),
    doc="det(x) x^-T: the gradient of det, also of singular matrices",
)
host_op(
    "det",
    np.linalg.det,
    same("det", drop=2),
    of_matrix(),
    inputs="x",
    vjp=lambda c, dy: _scaled(c, c.op.cofactor(c.x), dy),
    saves=("x",),
    doc="determinant of square matrices",
)


def _slogdet_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    return same("slogdet", drop=2)(specs, attrs) * 2


def _slogdet_vjp(c: Any, _: Any, dy: Any) -> Any:
    if dy is None:
        return None  # the sign is constant
    return _scaled(c, transposed(c, c.op.inv(c.x)), dy)


host_op(
    "slogdet",
    lambda x: tuple(np.linalg.slogdet(x)),
    _slogdet_infer,
    of_matrix(),
    inputs="x",
    outputs="sign logabsdet",
    vjp=_slogdet_vjp,
    saves=("x",),
    doc="sign and log |det x|",
)


def _solve_infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check(name, specs)
        a, b = specs
        if len(b.shape) != len(a.shape) or b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(
                f"[{name}] matrices of shape {a.shape} need right sides "
                f"(..., {a.shape[-1]}, k), received {b.shape}"
            )
        return [b]

    return infer


def _solve_vjp(c: Any, dy: Any) -> Any:
    db = c.op.solve(transposed(c, c.a), dy)
    return c.op.negative(product(c, db, transposed(c, c.y))), db


def _solve_samples(attrs: tuple = ((),)) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for values in attrs:
            for shape, k in (((1, 1), 1), ((3, 3), 2), ((2, 4, 4), 3), ((0, 2, 2), 1)):
                a = matrices(rng, shape, dtype, "")
                b = uniform(rng, (*shape[:-1], k), dtype, -2, 2)
                yield Sample((a, b), values)

    return make


host_op(
    "solve",
    np.linalg.solve,
    _solve_infer("solve"),
    _solve_samples(),
    inputs="a b",
    vjp=_solve_vjp,
    saves=("a", "y"),
    doc="y with a y = b, columns of b one by one",
)


def _solve_triangular(a: Any, b: Any, lower: bool) -> Any:
    try:
        from scipy.linalg import solve_triangular
    except ImportError:
        return np.linalg.solve(np.tril(a) if lower else np.triu(a), b)
    y = np.empty(b.shape, b.dtype)
    for i in np.ndindex(a.shape[:-2]):
        y[i] = solve_triangular(a[i], b[i], lower=lower, check_finite=False)
    return y


def _triangular_vjp(c: Any, dy: Any) -> Any:
    db = c.op.solve_triangular(transposed(c, c.a), dy, not c.lower)
    da = c.op.negative(product(c, db, transposed(c, c.y)))
    n = c.a.shape[-1]
    mask = np.tri(n, dtype=bool)
    return grads.masked(c, da, mask if c.lower else mask.T), db


host_op(
    "solve_triangular",
    _solve_triangular,
    _solve_infer("solve_triangular"),
    _solve_samples(((True,), (False,))),
    inputs="a b",
    attrs=(Attr("lower", "bool", False),),
    vjp=_triangular_vjp,
    saves=("a", "y"),
    doc="y with t y = b, t the lower or upper triangle of a",
)


# ---- least squares -----------------------------------------------------------------

RCOND = (Attr("rcond", "static", None),)


def _pinv_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("pinv", specs, square=False)
    *batch, m, n = specs[0].shape
    return [Spec((*batch, n, m), specs[0].dtype)]


def _pinv(x: Any, rcond: float | None) -> Any:
    if rcond is None:
        rcond = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    return np.linalg.pinv(x, rcond)


host_op(
    "pinv",
    _pinv,
    _pinv_infer,
    of_matrix(shapes=TALL, attrs=((None,), (1e-3,))),
    inputs="x",
    attrs=RCOND,
    vjp=lambda c, dy: grads.pinv_vjp_of(c, c.x, c.y, dy),
    saves=("x", "y"),
    doc="pseudo-inverse; singular values below rcond times the largest count as 0",
)


def _lstsq_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("lstsq", specs, square=False)
    a, b = specs
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"[lstsq] needs a (m, n) and b (m, k), received {a.shape} and {b.shape}"
        )
    return [Spec((a.shape[1], b.shape[1]), a.dtype)]


def _lstsq_vjp(c: Any, dy: Any) -> Any:
    p = c.op.pinv(c.a, c.rcond)
    da = grads.pinv_vjp_of(c, c.a, p, product(c, dy, transposed(c, c.b)))
    return da, product(c, transposed(c, p), dy)


def _lstsq_samples(rng: Any, dtype: str) -> Any:
    for m, n, k in ((4, 2, 1), (3, 3, 2), (2, 4, 3)):
        b = uniform(rng, (m, k), dtype, -2, 2)
        yield Sample((matrices(rng, (m, n), dtype, ""), b), (None,))


host_op(
    "lstsq",
    lambda a, b, rcond: np.linalg.lstsq(a, b, rcond)[0],
    _lstsq_infer,
    _lstsq_samples,
    inputs="a b",
    attrs=RCOND,
    vjp=_lstsq_vjp,
    saves=("a", "b"),
    doc="the least-squares solution of a y = b of smallest norm",
)
