# SPDX-License-Identifier: Apache-2.0
"""Linear algebra over the last two axes, leading axes are batches; by LAPACK.

These ops run on the host, in NumPy or SciPy, on every backend. A traced function that
contains one is not compiled into a plan: it runs node by node.
"""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops import math
from fastnn.ops._constants import constant
from fastnn.ops._promote import axes_of, promote, to_float
from fastnn.ops.arrays import swapaxes
from fastnn.opset._infer import broadcast_shapes


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """Lower l with l l^T = x (upper u with u^T u = x), x symmetric positive definite.

    Only (x + x^T) / 2 is seen, so that the gradient is symmetric.
    """
    y = raw.cholesky(to_float(x))
    return swapaxes(y, -1, -2) if upper else y


def _identity(x: Tensor) -> Tensor:
    """Of the size and dtype of square matrices."""
    n = x.shape[-1]
    return constant((n, n), x.dtype, lambda: np.eye(n))


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is x."""
    factor = to_float(x)
    lower = swapaxes(factor, -1, -2) if upper else factor
    eye = _identity(lower)
    inverse = raw.solve_triangular(lower, raw.broadcast_to(eye, lower.shape), True)
    return raw.matmul(swapaxes(inverse, -1, -2), inverse)


def det(x: Any) -> Tensor:
    """Determinant of square matrices."""
    return raw.det(to_float(x))


def slogdet(x: Any) -> tuple[Tensor, ...]:
    """Sign of the determinant and logarithm of its absolute value."""
    return raw.slogdet(to_float(x))


def logdet(x: Any) -> Tensor:
    """log |det x|."""
    return slogdet(x)[1]


def eig(x: Any) -> tuple[Tensor, ...]:
    """Eigenvalues and eigenvectors (columns); an error where one is complex."""
    return raw.eig(to_float(x))


def eigh(x: Any) -> tuple[Tensor, ...]:
    """Ascending eigenvalues and eigenvectors (columns) of symmetric matrices."""
    return raw.eigh(to_float(x))


def inv(x: Any) -> Tensor:
    """Inverse of square matrices."""
    return raw.inv(to_float(x))


def lu_factor(x: Any) -> tuple[Tensor, ...]:
    """Factors l (unit diagonal) and u in one matrix, and pivots; needs SciPy."""
    return raw.lu_factor(to_float(x))


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, ...]:
    """x = q r with orthonormal columns of q; mode "reduced" or "complete"."""
    return raw.qr(to_float(x), mode)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """u, s, vh with x = u diag(s) vh, or s alone; singular values descending."""
    t = to_float(x)
    return raw.svd(t, bool(full_matrices)) if compute_uv else raw.svdvals(t)


def _system(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor, bool]:
    """Matrices and right sides of one batch shape; whether b was one vector each."""
    x, y = promote(a, b)
    x, y = to_float(x), to_float(y)
    vector = y.ndim == x.ndim - 1
    if vector:
        y = raw.reshape(y, (*y.shape, 1))
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ShapeError(f"[{name}] cannot solve {x.shape} for {y.shape}")
    batch = broadcast_shapes(name, x.shape[:-2], y.shape[:-2])
    x = raw.broadcast_to(x, (*batch, *x.shape[-2:]))
    return x, raw.broadcast_to(y, (*batch, *y.shape[-2:])), vector


def _solution(y: Tensor, vector: bool) -> Tensor:
    return raw.reshape(y, y.shape[:-1]) if vector else y


def solve(a: Any, b: Any) -> Tensor:
    """y with a y = b; b is a matrix (..., n, k), or a vector (..., n) per matrix."""
    x, y, vector = _system("solve", a, b)
    return _solution(raw.solve(x, y), vector)


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """y with t y = b, t the upper (lower) triangle of a."""
    x, y, vector = _system("solve_triangular", a, b)
    return _solution(raw.solve_triangular(x, y, bool(lower)), vector)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The y of smallest norm that minimizes |a y - b|; b is (m,) or (m, k)."""
    x, y, vector = _least_squares(a, b)
    return _solution(raw.lstsq(x, y, rcond), vector)


def _least_squares(a: Any, b: Any) -> tuple[Tensor, Tensor, bool]:
    x, y = promote(a, b)
    x, y = to_float(x), to_float(y)
    vector = y.ndim == 1
    return x, raw.reshape(y, (y.size, 1)) if vector else y, vector


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """Pseudo-inverse; singular values below rcond times the largest count as 0."""
    return raw.pinv(to_float(x), None if rcond is None else float(rcond))


def matrix_rank(x: Any, tol: Any = None) -> Tensor:
    """Number of singular values above tol, int32.

    tol: by default the largest singular value times max(m, n) times eps.
    """
    t = to_float(x)
    s = raw.svdvals(t)
    if tol is None:
        factor = max(t.shape[-2:]) * float(np.finfo(t.dtype).eps)
        tol = raw.multiply(raw.max(s, (s.ndim - 1,), True), factor)
    return raw.sum(raw.cast(raw.greater(s, tol), "int32"), (s.ndim - 1,), False)


def matrix_power(x: Any, n: int) -> Tensor:
    """The n-th power of square matrices; n < 0: of the inverse."""
    t = to_float(x)
    if n < 0:
        return matrix_power(inv(t), -n)
    eye = _identity(t)
    out = None
    while n:
        if n % 2:
            out = t if out is None else raw.matmul(out, t)
        n //= 2
        if n:
            t = raw.matmul(t, t)
    return raw.broadcast_to(eye, t.shape) if out is None else out


# ---- norms -------------------------------------------------------------------------


def _vector_norm(t: Tensor, ord: Any, axes: tuple[int, ...], keep: bool) -> Tensor:
    if ord in (None, 2, "fro", "euclidean"):
        return raw.sqrt(raw.sum(raw.square(t), axes, keep))
    size = raw.abs(t)
    if ord == _math.inf:
        return raw.max(size, axes, keep)
    if ord == -_math.inf:
        return raw.min(size, axes, keep)
    if ord == 0:
        return raw.sum(raw.cast(raw.not_equal(t, 0), t.dtype), axes, keep)
    if ord == 1:
        return raw.sum(size, axes, keep)
    if isinstance(ord, str):
        raise ValueError(f"[norm] ord {ord!r} is not an order of vectors")
    return raw.power(raw.sum(raw.power(size, float(ord)), axes, keep), 1 / float(ord))


def _matrix_norm(t: Tensor, ord: Any, rows: int, columns: int, keep: bool) -> Tensor:
    if ord in ("nuc", 2, -2):
        order = [i for i in range(t.ndim) if i not in (rows, columns)]
        s = raw.svdvals(raw.transpose(t, (*order, rows, columns)))
        y = {"nuc": math.sum, 2: math.max, -2: math.min}[ord](s, -1)
        shape = tuple(
            1 if i in (rows, columns) else n
            for i, n in enumerate(t.shape)
            if keep or i not in (rows, columns)
        )
        return raw.reshape(y, shape)
    along = {1: rows, -1: rows, _math.inf: columns, -_math.inf: columns}
    if ord not in along:
        raise ValueError(
            f"[norm] ord of matrices must be fro, nuc, 1, 2, inf or their negatives, "
            f"received {ord!r}"
        )
    first = along[ord]
    second = rows + columns - first
    total = math.sum(raw.abs(t), first, True)
    y = (math.max if ord > 0 else math.min)(total, second, True)
    if keep:
        return y
    kept = tuple(n for i, n in enumerate(t.shape) if i not in (rows, columns))
    return raw.reshape(y, kept)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors (one axis) or matrices (two axes), or of all of x.

    ord: of vectors any number or +-inf, 0 counts what is not 0; of matrices "fro",
    "nuc" (sum of singular values), +-1 (column sums), +-2 (singular values), +-inf (row
    sums). None: the root of the sum of squares.
    """
    t = to_float(x)
    if axis is None and ord is None:
        return _vector_norm(t, None, tuple(range(t.ndim)), bool(keepdims))
    axes = tuple(range(t.ndim)) if axis is None else axis
    axes = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    places = tuple(axes_of(a, t.ndim, "norm")[0] for a in axes)
    if len(places) == 1:
        if ord == "fro":
            raise ValueError("[norm] ord 'fro' is an order of matrices")
        return _vector_norm(t, ord, places, bool(keepdims))
    if ord in (None, "fro", "euclidean"):
        return _vector_norm(t, None, tuple(sorted(places)), bool(keepdims))
    if len(places) != 2:
        raise ValueError(f"[norm] ord {ord!r} needs one or two axes, received {axis}")
    return _matrix_norm(t, ord, *places, bool(keepdims))


__all__ = [
    *"cholesky cholesky_inverse det eig eigh inv logdet lstsq lu_factor".split(),
    *"matrix_power matrix_rank norm pinv qr slogdet solve solve_triangular svd".split(),
]
