# SPDX-License-Identifier: Apache-2.0
"""Padding with a constant; its gradient is a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_same_dtype
from fastnn.opset._opdef import EXACT, Attr, Sample, Spec, op
from fastnn.opset._samples import uniform

if TYPE_CHECKING:
    from collections.abc import Iterator


def _infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, value = specs
    low, high = attrs
    check_same_dtype("pad", [x.dtype, value.dtype])
    if value.shape != () or not x.shape:
        raise ShapeError(
            f"[pad] needs axes to pad and a scalar to pad with, received {x.shape} and "
            f"{value.shape}"
        )
    pads = (*low, *high)
    if (
        len(low) != len(x.shape)
        or len(high) != len(x.shape)
        or min(pads, default=0) < 0
    ):
        raise ShapeError(
            f"[pad] {x.shape} needs a non-negative pad in front and behind for every "
            f"axis, received {low} and {high}"
        )
    shape = tuple(a + n + b for a, n, b in zip(low, x.shape, high, strict=True))
    return [Spec(shape, x.dtype)]


def _ref(x: Any, value: Any, low: tuple[int, ...], high: tuple[int, ...]) -> Any:
    return np.pad(x, tuple(zip(low, high, strict=True)), constant_values=value.item())


def _vjp(c: Any, dy: Any) -> Any:
    sizes = zip(c.low, c.shape_of("x"), strict=True)
    dx = c.op.slice(dy, tuple((a, a + n, 1) for a, n in sizes))
    if not c.needs("value"):
        return dx, None
    both = [c.op.sum(g, tuple(range(len(g.shape))), False) for g in (dy, dx)]
    return dx, c.op.subtract(*both)


def _samples(rng: Any, dtype: str) -> Iterator[Sample]:
    cases = (
        ((3,), (2,), (1,)),
        ((4, 3), (1, 0), (0, 0)),
        ((3, 4, 5), (0, 2, 0), (0, 1, 0)),
        ((2, 4, 3, 2), (0, 1, 2, 0), (0, 1, 0, 0)),
        ((2, 3, 19), (1, 1, 1), (2, 0, 3)),
        ((2, 0, 3), (0, 1, 0), (0, 1, 1)),
        ((2, 3), (0, 0), (0, 0)),
    )
    for shape, low, high in cases:
        x, value = uniform(rng, shape, dtype, -3, 3), uniform(rng, (), dtype, -3, 3)
        yield Sample((x, value), (low, high))
    yield Sample((uniform(rng, (3, 2), "uint8", 0, 9), np.uint8(7)), ((1, 1), (0, 2)))


op(
    "pad",
    inputs="x value",
    attrs=(Attr("low", "ints"), Attr("high", "static")),
    infer=_infer,
    kind="copy",
    ref=_ref,
    vjp=_vjp,
    samples=_samples,
    tol=EXACT,
    integers=True,
    doc="x within a border of `value`: low[a] elements before axis a, high[a] behind",
)
