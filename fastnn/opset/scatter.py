# SPDX-License-Identifier: Apache-2.0
"""Rows merged into rows by index, in ascending order of position."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_same_dtype
from fastnn.opset._opdef import EXACT, ROW, Attr, Sample, Spec, op, ulps
from fastnn.opset._samples import away_from_zero, uniform
from fastnn.opset.index import check_batch, check_index, check_starts, slice_cases


def _take_grad_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_index("take_grad", specs[1].dtype)
    row = specs[0].shape[len(specs[1].shape) :]
    return [Spec((attrs[0], *row), specs[0].dtype)]


def _take_grad_ref(dy: Any, indices: Any, rows: int) -> Any:
    out = np.zeros((rows, *dy.shape[indices.ndim :]), dy.dtype)
    np.add.at(out, indices, dy)
    return out


def _take_grad_samples(rng: Any, dtype: str) -> Any:
    for rows, tail, index in ((5, (), (3,)), (4, (3,), (6,)), (4, (2,), (2, 2))):
        where = rng.integers(-rows, rows, index).astype("int64")
        yield Sample((uniform(rng, (*index, *tail), dtype, -3, 3), where), (rows,))


op(
    "take_grad",
    inputs="dy indices",
    outputs="dx",
    attrs=(Attr("rows", "static"),),
    infer=_take_grad_infer,
    kind=ROW,
    ref=_take_grad_ref,
    vjp=lambda c, g: (c.op.take(g, c.indices), None),
    saves=("indices",),
    samples=_take_grad_samples,
    typical=lambda rng, dtype: Sample(  # of an embedding
        (
            uniform(rng, (128, 100, 64), dtype, -1, 1),
            rng.integers(0, 20000, (128, 100)),
        ),
        (20000,),
    ),
    tol=ulps(8)._replace(atol=1e-6),
    doc="zeros of `rows` rows with dy added at indices, in index order",
)


def _batch_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    dy, indices = specs
    check_index("batch_take_grad", indices.dtype)
    check_batch("batch_take_grad", dy.shape, indices.shape)
    return [Spec((dy.shape[0], attrs[0], *dy.shape[2:]), dy.dtype)]


def _batch_ref(dy: Any, indices: Any, rows: int) -> Any:
    out = np.zeros((len(dy), rows, *dy.shape[2:]), dy.dtype)
    np.add.at(out, (np.arange(len(dy))[:, None], indices), dy)
    return out


def _batch_samples(rng: Any, dtype: str) -> Any:
    for batch, rows, tail, m in ((3, 5, (), 2), (9, 4, (), 7), (2, 3, (19,), 4)):
        where = rng.integers(-rows, rows, (batch, m)).astype("int64")
        yield Sample((uniform(rng, (batch, m, *tail), dtype, -3, 3), where), (rows,))
    yield Sample((uniform(rng, (2, 0), dtype, 0, 1), np.zeros((2, 0), "int32")), (3,))


op(
    "batch_take_grad",
    inputs="dy indices",
    outputs="dx",
    attrs=(Attr("rows", "static"),),
    infer=_batch_infer,
    kind=ROW,
    ref=_batch_ref,
    vjp=lambda c, g: (c.op.batch_take(g, c.indices), None),
    saves=("indices",),
    samples=_batch_samples,
    tol=ulps(8)._replace(atol=1e-6),
    integers=True,
    doc="zeros with `rows` rows per leading index and dy added at indices",
)

# ---- updates -----------------------------------------------------------------------

REDUCTIONS = ("update", "add", "multiply", "max", "min")


def _scatter_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, indices, updates = specs
    check_index("scatter_rows", indices.dtype)
    check_same_dtype("scatter_rows", [x.dtype, updates.dtype])
    if not x.shape or updates.shape != (*indices.shape, *x.shape[1:]):
        raise ShapeError(
            f"[scatter_rows] rows of {x.shape} at {indices.shape} indices need updates "
            f"of shape {(*indices.shape, *x.shape[1:])}, received {updates.shape}"
        )
    return [x]


def _scatter_ref(x: Any, indices: Any, updates: Any, reduction: str) -> Any:
    y = np.array(x)
    rows = np.reshape(updates, (indices.size, *x.shape[1:]))
    merge: Any = {
        "update": lambda a, b: b,
        "add": np.add,
        "multiply": np.multiply,
        "max": np.maximum,
        "min": np.minimum,
    }[reduction]
    for i, row in zip(indices.reshape(-1), rows, strict=True):
        y[i] = merge(y[i], row)
    return y


def _zeros(c: Any, x: Any) -> Any:
    return c.op.broadcast_to(c.constant(np.zeros((), x.dtype)), x.shape)


def _spread(c: Any, mask: Any, shape: tuple[int, ...]) -> Any:
    """One bool per index, for every element of its row."""
    column = c.op.reshape(mask, (*mask.shape, *(1,) * (len(shape) - len(mask.shape))))
    return c.op.broadcast_to(column, shape)


def _update_vjp(c: Any, dy: Any) -> Any:
    # Of several updates of a row the last stays, so the others have no gradient.
    shape, rows = c.indices.shape, c.x.shape[0]
    order = c.constant(
        np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)
    )
    none = c.constant(np.full(rows, -1, "int32"))
    last = c.op.take(c.op.scatter_rows(none, c.indices, order, "update"), c.indices)
    stays = _spread(c, c.op.equal(last, order), c.updates.shape)
    du = c.op.where(stays, c.op.take(dy, c.indices), _zeros(c, c.updates))
    return c.op.scatter_rows(dy, c.indices, _zeros(c, c.updates), "update"), None, du


def _extremum_vjp(c: Any, dy: Any) -> Any:
    # Ties share the gradient equally, as in the reductions.
    dtype, rows = c.x.dtype, c.x.shape[0]
    from_x = c.op.equal(c.x, c.y)
    from_u = c.op.equal(c.updates, c.op.take(c.y, c.indices))
    count = c.op.take_grad(c.op.cast(from_u, dtype), c.indices, rows)
    share = c.op.divide(dy, c.op.add(c.op.cast(from_x, dtype), count))
    du = c.op.where(from_u, c.op.take(share, c.indices), _zeros(c, c.updates))
    return c.op.where(from_x, share, _zeros(c, c.x)), None, du


def _product_vjp(c: Any, dy: Any) -> Any:
    # The product of the others: P / x without zeros, P where x is the only zero.
    dtype, rows = c.x.dtype, c.x.shape[0]
    zero_x, zero_u = c.op.equal(c.x, 0), c.op.equal(c.updates, 0)
    safe_x, safe_u = c.op.where(zero_x, 1, c.x), c.op.where(zero_u, 1, c.updates)
    product = c.op.scatter_rows(safe_x, c.indices, safe_u, "multiply")
    count = c.op.take_grad(c.op.cast(zero_u, dtype), c.indices, rows)
    count = c.op.add(count, c.op.cast(zero_x, dtype))

    def slope(zero: Any, safe: Any, rest: Any, zeros: Any) -> Any:
        alone = c.op.where(c.op.equal(zeros, 1), rest, 0)
        others = c.op.where(c.op.equal(zeros, 0), c.op.divide(rest, safe), 0)
        return c.op.where(zero, alone, others)

    at = c.indices
    of_u = slope(zero_u, safe_u, c.op.take(product, at), c.op.take(count, at))
    return (
        c.op.multiply(dy, slope(zero_x, safe_x, product, count)),
        None,
        c.op.multiply(c.op.take(dy, at), of_u),
    )


def _scatter_vjp(c: Any, dy: Any) -> Any:
    if c.reduction == "add":
        return dy, None, c.op.take(dy, c.indices)
    if c.reduction == "update":
        return _update_vjp(c, dy)
    return _product_vjp(c, dy) if c.reduction == "multiply" else _extremum_vjp(c, dy)


def _scatter_samples(rng: Any, dtype: str) -> Any:
    cases: tuple = (((5,), (3,)), ((4, 3), (9,)), ((3, 70), (2, 2)), ((4, 2), (0,)))
    for shape, index in cases:
        for reduction in REDUCTIONS:
            where = rng.integers(-shape[0], shape[0], index).astype("int64")
            x = away_from_zero(uniform(rng, shape, dtype, -2, 2))
            u = away_from_zero(uniform(rng, (*index, *shape[1:]), dtype, -2, 2))
            yield Sample((x, where, u), (reduction,))


op(
    "scatter_rows",
    inputs="x indices updates",
    attrs=(Attr("reduction", "enum", "update", REDUCTIONS),),
    infer=_scatter_infer,
    kind=ROW,
    ref=_scatter_ref,
    vjp=_scatter_vjp,
    saves=("x", "indices", "updates", "y"),
    samples=_scatter_samples,
    tol=ulps(8)._replace(atol=1e-6),
    integers=True,
    doc="x with rows updates[i] put at, added to, ... row indices[i], in order of i: "
    "of several updates the last stays",
)


def _update_slice_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, starts, updates = specs
    check_index("update_slice", starts.dtype)
    check_same_dtype("update_slice", [x.dtype, updates.dtype])
    check_starts("update_slice", x.shape, starts.shape, updates.shape)
    return [x]


def _update_slice_ref(x: Any, starts: Any, updates: Any) -> Any:
    y = np.array(x)
    pairs = zip(starts, updates.shape, strict=True)
    y[tuple(slice(int(s), int(s) + n) for s, n in pairs)] = updates
    return y


def _update_slice_vjp(c: Any, dy: Any) -> Any:
    shape = c.shape_of("updates")
    zeros = c.op.broadcast_to(c.constant(np.zeros((), dy.dtype)), shape)
    dx = c.op.update_slice(dy, c.starts, zeros)
    return dx, None, c.op.dynamic_slice(dy, c.starts, shape)


def _update_slice_samples(rng: Any, dtype: str) -> Any:
    for shape, starts, cut in slice_cases(rng):
        x, u = uniform(rng, shape, dtype, -3, 3), uniform(rng, cut, dtype, -3, 3)
        yield Sample((x, starts, u))


op(
    "update_slice",
    inputs="x starts updates",
    infer=_update_slice_infer,
    kind=ROW,
    ref=_update_slice_ref,
    vjp=_update_slice_vjp,
    saves=("starts",),
    samples=_update_slice_samples,
    tol=EXACT,
    integers=True,
    doc="x with updates in place of the block that begins at starts",
)
