# SPDX-License-Identifier: Apache-2.0
"""What optimizers need of whole variables: norms, and LAMB, which steps by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import ROW, UPDATE, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform
from fastnn.opset.optim import BETAS, EPSILON, SHAPES, TOL

CHUNK = 4096  # kSquareChunk of csrc/kernels/optim.cpp


def chunks(shape: tuple[int, ...]) -> int:
    """Partial sums that `square_sums` makes of an array; at least one."""
    return max(1, -(-int(np.prod(shape, dtype=np.int64)) // CHUNK))


def _infer_squares(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_float("square_sums", specs[0].dtype)
    return [Spec((chunks(specs[0].shape),), specs[0].dtype)]


def _squares(x: Any) -> Any:
    flat = np.zeros(chunks(x.shape) * CHUNK, x.dtype)
    flat[: x.size] = x.reshape(-1)
    return (flat * flat).reshape(-1, CHUNK).sum(axis=1)


def _squares_samples(rng: Any, dtype: str) -> Any:
    for shape in (*SHAPES, (1,), (2, 3, 19), (3, 4096), (5, 1700)):
        yield Sample((uniform(rng, shape, dtype, -2, 2),))


op(
    "square_sums",
    inputs="x",
    infer=_infer_squares,
    kind=ROW,
    ref=_squares,
    differentiable=False,
    samples=_squares_samples,
    tol=Tol(4e-6, 1e-14, 1e-6),
    cost=lambda ins, outs, attrs: 0.1 * CHUNK * outs[0].shape[0],
    doc="sums of x^2 over each 4096 elements in row-major order",
)


def _infer_direction(specs: list[Spec], attrs: tuple) -> list[Spec]:
    g = specs[0]
    dtype = check_same_dtype("lamb_direction", [s.dtype for s in specs[:3]])
    check_float("lamb_direction", dtype)
    if any(spec.shape != g.shape for spec in specs[1:3]):
        raise ShapeError(
            f"[lamb_direction] gradient and slots must have one shape, received "
            f"{[s.shape for s in specs[:3]]}"
        )
    return [g] * 3


def _direction(
    g: Any, m: Any, v: Any, step: Any, b1: float, b2: float, eps: float
) -> tuple:
    n, t = float(step), g.dtype.type
    m = m + (g - m) * t(1 - b1)
    v = v + (g * g - v) * t(1 - b2)
    u = m * t(1 / (1 - b1**n)) / (np.sqrt(v * t(1 / (1 - b2**n))) + t(eps))
    return u, m, v


def _direction_samples(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        g = uniform(rng, shape, dtype, -2, 2)
        slots = [uniform(rng, shape, dtype, 0.1, 2) for _ in range(2)]
        yield Sample((g, *slots, np.asarray(3, "int64")), (0.9, 0.999, 1e-7))


op(
    "lamb_direction",
    inputs="g m v step",
    outputs="u m1 v1",
    attrs=(*BETAS, EPSILON),
    infer=_infer_direction,
    kind=UPDATE,
    ref=_direction,
    samples=_direction_samples,
    tol=TOL,
    inplace=(0, 1, 2),
    cost=1.0,
    doc="Adam's step before the learning rate; You et al. 2020, arXiv:1904.00962",
)


def _lamb(w: Any, u: Any, ww: Any, uu: Any, lr: Any) -> Any:
    a, b = float(ww.sum()), float(uu.sum())
    ratio = np.sqrt(a) / np.sqrt(b) if a > 0 and b > 0 else 1.0
    return w - w.dtype.type(ratio * float(lr)) * u


def _infer_lamb(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_float("lamb", check_same_dtype("lamb", [s.dtype for s in specs[:4]]))
    if specs[1].shape != specs[0].shape:
        raise ShapeError(
            f"[lamb] the step must have the variable's shape {specs[0].shape}, "
            f"received {specs[1].shape}"
        )
    return [specs[0]]


def _lamb_samples(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        for zero in (1.0, 0.0):
            w, u = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
            u = (u * zero).astype(dtype)
            sums = (np.asarray(_squares(x), dtype) for x in (w, u))
            yield Sample((w, u, *sums, np.asarray(0.01, dtype)))


op(
    "lamb",
    inputs="w u ww uu lr",
    outputs="w1",
    infer=_infer_lamb,
    kind=UPDATE,
    ref=_lamb,
    samples=_lamb_samples,
    tol=TOL,
    inplace=(0,),
    cost=0.3,
    doc="w - lr |w| / |u| u of the square_sums of both, w - lr u if one is 0",
)
