# SPDX-License-Identifier: Apache-2.0
"""Views (no kernel, no bytes moved), copies, casts and joins."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._dtypes import is_float
from fastnn.opset._infer import broadcast_shapes, check_same_dtype, like
from fastnn.opset._opdef import EXACT, POINTWISE, VIEW, Attr, Sample, Spec, op
from fastnn.opset._samples import SHAPES, uniform

SHAPE = (Attr("shape", "static"),)


def size(shape: tuple[int, ...]) -> int:
    n = 1
    for s in shape:
        n *= s
    return n


def _view(name: str, infer: Any, ref: Any, samples: Any, **fields: Any) -> None:
    op(
        name,
        inputs="x",
        infer=infer,
        kind=VIEW,
        ref=ref,
        samples=samples,
        tol=EXACT,
        cost=0.0,
        **fields,
    )


def _pairs(cases: tuple) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for shape, *attrs in cases:
            yield Sample((uniform(rng, shape, dtype, -3, 3),), tuple(attrs))

    return make


# ---- views -------------------------------------------------------------------------


def _reshape_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    shape = tuple(attrs[0])
    if size(shape) != size(specs[0].shape):
        raise ShapeError(
            f"[reshape] cannot make {shape} ({size(shape)} elements) from "
            f"{specs[0].shape} ({size(specs[0].shape)} elements)"
        )
    return [Spec(shape, specs[0].dtype)]


_view(
    "reshape",
    _reshape_infer,
    lambda x, shape: x.reshape(shape),
    _pairs((((), (1, 1)), ((6,), (2, 3)), ((2, 3, 4), (6, 4)), ((0, 3), (3, 0)))),
    attrs=SHAPE,
    vjp=lambda c, dy: c.op.reshape(dy, c.shape_of("x")),
    doc="same elements in row-major order under another shape",
)
_view(
    "transpose",
    lambda specs, attrs: [
        Spec(tuple(specs[0].shape[i] for i in attrs[0]), specs[0].dtype)
    ],
    lambda x, perm: np.transpose(x, perm),
    _pairs((((3, 5), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((7,), (0,)))),
    attrs=(Attr("perm", "static"),),
    vjp=lambda c, dy: c.op.transpose(
        dy, tuple(sorted(range(len(c.perm)), key=c.perm.__getitem__))
    ),
    doc="axis i of the output is axis perm[i] of the input",
)


def _broadcast_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    shape = tuple(attrs[0])
    if broadcast_shapes("broadcast_to", specs[0].shape, shape) != shape:
        raise ShapeError(f"[broadcast_to] cannot make {shape} of {specs[0].shape}")
    return [Spec(shape, specs[0].dtype)]


_view(
    "broadcast_to",
    _broadcast_infer,
    lambda x, shape: np.broadcast_to(x, shape),
    _pairs((((), (3, 2)), ((5,), (3, 5)), ((3, 1), (3, 4)), ((1, 3), (0, 3)))),
    attrs=SHAPE,
    vjp=lambda c, dy: c.unbroadcast(dy, "x"),
    doc="repeats axes of size 1 with stride 0",
)


def _index(slices: tuple) -> tuple:
    return tuple(slice(*s) for s in slices)


def _slice_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    pairs = zip(attrs[0], specs[0].shape, strict=True)
    shape = tuple(len(range(*slice(*s).indices(n))) for s, n in pairs)
    return [Spec(shape, specs[0].dtype)]


def _slice_vjp(c: Any, dy: Any) -> Any:
    # Scatter into zeros through flat positions: any step, also negative.
    shape = c.shape_of("x")
    where = np.arange(size(shape), dtype=np.int64).reshape(shape)[_index(c.slices)]
    flat = c.op.reshape(dy, (where.size,))
    out = c.op.take_grad(flat, c.constant(where.reshape(-1)), size(shape))
    return c.op.reshape(out, shape)


_view(
    "slice",
    _slice_infer,
    lambda x, slices: x[_index(slices)],
    _pairs(
        (
            ((7,), ((1, 5, 1),)),
            ((7,), ((None, None, -2),)),
            ((3, 5), ((0, 2, 1), (1, 5, 2))),
            ((3, 5), ((1, 1, 1), (None, None, 1))),
        )
    ),
    attrs=(Attr("slices", "static"),),
    vjp=_slice_vjp,
    doc="x[start:stop:step, ...], one (start, stop, step) per axis",
)


def _diagonal_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    shape, (offset, axis1, axis2) = specs[0].shape, attrs
    rest = tuple(n for i, n in enumerate(shape) if i not in (axis1, axis2))
    rows, columns = shape[axis1] + min(offset, 0), shape[axis2] - max(offset, 0)
    return [Spec((*rest, max(0, min(rows, columns))), specs[0].dtype)]


def _diagonal_vjp(c: Any, dy: Any) -> Any:
    shape = c.shape_of("x")
    where = np.arange(size(shape), dtype=np.int64).reshape(shape)
    where = np.diagonal(where, c.offset, c.axis1, c.axis2).reshape(-1)
    flat = c.op.take_grad(c.op.reshape(dy, where.shape), c.constant(where), size(shape))
    return c.op.reshape(flat, shape)


_view(
    "diagonal",
    _diagonal_infer,
    lambda x, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
    _pairs(
        (
            ((3, 5), 0, 0, 1),
            ((3, 5), 2, 0, 1),
            ((5, 3), -1, 0, 1),
            ((2, 4, 3), 0, 2, 1),
            ((3, 2), 5, 0, 1),
        )
    ),
    attrs=(
        Attr("offset", "static", 0),
        Attr("axis1", "static", 0),
        Attr("axis2", "static", 1),
    ),
    vjp=_diagonal_vjp,
    doc="elements i, i + offset of axes axis1 and axis2, as the last axis",
)

# ---- copies ------------------------------------------------------------------------

op(
    "copy",
    inputs="x",
    infer=like(0),
    kind=POINTWISE,
    ref=lambda x: np.array(x, order="C"),
    vjp=lambda c, dy: dy,
    samples=_pairs(tuple((s,) for s in SHAPES)),
    tol=EXACT,
    doc="a contiguous copy of any strided view",
)


def _cast_samples(rng: Any, dtype: str) -> Any:
    for target in ("float32", "float64", "int32", "int64", "uint8", "bool"):
        for shape in ((), (7,), (3, 5), (0, 3)):
            yield Sample((uniform(rng, shape, dtype, 0, 9),), (target,))


op(
    "cast",
    inputs="x",
    attrs=(Attr("dtype", "dtype"),),
    infer=lambda specs, attrs: [Spec(specs[0].shape, attrs[0])],
    kind=POINTWISE,
    ref=lambda x, dtype: x.astype(dtype),
    vjp=lambda c, dy: c.op.cast(dy, c.dtype_of("x")) if is_float(c.dtype) else None,
    samples=_cast_samples,
    tol=EXACT,
    doc="elements converted to dtype: floats truncate towards 0, bool is x != 0",
)


def _concat_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    a, b = specs
    axis = attrs[0]
    dtype = check_same_dtype("concatenate", [a.dtype, b.dtype])
    rest = [s.shape[:axis] + s.shape[axis + 1 :] for s in specs]
    if len(a.shape) != len(b.shape) or rest[0] != rest[1]:
        raise ShapeError(
            f"[concatenate] shapes {a.shape} and {b.shape} differ beside axis {axis}"
        )
    joined = a.shape[axis] + b.shape[axis]
    return [Spec((*a.shape[:axis], joined, *a.shape[axis + 1 :]), dtype)]


def _concat_vjp(c: Any, dy: Any) -> Any:
    axis, n = c.axis, c.shape_of("a")[c.axis]

    def part(start: int, stop: int) -> Any:
        whole: list[Any] = [(None, None, 1)] * len(dy.shape)
        whole[axis] = (start, stop, 1)
        return c.op.slice(dy, tuple(whole))

    return part(0, n), part(n, dy.shape[axis])


def _concat_samples(rng: Any, dtype: str) -> Any:
    cases = (((3,), (4,), 0), ((3, 5), (2, 5), 0), ((3, 5), (3, 1), 1))
    for s1, s2, axis in (*cases, ((0, 3), (2, 3), 0), ((2, 3, 4), (2, 5, 4), 1)):
        a, b = (uniform(rng, s, dtype, -3, 3) for s in (s1, s2))
        yield Sample((a, b), (axis,))


op(
    "concatenate",
    inputs="a b",
    attrs=(Attr("axis", "int"),),
    infer=_concat_infer,
    kind="copy",
    ref=lambda a, b, axis: np.concatenate([a, b], axis),
    vjp=_concat_vjp,
    samples=_concat_samples,
    tol=EXACT,
    doc="a and b joined along axis (non-negative)",
)
