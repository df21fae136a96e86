# SPDX-License-Identifier: Apache-2.0
"""Gathers by index and one-hot; `gather_rows` is how a plan reads its batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._opdef import EXACT, ROW, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform


def check_index(name: str, dtype: str) -> None:
    if dtype not in ("int32", "int64"):
        raise DTypeError(f"[{name}] indices must be int32 or int64, received {dtype}")


def check_batch(name: str, x: tuple[int, ...], indices: tuple[int, ...]) -> None:
    if len(x) < 2 or len(indices) != 2 or x[0] != indices[0]:
        raise ShapeError(
            f"[{name}] needs (batch, n, ...) and indices (batch, m), received {x} and "
            f"{indices}"
        )


def check_starts(
    name: str, x: tuple[int, ...], starts: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    fits = len(shape) == len(x) and all(a <= b for a, b in zip(shape, x, strict=False))
    if not x or not fits or starts != (len(x),):
        raise ShapeError(
            f"[{name}] a slice of shape {tuple(shape)} with starts {starts} of an "
            f"array of shape {x}: one start per axis, no size larger than the axis"
        )


def _take_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_index("take", specs[1].dtype)
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
    typical=lambda rng, dtype: Sample(  # an embedding
        (uniform(rng, (20000, 64), dtype, -1, 1), rng.integers(0, 20000, (128, 100)))
    ),
    tol=EXACT,
    doc="rows x[indices] along axis 0; negative indices count from the end",
)


def _batch_take_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, indices = specs
    check_index("batch_take", indices.dtype)
    check_batch("batch_take", x.shape, indices.shape)
    return [Spec((*indices.shape, *x.shape[2:]), x.dtype)]


def _batch_take_samples(rng: Any, dtype: str) -> Any:
    cases: tuple = (((3, 5), 2), ((1, 4), 6), ((0, 3), 2), ((4, 3, 2), 5))
    for shape, count in (*cases, ((9, 2), 0), ((3, 2, 7, 3), 1)):
        where = rng.integers(-shape[1], shape[1], (shape[0], count)).astype("int64")
        yield Sample((uniform(rng, shape, dtype, -3, 3), where))


op(
    "batch_take",
    inputs="x indices",
    infer=_batch_take_infer,
    kind=ROW,
    ref=lambda x, i: x[np.arange(len(i))[:, None], i],
    vjp=lambda c, dy: (
        c.op.batch_take_grad(dy, c.indices, c.shape_of("x")[1]),
        None,
    ),
    saves=("indices",),
    samples=_batch_take_samples,
    typical=lambda rng, dtype: Sample(
        (uniform(rng, (512, 1000), dtype, -1, 1), rng.integers(0, 1000, (512, 100)))
    ),
    tol=EXACT,
    integers=True,
    doc="x[o, indices[o, i]] for every o: a take of its own for each leading index",
)


def _slice_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, starts = specs
    check_index("dynamic_slice", starts.dtype)
    check_starts("dynamic_slice", x.shape, starts.shape, attrs[0])
    return [Spec(tuple(attrs[0]), x.dtype)]


def _slice_ref(x: Any, starts: Any, shape: tuple[int, ...]) -> Any:
    pairs = zip(starts, shape, strict=True)
    return np.ascontiguousarray(x[tuple(slice(int(s), int(s) + n) for s, n in pairs)])


def _slice_vjp(c: Any, dy: Any) -> Any:
    shape, dtype = c.shape_of("x"), c.dtype_of("x")
    zeros = c.op.broadcast_to(c.constant(np.zeros((), dtype)), shape)
    return c.op.update_slice(zeros, c.starts, dy), None


def slice_cases(rng: Any) -> Any:
    cases: tuple = (((7,), (2,), (4,)), ((3, 5), (1, 0), (2, 5)), ((3,), (3,), (0,)))
    for shape, starts, cut in (*cases, ((20, 4, 3), (3, 1, 2), (9, 2, 1))):
        yield shape, np.array(starts, "int32"), cut


def _slice_samples(rng: Any, dtype: str) -> Any:
    for shape, starts, cut in slice_cases(rng):
        yield Sample((uniform(rng, shape, dtype, -3, 3), starts), (cut,))


op(
    "dynamic_slice",
    inputs="x starts",
    attrs=(Attr("shape", "static"),),
    infer=_slice_infer,
    kind=ROW,
    ref=_slice_ref,
    vjp=_slice_vjp,
    saves=("starts",),
    samples=_slice_samples,
    typical=lambda rng, dtype: Sample(
        (uniform(rng, (128, 100, 64), dtype, -1, 1), np.array([0, 7, 0], "int32")),
        ((128, 50, 64),),
    ),
    tol=EXACT,
    integers=True,
    doc="x[starts[0] : starts[0] + shape[0], ...] for starts known at run time only",
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
    typical=lambda rng, dtype: Sample((rng.integers(0, 1000, 8192),), (1000, dtype)),
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
    typical=lambda rng, dtype: Sample(  # a batch of digits
        (
            uniform(rng, (10000, 784), dtype, 0, 1),
            rng.permutation(10000),
            np.zeros(1, "int64"),
        ),
        (128, dtype),
    ),
    tol=Tol(1.2e-7, 2.3e-16),
    cost=0.3,
    doc="batch rows data[perm[cursor : cursor + batch]], converted to dtype",
)
