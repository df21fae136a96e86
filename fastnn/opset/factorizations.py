# SPDX-License-Identifier: Apache-2.0
"""Matrix factorizations over the last two axes: host ops, as those of linalg.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import BackendError
from fastnn.opset import _matrix_grads as grads
from fastnn.opset._matrices import TALL, check, host_op, of_matrix, same, sym
from fastnn.opset._opdef import Attr, Sample, Spec, Tol

host_op(
    "cholesky",
    lambda x: np.linalg.cholesky(sym(x)),
    same("cholesky"),
    of_matrix("definite"),
    inputs="x",
    vjp=grads.cholesky_vjp,
    saves=("y",),
    doc="lower y with y y^T = (x + x^T) / 2, which must be positive definite",
)


def _eigen_infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check(name, specs)
        return [Spec(specs[0].shape[:-1], specs[0].dtype), specs[0]]

    return infer


host_op(
    "eigh",
    lambda x: tuple(np.linalg.eigh(sym(x))),
    _eigen_infer("eigh"),
    of_matrix("symmetric"),
    inputs="x",
    outputs="w v",
    vjp=grads.eigh_vjp,
    saves=("w", "v"),
    doc="ascending eigenvalues and eigenvectors (columns) of (x + x^T) / 2",
)


def _eig(x: Any) -> Any:
    w, v = np.linalg.eig(x)
    if np.iscomplexobj(w):
        if np.any(w.imag):
            raise BackendError(
                f"[eig] the eigenvalue {w[w.imag != 0][0]:.4g} is complex, and fastnn "
                f"has no complex dtypes: numpy.linalg.eig, or eigh of a symmetric "
                f"matrix"
            )
        w, v = w.real, v.real
    return w, v


host_op(
    "eig",
    _eig,
    _eigen_infer("eig"),
    of_matrix(),
    inputs="x",
    outputs="w v",
    vjp=grads.eig_vjp,
    saves=("w", "v"),
    doc="eigenvalues and eigenvectors (columns of norm 1); they must be real",
)


def _svd_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("svd", specs, square=False)
    (*batch, m, n), dtype = specs[0].shape, specs[0].dtype
    k = min(m, n)
    rows, columns = (m, n) if attrs[0] else (k, k)
    shapes = (*batch, m, rows), (*batch, k), (*batch, columns, n)
    return [Spec(shape, dtype) for shape in shapes]


def _svd_samples(rng: Any, dtype: str) -> Any:
    yield from of_matrix(shapes=TALL, attrs=((False,),))(rng, dtype)
    yield from of_matrix(shapes=((3, 3),), attrs=((True,),))(rng, dtype)


host_op(
    "svd",
    lambda x, full: tuple(np.linalg.svd(x, full_matrices=full)),
    _svd_infer,
    _svd_samples,
    inputs="x",
    outputs="u s vh",
    attrs=(Attr("full_matrices", "bool", True),),
    vjp=grads.svd_vjp,
    saves=("u", "s", "vh"),
    doc="x = u diag(s) vh, singular values descending",
)


def _svdvals_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("svdvals", specs, square=False)
    shape = specs[0].shape
    return [Spec((*shape[:-2], min(shape[-2:])), specs[0].dtype)]


def _svdvals_vjp(c: Any, dy: Any) -> Any:
    u, _, vh = c.op.svd(c.x, False)
    return grads.product(c, c.op.multiply(u, grads.columns(c, dy)), vh)


host_op(
    "svdvals",
    lambda x: np.linalg.svd(x, compute_uv=False),
    _svdvals_infer,
    of_matrix(shapes=TALL),
    inputs="x",
    vjp=_svdvals_vjp,
    saves=("x",),
    doc="singular values, descending",
)


def _qr_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("qr", specs, square=False)
    (*batch, m, n), dtype = specs[0].shape, specs[0].dtype
    k = m if attrs[0] == "complete" else min(m, n)
    return [Spec((*batch, m, k), dtype), Spec((*batch, k, n), dtype)]


def _qr_samples(rng: Any, dtype: str) -> Any:
    yield from of_matrix(shapes=TALL, attrs=(("reduced",),))(rng, dtype)
    yield from of_matrix(shapes=((2, 4),), attrs=(("complete",),))(rng, dtype)


host_op(
    "qr",
    lambda x, mode: tuple(np.linalg.qr(x, mode)),
    _qr_infer,
    _qr_samples,
    inputs="x",
    outputs="q r",
    attrs=(Attr("mode", "enum", "reduced", ("reduced", "complete")),),
    vjp=grads.qr_vjp,
    saves=("q", "r"),
    doc="x = q r, q with orthonormal columns and r upper triangular",
)


def _lu(x: Any) -> Any:
    try:
        from scipy.linalg import lu_factor
    except ImportError:
        raise BackendError(
            '[lu_factor] needs SciPy: pip install "fastnn-dl[scipy]"'
        ) from None
    k = min(x.shape[-2:])
    lu, pivots = np.empty(x.shape, x.dtype), np.empty((*x.shape[:-2], k), np.int32)
    for i in np.ndindex(x.shape[:-2]):
        lu[i], pivots[i] = lu_factor(x[i], check_finite=False)
    return lu, pivots


def _lu_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check("lu_factor", specs, square=False)
    shape = specs[0].shape
    return [specs[0], Spec((*shape[:-2], min(shape[-2:])), "int32")]


host_op(
    "lu_factor",
    _lu,
    _lu_infer,
    of_matrix(shapes=((3, 3), (2, 4, 4), (0, 2, 2))),
    inputs="x",
    outputs="lu pivots",
    vjp=grads.lu_vjp,
    saves=("lu", "pivots"),
    doc="unit lower and upper triangle of p x = l u in one matrix; row i was exchanged "
    "with row pivots[i]",
)


def _order(pivots: Any, n: int) -> Any:
    order = np.empty((*pivots.shape[:-1], n), np.int32)
    order[...] = np.arange(n)
    for batch in np.ndindex(pivots.shape[:-1]):
        row = order[batch]
        for i, j in enumerate(pivots[batch]):
            row[i], row[j] = row[j], row[i]
    return order


def _order_samples(rng: Any, dtype: str) -> Any:
    yield Sample((np.array([2, 2, 2], "int32"),), (3,))
    yield Sample((np.array([[1, 1], [0, 2]], "int32"),), (3,))


host_op(
    "pivots_to_order",
    _order,
    lambda specs, attrs: [Spec((*specs[0].shape[:-1], attrs[0]), "int32")],
    _order_samples,
    inputs="pivots",
    attrs=(Attr("n", "static"),),
    tol=Tol(0.0, 0.0),
    doc="the order of rows that exchanges with pivots[i], one after the other, give",
)
