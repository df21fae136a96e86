# SPDX-License-Identifier: Apache-2.0
"""Sorting along the last axis, the largest k, and searching; NaN comes last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_rank, check_same_dtype
from fastnn.opset._opdef import EXACT, ROW, Attr, Sample, Spec, op
from fastnn.opset._samples import typical, uniform

SHAPES = ((1, 1), (0, 3), (3, 0), (1, 7), (3, 5), (2, 3, 19), (2, 40), (1, 300), (9, 2))


def row_count(shape: tuple[int, ...]) -> int:
    """Rows along the last axis, also where they are empty."""
    return math.prod(shape[:-1])


def _rows(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) < 2:
        raise ShapeError(
            f"[{name}] needs rows, shape (..., n), received {shape}: reshape it to "
            f"(1, n)"
        )


def _infer(name: str, dtype: str | None = None) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        _rows(name, specs[0].shape)
        return [Spec(specs[0].shape, dtype or specs[0].dtype)]

    return infer


def _distinct(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Far enough apart for a difference quotient."""
    n = int(np.prod(shape))
    return (rng.permutation(n) / max(n, 1) * 8 - 4).reshape(shape).astype(dtype)


TYPICAL = ((16, 65536),)


def _samples(rng: Any, dtype: str, shapes: Any = SHAPES) -> Any:
    for shape in shapes:
        yield Sample((_distinct(rng, shape, dtype),))


def _cost(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
    return 5.0 * math.prod(ins[0].shape)


def pairs(c: Any, x: Any) -> Any:
    """(..., n) as (rows, n): what the batched gathers take."""
    return c.op.reshape(x, (row_count(x.shape), x.shape[-1]))


def spread(c: Any, dy: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with dy added at `index` along the last axis."""
    dx = c.op.batch_take_grad(pairs(c, dy), pairs(c, index), shape[-1])
    return c.op.reshape(dx, shape)


op(
    "sort",
    inputs="x",
    infer=_infer("sort"),
    kind=ROW,
    ref=lambda x: np.sort(x, axis=-1),
    vjp=lambda c, dy: spread(c, dy, c.op.argsort(c.x), c.shape_of("x")),
    saves=("x",),
    samples=_samples,
    typical=typical(_samples, shapes=TYPICAL),
    tol=EXACT,
    cost=_cost,
    integers=True,
    doc="elements of each row (last axis) in ascending order",
)


def _ties(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        yield Sample((uniform(rng, shape, "int64", -3, 3).astype(dtype),))
    yield Sample((uniform(rng, (3, 50), "int64", -3, 3),))
    yield Sample((uniform(rng, (3, 50), "int32", -3, 3),))


op(
    "argsort",
    inputs="x",
    infer=_infer("argsort", "int32"),
    kind=ROW,
    ref=lambda x: np.argsort(x, axis=-1, kind="stable").astype(np.int32),
    samples=_ties,
    typical=typical(_samples, shapes=TYPICAL),
    tol=EXACT,
    cost=_cost,
    integers=True,
    doc="positions that sort each row, int32; equal elements keep their order",
)


def _top_k_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    shape, k = specs[0].shape, attrs[0]
    _rows("top_k", shape)
    if not 0 <= k <= shape[-1]:
        raise ShapeError(f"[top_k] k = {k} of rows of {shape[-1]} elements")
    return [Spec((*shape[:-1], k), specs[0].dtype), Spec((*shape[:-1], k), "int32")]


def _top_k_ref(x: Any, k: int) -> Any:
    n = x.shape[-1]
    # Stable from the end: of equal elements the first comes first.
    order = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    index = (n - 1 - order[..., :k]).astype(np.int32)
    return np.take_along_axis(x, index, -1), index


def _top_k_samples(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        for k in sorted({0, 1, shape[-1] // 2, shape[-1]} & set(range(shape[-1] + 1))):
            yield Sample((_distinct(rng, shape, dtype),), (k,))
    yield Sample((_distinct(rng, (3, 500), dtype),), (4,))
    yield Sample((uniform(rng, (2, 200), "int32", -3, 3),), (5,))


op(
    "top_k",
    inputs="x",
    outputs="y indices",
    attrs=(Attr("k", "static"),),
    infer=_top_k_infer,
    kind=ROW,
    ref=_top_k_ref,
    vjp=lambda c, dy, _: spread(c, dy, c.indices, c.shape_of("x")),
    saves=("indices",),
    samples=_top_k_samples,
    typical=lambda rng, dtype: Sample((_distinct(rng, (512, 1000), dtype),), (5,)),
    tol=EXACT,
    cost=lambda ins, outs, attrs: 1.0 * math.prod(ins[0].shape),
    integers=True,
    doc="the k largest of each row in descending order and their positions, int32; "
    "NaN is the largest, of equal ones the first comes first",
)


def _search_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_same_dtype("searchsorted", [s.dtype for s in specs])
    check_rank("searchsorted", "the sorted sequence", specs[0].shape, 1)
    return [Spec(specs[1].shape, "int32")]


def _search_samples(rng: Any, dtype: str) -> Any:
    for n, shape in ((0, (3,)), (1, (4,)), (7, ()), (8, (3, 5)), (33, (2, 3, 19))):
        for right in (False, True):
            for kind in (dtype, "int32"):
                table = np.sort(uniform(rng, (n,), "int64", -9, 9)).astype(kind)
                values = uniform(rng, shape, "int64", -10, 10).astype(kind)
                yield Sample((table, values), (right,))


op(
    "searchsorted",
    inputs="sorted_sequence values",
    attrs=(Attr("right", "bool", False),),
    infer=_search_infer,
    kind=ROW,
    ref=lambda a, v, right: np.asarray(
        np.searchsorted(a, v, "right" if right else "left")
    ).astype(np.int32),
    samples=_search_samples,
    typical=lambda rng, dtype: Sample(
        (
            np.sort(uniform(rng, (999,), dtype, 0, 1)),
            uniform(rng, (1 << 18,), dtype, 0, 1),
        ),
        (False,),
    ),
    tol=EXACT,
    cost=20.0,
    integers=True,
    doc="how many elements of the sorted 1-D sequence are less than each value (or "
    "not greater, if right), int32",
)
