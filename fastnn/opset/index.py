# SPDX-License-Identifier: Apache-2.0
"""Gather, scatter-add and one-hot; `gather_rows` is how a plan reads its batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import DTypeError
from fastnn.opset._opdef import EXACT, ROW, Attr, Sample, Spec, Tol, op, ulps
from fastnn.opset._samples import uniform


def _check_index(name: str, dtype: str) -> None:
    if dtype not in ("int32", "int64"):
        raise DTypeError(f"[{name}] indices must be int32 or int64, received {dtype}")


def _take_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check_index("take", specs[1].dtype)
    return [Spec(specs[1].shape + specs[0].shape[1:], specs[0].dtype)]


def _take_samples(rng: Any, dtype: str) -> Any:
    for shape, index in (((5,), (3,)), ((4, 3), (6,)), ((4, 2, 3), (2, 2))):
        rows = rng.integers(-shape[0], shape[0], index).astype("int64")
        yield Sample((uniform(rng, shape, dtype, -3, 3), rows))
    yield Sample((uniform(rng, (4, 3), dtype, -3, 3), np.zeros((0,), "int32")))


op(
    "take",
    inputs="x indices",
    infer=_take_infer,
    kind=ROW,
    ref=lambda x, i: x[i],
    vjp=lambda c, dy: (c.op.take_grad(dy, c.indices, c.shape_of("x")[0]), None),
    saves=("indices",),
    samples=_take_samples,
    tol=EXACT,
    doc="rows x[indices] along axis 0; negative indices count from the end",
)


def _take_grad_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check_index("take_grad", specs[1].dtype)
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
    tol=ulps(8)._replace(atol=1e-6),
    doc="zeros of `rows` rows with dy added at indices, in index order",
)


def _one_hot_ref(indices: Any, classes: int, dtype: str) -> Any:
    return (indices[..., None] == np.arange(classes)).astype(dtype)


def _one_hot_samples(rng: Any, dtype: str) -> Any:
    for shape, classes in (((), 3), ((5,), 4), ((2, 3), 7), ((0,), 2)):
        yield Sample(
            (rng.integers(-1, classes + 1, shape).astype("int64"),), (classes, dtype)
        )


op(
    "one_hot",
    inputs="indices",
    attrs=(Attr("classes", "static"), Attr("dtype", "static")),
    infer=lambda specs, attrs: [Spec((*specs[0].shape, attrs[0]), attrs[1])],
    kind=ROW,
    ref=_one_hot_ref,
    samples=_one_hot_samples,
    tol=EXACT,
    doc="1 at the index, 0 elsewhere; an index out of range gives a row of zeros",
)


def _gather_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    return [Spec((attrs[0], *specs[0].shape[1:]), attrs[1])]


def _gather_ref(data: Any, perm: Any, cursor: Any, batch: int, dtype: str) -> Any:
    start = int(cursor.reshape(-1)[0])
    return data[perm[start : start + batch]].astype(dtype)


def _gather_samples(rng: Any, dtype: str) -> Any:
    perm = rng.permutation(9).astype("int64")
    cursor = np.array([2], "int64")
    for source, shape in (("uint8", (9, 5)), (dtype, (9,)), ("float64", (9, 2, 3))):
        yield Sample(
            (uniform(rng, shape, source, 0, 200), perm, cursor), (4, "float32")
        )
    yield Sample((uniform(rng, (9,), "int64", 0, 9), perm, cursor), (4, "int64"))


op(
    "gather_rows",
    inputs="data perm cursor",
    attrs=(Attr("batch", "static"), Attr("dtype", "static")),
    infer=_gather_infer,
    kind=ROW,
    ref=_gather_ref,
    differentiable=False,  # it reads the data set, of which nobody asks a gradient
    samples=_gather_samples,
    tol=Tol(1.2e-7, 2.3e-16),
    cost=0.3,
    doc="batch rows data[perm[cursor : cursor + batch]], converted to dtype",
)
