# SPDX-License-Identifier: Apache-2.0
"""Gradients of matrix factorizations, written with ops over the last two axes.

Formulas: Giles 2008 (An extended collection of matrix derivative results), Walter and
Lehmann 2010 (QR), Townsend 2016 (SVD), Golub and Pereyra 1973 (pseudo-inverse).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.errors import ShapeError


def transposed(c: Any, x: Any) -> Any:
    rank = len(x.shape)
    return c.op.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def product(c: Any, *factors: Any) -> Any:
    out = factors[0]
    for factor in factors[1:]:
        out = c.op.matmul(out, factor)
    return out


def masked(c: Any, x: Any, mask: np.ndarray) -> Any:
    """x where the constant mask of its last two axes is true, else 0."""
    return c.op.where(c.constant(mask), x, 0)


def eye(c: Any, n: int, dtype: str) -> Any:
    return c.constant(np.eye(n, dtype=dtype))


def columns(c: Any, values: Any) -> Any:
    """(..., n) as (..., 1, n): a factor per column."""
    return c.op.reshape(values, (*values.shape[:-1], 1, values.shape[-1]))


def rows(c: Any, values: Any) -> Any:
    return c.op.reshape(values, (*values.shape, 1))


def diagonal_matrix(c: Any, values: Any) -> Any:
    """(..., n) as the diagonal of (..., n, n)."""
    n = values.shape[-1]
    wide = c.op.broadcast_to(rows(c, values), (*values.shape, n))
    return masked(c, wide, np.eye(n, dtype=bool))


def gaps(c: Any, values: Any) -> Any:
    """values_j - values_i, and 1 on the diagonal."""
    n = values.shape[-1]
    apart = c.op.subtract(columns(c, values), rows(c, values))
    return c.op.where(c.constant(np.eye(n, dtype=bool)), 1, apart)


def total(c: Any, *terms: Any) -> Any:
    """Sum of the terms that are not None."""
    out = None
    for term in terms:
        if term is not None:
            out = term if out is None else c.op.add(out, term)
    return out


def symmetric(c: Any, x: Any) -> Any:
    return c.op.multiply(c.op.add(x, transposed(c, x)), 0.5)


def cholesky_vjp(c: Any, dy: Any) -> Any:
    n = dy.shape[-1]
    inner = masked(c, product(c, transposed(c, c.y), dy), np.tri(n, dtype=bool))
    half = np.eye(n, dtype=dy.dtype) * -0.5 + 1
    inner = c.op.multiply(inner, c.constant(half))
    # y^-T inner y^-1, by two triangular systems.
    upper = transposed(c, c.y)
    left = c.op.solve_triangular(upper, inner, False)
    both = c.op.solve_triangular(upper, transposed(c, left), False)
    return symmetric(c, transposed(c, both))


def eigh_vjp(c: Any, dw: Any, dv: Any) -> Any:
    v = c.v
    inner = None if dw is None else diagonal_matrix(c, dw)
    if dv is not None:
        n = v.shape[-1]
        turn = c.op.divide(product(c, transposed(c, v), dv), gaps(c, c.w))
        inner = total(c, inner, masked(c, turn, ~np.eye(n, dtype=bool)))
    return symmetric(c, product(c, v, inner, transposed(c, v)))


def eig_vjp(c: Any, dw: Any, dv: Any) -> Any:
    # Eigenvectors have norm 1, so a change along themselves is taken out.
    v = c.v
    vt = transposed(c, v)
    inner = None if dw is None else diagonal_matrix(c, dw)
    if dv is not None:
        n = v.shape[-1]
        along = c.op.sum(c.op.multiply(v, dv), (len(v.shape) - 2,), True)
        gram = c.op.multiply(product(c, vt, v), along)
        turn = c.op.subtract(product(c, vt, dv), gram)
        turn = c.op.divide(turn, gaps(c, c.w))
        inner = total(c, inner, masked(c, turn, ~np.eye(n, dtype=bool)))
    return c.op.solve(vt, product(c, inner, vt))


def svd_vjp(c: Any, du: Any, ds: Any, dvh: Any) -> Any:
    u, s, vh = c.u, c.s, c.vh
    m, k, n = u.shape[-2], s.shape[-1], vh.shape[-1]
    if (du is not None and u.shape[-1] > k) or (dvh is not None and vh.shape[-2] > k):
        raise ShapeError(
            f"[svd] the gradient of full matrices of a {m} x {n} matrix is not unique: "
            f"full_matrices=False"
        )
    u, vh = _cut(c, u, 0, k), transposed(c, _cut(c, transposed(c, vh), 0, k))
    v, ut, apart = transposed(c, vh), transposed(c, u), gaps(c, c.op.square(s))

    def turn(x: Any) -> Any:
        return c.op.divide(c.op.subtract(x, transposed(c, x)), apart)

    inner = None if ds is None else diagonal_matrix(c, ds)
    outside = None
    if du is not None:
        inner = total(c, inner, c.op.multiply(turn(product(c, ut, du)), columns(c, s)))
        if m > k:
            rest = c.op.subtract(du, product(c, u, ut, du))
            outside = product(c, c.op.divide(rest, columns(c, s)), vh)
    if dvh is not None:
        dv = transposed(c, dvh)
        inner = total(c, inner, c.op.multiply(turn(product(c, vh, dv)), rows(c, s)))
        if n > k:
            rest = c.op.subtract(dvh, product(c, dvh, v, vh))
            rest = product(c, u, c.op.divide(rest, rows(c, s)))
            outside = total(c, outside, rest)
    return total(c, product(c, u, inner, vh), outside)


def _cut(c: Any, x: Any, start: int, stop: int) -> Any:
    """Columns start to stop."""
    lead = ((None, None, 1),) * (len(x.shape) - 1)
    return c.op.slice(x, (*lead, (start, stop, 1)))


def qr_vjp(c: Any, dq: Any, dr: Any) -> Any:
    q, r = c.q, c.r
    m, n = q.shape[-2], r.shape[-1]
    if q.shape[-1] > n:
        raise ShapeError(
            f"[qr] the complete factor of a {m} x {n} matrix has no gradient: "
            f"mode='reduced'"
        )
    wide = n > m
    right = None
    if wide:  # x = q (r1 | r2): the second part is a product
        second = None if dr is None else _cut(c, dr, m, n)
        if second is not None:
            right = product(c, q, second)
            x2 = product(c, q, _cut(c, r, m, n))
            dq = total(c, dq, product(c, x2, transposed(c, second)))
            dr = _cut(c, dr, 0, m)
        r = _cut(c, r, 0, m)
    left = _qr_square_vjp(c, q, r, dq, dr)
    if not wide:
        return left
    if right is None:
        right = c.constant(np.zeros((*left.shape[:-1], n - m), left.dtype))
    return c.op.concatenate(left, right, len(left.shape) - 1)


def _qr_square_vjp(c: Any, q: Any, r: Any, dq: Any, dr: Any) -> Any:
    k = r.shape[-1]
    inner = None if dr is None else product(c, dr, transposed(c, r))
    if dq is not None:
        inner = total(c, inner, c.op.negative(product(c, transposed(c, q), dq)))
    upper = np.triu(np.ones((k, k), bool))
    inner = masked(c, inner, upper)
    both = c.op.add(
        inner, transposed(c, masked(c, inner, upper ^ np.eye(k, dtype=bool)))
    )
    change = total(c, dq, product(c, q, both))
    return transposed(c, c.op.solve_triangular(r, transposed(c, change), False))


def lu_vjp(c: Any, dlu: Any, _: Any) -> Any:
    lu = c.lu
    m, n = lu.shape[-2:]
    if m != n:
        raise ShapeError(f"[lu_factor] no gradient for a {m} x {n} matrix: square only")
    below, above = np.tri(n, k=-1, dtype=bool), np.triu(np.ones((n, n), bool))
    lower = c.op.add(masked(c, lu, below), eye(c, n, lu.dtype))
    upper = masked(c, lu, above)
    lt = transposed(c, lower)
    inner = c.op.add(
        masked(c, product(c, lt, masked(c, dlu, below)), below),
        masked(c, product(c, masked(c, dlu, above), transposed(c, upper)), above),
    )
    left = c.op.solve_triangular(lt, inner, False)
    both = transposed(c, c.op.solve_triangular(upper, transposed(c, left), False))
    # Row i of the factors is row order[i] of x.
    order = c.op.pivots_to_order(c.pivots, n)
    count = math.prod(lu.shape[:-2])
    flat = c.op.reshape(both, (count, n, n))
    place = c.op.reshape(order, (count, n))
    return c.op.reshape(c.op.batch_take_grad(flat, place, n), lu.shape)


def pinv_vjp_of(c: Any, x: Any, p: Any, dp: Any) -> Any:
    """Gradient w.r.t. x of its pseudo-inverse p, whose cotangent is dp."""
    pt, dpt = transposed(c, p), transposed(c, dp)
    m, n = x.shape[-2:]
    off_left = c.op.subtract(eye(c, m, x.dtype), product(c, x, p))
    off_right = c.op.subtract(eye(c, n, x.dtype), product(c, p, x))
    return total(
        c,
        c.op.negative(product(c, pt, dp, pt)),
        product(c, off_left, dpt, p, pt),
        product(c, pt, p, dpt, off_right),
    )
