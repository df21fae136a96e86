# SPDX-License-Identifier: Apache-2.0
"""What the records of linear algebra share: checks, samples, errors of LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import HOST, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform

TOL = Tol(5e-5, 1e-13, 5e-5)


def check(name: str, specs: list[Spec], *, square: bool = True) -> None:
    check_same_dtype(name, [s.dtype for s in specs])
    check_float(name, specs[0].dtype)
    shape = specs[0].shape
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        kind = "square matrices (..., n, n)" if square else "matrices (..., m, n)"
        raise ShapeError(f"[{name}] needs {kind}, received shape {shape}")


def _lapack(name: str, function: Any) -> Any:
    """The routine with errors that name the op."""

    def ref(*args: Any) -> Any:
        try:
            return function(*args)
        except np.linalg.LinAlgError as error:
            raise np.linalg.LinAlgError(f"[{name}] {error}") from None

    return ref


def host_op(name: str, ref: Any, infer: Any, samples: Any, **fields: Any) -> None:
    op(
        name,
        infer=infer,
        kind=HOST,
        ref=_lapack(name, ref),
        samples=samples,
        tol=fields.pop("tol", TOL),
        **fields,
    )


def same(name: str, *, square: bool = True, drop: int = 0) -> Any:
    """One output of the shape and dtype of x, without its last `drop` axes."""

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check(name, specs, square=square)
        shape = specs[0].shape
        return [Spec(shape[: len(shape) - drop], specs[0].dtype)]

    return infer


def matrices(rng: Any, shape: tuple[int, ...], dtype: str, kind: str) -> Any:
    """Well-conditioned matrices with distinct eigenvalues and singular values."""
    m, n = shape[-2:]
    noise = uniform(rng, shape, "float64", -0.4, 0.4)
    x = noise + np.eye(m, n) * np.arange(2, n + 2)
    if kind == "definite":
        x = x @ np.swapaxes(x, -1, -2)
    if kind in ("definite", "symmetric"):
        x = (x + np.swapaxes(x, -1, -2)) / 2
    return x.astype(dtype)


SQUARE: tuple = ((1, 1), (3, 3), (2, 4, 4), (0, 2, 2))
TALL: tuple = ((4, 2), (3, 3), (2, 2, 4), (2, 3, 2))


def of_matrix(kind: str = "", shapes: tuple = SQUARE, attrs: tuple = ((),)) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for values in attrs:
            for shape in shapes:
                yield Sample((matrices(rng, shape, dtype, kind),), values)

    return make


def sym(x: Any) -> Any:
    return (x + np.swapaxes(x, -1, -2)) / 2
