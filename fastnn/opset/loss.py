# SPDX-License-Identifier: Apache-2.0
"""Fused losses on (rows, classes) operands: one loss per row, and their gradients.

Fused with the softmax because log(softmax(z)) loses all digits where the
probability underflows, while logsumexp(z) - z_k does not.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._infer import check_float, check_rank, check_same_dtype, elementwise
from fastnn.opset._opdef import POINTWISE, ROW, Sample, Spec, op, ulps
from fastnn.opset._samples import EQUAL_PAIRS, binary, uniform
from fastnn.opset.activations import _sigmoid
from fastnn.opset.softmax import _log_softmax, _softmax, row_sum

SIZES = ((0, 3), (1, 1), (4, 10), (5, 3), (3, 70))


def _pair_infer(name: str, *, probs: bool) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        a, b = specs
        check_rank(name, "operands", a.shape, 2)
        if a.shape != b.shape:
            raise ShapeError(f"[{name}] shapes {a.shape} and {b.shape} differ")
        check_float(name, check_same_dtype(name, [a.dtype, b.dtype]))
        rows = Spec(a.shape[:1], a.dtype)
        return [rows, a] if probs else [rows]

    return infer


def _grad_infer(name: str, like: int) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        rows, out = specs[0], specs[like]
        if len(out.shape) != 2 or rows.shape != out.shape[:1]:
            shapes = " and ".join(str(s.shape) for s in specs)
            raise ShapeError(f"[{name}] needs (rows,) and (rows, n), received {shapes}")
        check_float(name, check_same_dtype(name, [rows.dtype, out.dtype]))
        return [out]

    return infer


def column(c: Any, rows: Any) -> Any:
    """(rows,) as (rows, 1)."""
    return c.op.reshape(rows, (*rows.shape, 1))


def total(c: Any, x: Any) -> Any:
    """Sum over the last axis, dropped."""
    return c.op.sum(x, (len(x.shape) - 1,), False)


def _targets(rng: Any, shape: tuple[int, int], dtype: str) -> Any:
    return _softmax(uniform(rng, shape, "float64", -2, 2)).astype(dtype)


def _ce_samples(rng: Any, dtype: str) -> Any:
    for shape in SIZES:
        logits = uniform(rng, shape, dtype, -4, 4)
        yield Sample((logits, _targets(rng, shape, dtype)))


def _ce_grad_samples(rng: Any, dtype: str) -> Any:
    for shape in SIZES:
        probs = _targets(rng, shape, dtype)
        dloss = uniform(rng, shape[:1], dtype, -2, 2)
        yield Sample((dloss, probs, _targets(rng, shape, dtype)))


# ---- softmax cross-entropy with a distribution as target --------------------------


def _ce_ref(z: Any, t: Any) -> Any:
    # A class of weight 0 adds nothing, even where its logit is -infinity.
    terms = np.where(t == 0, 0, t * _log_softmax(z))
    return -np.sum(terms, axis=-1, dtype=z.dtype), _softmax(z)


def _ce_vjp(c: Any, dloss: Any, dprobs: Any) -> Any:
    dlogits = dtarget = None
    if dloss is not None:
        dlogits = c.op.softmax_cross_entropy_grad(dloss, c.probs, c.target)
        if c.needs("target"):
            logp = c.op.log_softmax(c.logits)
            dtarget = c.op.negative(c.op.multiply(logp, column(c, dloss)))
    if dprobs is not None:
        extra = c.op.softmax_grad(dprobs, c.probs)
        dlogits = extra if dlogits is None else c.op.add(dlogits, extra)
    return dlogits, dtarget


def _ce_grad_vjp(c: Any, g: Any) -> Any:
    m, sub = c.op.multiply, c.op.subtract
    t = row_sum(c, c.target)
    d_rows = total(c, m(g, sub(m(c.probs, t), c.target)))
    scaled = m(g, column(c, c.dloss))
    d_target = sub(row_sum(c, m(scaled, c.probs)), scaled)
    return d_rows, m(scaled, t), d_target


op(
    "softmax_cross_entropy",
    inputs="logits target",
    outputs="loss probs",
    infer=_pair_infer("softmax_cross_entropy", probs=True),
    kind=ROW,
    ref=_ce_ref,
    vjp=_ce_vjp,
    saves=("logits", "probs", "target"),
    samples=_ce_samples,
    tol=ulps(64)._replace(atol=4e-6),
    cost=lambda ins, outs, attrs: 2.0 * prod(ins[0].shape),
    doc="loss = sum_k t_k (logsumexp(z) - z_k); probs = softmax(z)",
)
op(
    "softmax_cross_entropy_grad",
    inputs="dloss probs target",
    outputs="dlogits",
    infer=_grad_infer("softmax_cross_entropy_grad", 1),
    kind=ROW,
    ref=lambda dl, p, t: dl[:, None] * (p * np.sum(t, -1, keepdims=True) - t),
    vjp=_ce_grad_vjp,
    saves=("dloss", "probs", "target"),
    samples=_ce_grad_samples,
    tol=ulps(16)._replace(atol=2e-6),
    cost=0.5,
    inplace=(1,),
    doc="dloss * (p * sum(t) - t)",
)

# ---- softmax cross-entropy with class indices --------------------------------------


def _sparse_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name = "sparse_softmax_cross_entropy"
    z, labels = specs
    check_rank(name, "logits", z.shape, 2)
    check_float(name, z.dtype)
    if labels.shape != z.shape[:1]:
        raise ShapeError(
            f"[{name}] labels must have shape {z.shape[:1]}, received {labels.shape}"
        )
    if labels.dtype not in ("int32", "int64", "uint8"):
        raise DTypeError(
            f"[{name}] labels must be int32, int64 or uint8, received {labels.dtype}"
        )
    return [Spec(z.shape[:1], z.dtype), z]


def _sparse_ref(z: Any, labels: Any) -> Any:
    logp = _log_softmax(z)
    ok = (labels >= 0) & (labels < z.shape[-1])
    safe = np.where(ok, labels, 0).astype(np.int64)
    picked = -logp[np.arange(len(z)), safe] if len(z) else np.zeros(0, z.dtype)
    return np.where(ok, picked, np.nan).astype(z.dtype), _softmax(z)


def _one_hot(labels: Any, n: int, dtype: Any) -> Any:
    out = (np.arange(n) == labels[:, None]).astype(dtype)
    out[(labels < 0) | (labels >= n)] = np.nan
    return out


def _sparse_samples(rng: Any, dtype: str) -> Any:
    for kind, shape in zip(("int32", "int64", "uint8", "int32"), SIZES, strict=False):
        labels = rng.integers(0, shape[1], shape[0]).astype(kind)
        yield Sample((uniform(rng, shape, dtype, -4, 4), labels))


def _sparse_grad_samples(rng: Any, dtype: str) -> Any:
    for shape in SIZES:
        labels = rng.integers(0, shape[1], shape[0]).astype("int64")
        dloss = uniform(rng, shape[:1], dtype, -2, 2)
        yield Sample((dloss, _targets(rng, shape, dtype), labels))


def _sparse_vjp(c: Any, dloss: Any, dprobs: Any) -> Any:
    dlogits = None
    if dloss is not None:
        dlogits = c.op.sparse_softmax_cross_entropy_grad(dloss, c.probs, c.labels)
    if dprobs is not None:
        extra = c.op.softmax_grad(dprobs, c.probs)
        dlogits = extra if dlogits is None else c.op.add(dlogits, extra)
    return dlogits, None


def _sparse_grad_vjp(c: Any, g: Any) -> Any:
    onehot = c.op.one_hot(c.labels, c.probs.shape[1], c.probs.dtype)
    d_rows = total(c, c.op.multiply(g, c.op.subtract(c.probs, onehot)))
    return d_rows, c.op.multiply(g, column(c, c.dloss)), None


op(
    "sparse_softmax_cross_entropy",
    inputs="logits labels",
    outputs="loss probs",
    infer=_sparse_infer,
    kind=ROW,
    ref=_sparse_ref,
    vjp=_sparse_vjp,
    saves=("probs", "labels"),
    samples=_sparse_samples,
    tol=ulps(64)._replace(atol=4e-6),
    cost=lambda ins, outs, attrs: 2.0 * prod(ins[0].shape),
    doc="loss = logsumexp(z) - z[label], NaN where the label is out of range",
)
op(
    "sparse_softmax_cross_entropy_grad",
    inputs="dloss probs labels",
    outputs="dlogits",
    infer=_grad_infer("sparse_softmax_cross_entropy_grad", 1),
    kind=ROW,
    ref=lambda dl, p, k: dl[:, None] * (p - _one_hot(k, p.shape[1], p.dtype)),
    vjp=_sparse_grad_vjp,
    saves=("dloss", "probs", "labels"),
    samples=_sparse_grad_samples,
    tol=ulps(16)._replace(atol=2e-6),
    cost=0.5,
    inplace=(1,),
    doc="dloss * (p - onehot(label))",
)

# ---- sigmoid cross-entropy, elementwise --------------------------------------------

op(
    "sigmoid_cross_entropy",
    inputs="logits target",
    outputs="loss",
    infer=elementwise("sigmoid_cross_entropy"),
    kind=POINTWISE,
    ref=lambda x, t: np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))),
    vjp=lambda c, dy: (
        c.op.sigmoid_cross_entropy_grad(dy, c.logits, c.target),
        c.op.negative(c.op.multiply(dy, c.logits)) if c.needs("target") else None,
    ),
    saves=("logits", "target"),
    samples=binary(-4, 4, low2=0, high2=1, kink=True, pairs=EQUAL_PAIRS),
    tol=ulps(16)._replace(atol=2e-6),
    inplace=(0,),
    cost=3.0,
    doc="max(x, 0) - x t + log(1 + e^-|x|)",
)


def _sigmoid_second(c: Any, g: Any) -> Any:
    s = c.op.sigmoid(c.logits)
    gd = c.op.multiply(g, c.dloss)
    return (
        c.op.sigmoid_cross_entropy_grad(g, c.logits, c.target),
        c.op.sigmoid_grad(gd, s),
        c.op.negative(gd),
    )


def _triples(rng: Any, dtype: str) -> Any:
    for shape, _ in EQUAL_PAIRS:
        arrays = [uniform(rng, shape, dtype, low, 2) for low in (-2, -2, 0)]
        yield Sample(tuple(arrays))


op(
    "sigmoid_cross_entropy_grad",
    inputs="dloss logits target",
    outputs="dlogits",
    infer=elementwise("sigmoid_cross_entropy_grad"),
    kind=POINTWISE,
    ref=lambda dy, x, t: dy * (_sigmoid(x) - t),
    vjp=_sigmoid_second,
    saves=("dloss", "logits", "target"),
    samples=_triples,
    tol=ulps(16)._replace(atol=2e-6),
    inplace=(0,),
    cost=1.5,
    doc="dloss * (sigmoid(x) - t)",
)

# ---- mean squared error ------------------------------------------------------------


def _mse_vjp(c: Any, dloss: Any) -> Any:
    d = c.op.mean_squared_error_grad(dloss, c.y_true, c.y_pred)
    return c.op.negative(d) if c.needs("y_true") else None, d


def _mse_grad_vjp(c: Any, g: Any) -> Any:
    scale = 2.0 / max(c.y_pred.shape[1], 1)
    m = c.op.multiply
    error = m(c.op.subtract(c.y_pred, c.y_true), scale)
    d_pred = m(m(g, scale), column(c, c.dloss))
    return total(c, m(g, error)), c.op.negative(d_pred), d_pred


def _mse_samples(rng: Any, dtype: str) -> Any:
    for shape in SIZES:
        yield Sample(tuple(uniform(rng, shape, dtype, -3, 3) for _ in range(2)))


def _mse_grad_samples(rng: Any, dtype: str) -> Any:
    for shape in SIZES:
        pair = [uniform(rng, shape, dtype, -3, 3) for _ in range(2)]
        yield Sample((uniform(rng, shape[:1], dtype, -2, 2), *pair))


op(
    "mean_squared_error",
    inputs="y_true y_pred",
    outputs="loss",
    infer=_pair_infer("mean_squared_error", probs=False),
    kind=ROW,
    ref=lambda t, p: np.mean(np.square(p - t), axis=-1),
    vjp=_mse_vjp,
    saves=("y_true", "y_pred"),
    samples=_mse_samples,
    tol=ulps(32),
    cost=lambda ins, outs, attrs: 0.4 * prod(ins[0].shape),
    doc="mean over the last axis of (y_pred - y_true)^2",
)
op(
    "mean_squared_error_grad",
    inputs="dloss y_true y_pred",
    outputs="dpred",
    infer=_grad_infer("mean_squared_error_grad", 2),
    kind=ROW,
    ref=lambda dl, t, p: dl[:, None] * (p - t) * p.dtype.type(2 / max(p.shape[1], 1)),
    vjp=_mse_grad_vjp,
    saves=("dloss", "y_true", "y_pred"),
    samples=_mse_grad_samples,
    tol=ulps(4),
    cost=0.4,
    inplace=(2,),
    doc="dloss * 2 (y_pred - y_true) / n",
)
