# SPDX-License-Identifier: Apache-2.0
"""Max and average pooling of images (batch, 1 to 3 spatial axes, channels).

Output o of an axis covers the inputs from o * stride - low to that plus window,
clipped: padding is no element, neither of a maximum nor of a mean. Stride 0 means
adaptive windows, from floor(o n / m) to ceil((o + 1) n / m) for n inputs and m outputs.
"""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_same_dtype
from fastnn.opset._opdef import EXACT, ROW, Attr, Sample, Spec, op, ulps
from fastnn.opset._samples import typical, uniform
from fastnn.opset._spatial import (
    Ints,
    check_axes,
    check_reach,
    same_or_valid,
    sizes_of,
    spatial_rank,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# `sizes` are the spatial sizes of the output.
WINDOW = (
    Attr("window", "ints"),
    Attr("strides", "ints"),
    Attr("low", "ints"),
    Attr("sizes", "static"),
)


def index_dtype(window: Ints) -> str:
    """Dtype of the number of an element within its window."""
    return "uint8" if prod(window) <= 256 else "int32"


def longest_window(n: int, m: int) -> int:
    """Of m adaptive windows over n inputs.

    Each begins at floor(o n / m), after a fraction with any numerator below the reduced
    m: the largest one reaches furthest. No search: a file may ask for 10**9 windows.
    """
    common = gcd(n, m)
    n, m = n // common, m // common
    return -(-(n + m - 1) // m)


def _check(name: str, inner: Ints, outer: Ints, attrs: tuple) -> None:
    """Every window covers an element; `inner` are the sizes that windows slide over."""
    window, strides, low, _ = attrs
    check_reach(name, f"the window {tuple(window)}", prod(window))
    check_reach(name, f"a stride of {tuple(strides)}", *strides)
    for n, m, w, s, pad in zip(inner, outer, window, strides, low, strict=True):
        fits = (
            w >= longest_window(n, m)
            if s == 0 and m
            else w > pad >= 0 and (m - 1) * s - pad < max(n, 1)
        )
        if w < 1 or s < 0 or not fits or (m and not n):
            raise ShapeError(
                f"[{name}] windows of {window} with strides {strides} and {low} pads "
                f"in front do not fit: {outer} outputs of {inner} inputs"
            )


def _forward_infer(name: str, *, index: bool = False) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        x, sizes = specs[0], tuple(attrs[3])
        rank = spatial_rank(name, x)
        check_axes(name, rank, window=attrs[0], strides=attrs[1], low=attrs[2])
        check_axes(name, rank, sizes=sizes)
        _check(name, sizes_of(x), sizes, attrs)
        shape = (x.shape[0], *sizes, x.shape[-1])
        y = [Spec(shape, x.dtype)]
        return [*y, Spec(shape, index_dtype(attrs[0]))] if index else y

    return infer


def _backward_infer(name: str, *, outer: bool = False) -> Any:
    """Shapes of a gradient; `outer`: the first operand is what windows slide over."""

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        dy, sizes = specs[0], tuple(attrs[3])
        rank = spatial_rank(name, dy)
        check_axes(name, rank, window=attrs[0], strides=attrs[1], low=attrs[2])
        check_axes(name, rank, sizes=sizes)
        inner = sizes_of(dy) if outer else sizes
        _check(name, inner, sizes if outer else sizes_of(dy), attrs)
        shape = (dy.shape[0], *sizes, dy.shape[-1])
        if len(specs) > 1:
            expected = Spec(shape if outer else dy.shape, index_dtype(attrs[0]))
            check_same_dtype(name, [specs[1].dtype, expected.dtype])
            if specs[1].shape != expected.shape:
                raise ShapeError(
                    f"[{name}] the index must be {expected.shape}, received "
                    f"{specs[1].shape}"
                )
        return [Spec(shape, dy.dtype)]

    return infer


# ---- reference ---------------------------------------------------------------------


def windows(
    inner: Ints, outer: Ints, window: Ints, strides: Ints, low: Ints
) -> Iterator[tuple[Ints, Ints, tuple[slice, ...]]]:
    """Per output its position, where its window starts, and what it covers."""
    for at in np.ndindex(*outer):
        start = tuple(
            o * s - p if s else o * n // m
            for o, n, m, s, p in zip(at, inner, outer, strides, low, strict=True)
        )
        stop = (
            i + w if s else -(-(o + 1) * n // m)
            for o, i, n, m, w, s in zip(
                at, start, inner, outer, window, strides, strict=True
            )
        )
        cover = tuple(
            slice(max(i, 0), min(j, n))
            for i, j, n in zip(start, stop, inner, strict=True)
        )
        yield at, start, cover


def each(at: Any) -> Any:
    """An index for spatial axes, of all images and channels."""
    return (slice(None), *at)


def _max_ref(x: Any, window: Ints, strides: Ints, low: Ints, sizes: Ints) -> Any:
    y = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    index = np.zeros(y.shape, index_dtype(window))
    for at, start, cover in windows(sizes_of(x), sizes, window, strides, low):
        patch = x[each(cover)]
        inside = patch.shape[1:-1]
        flat = patch.reshape(x.shape[0], int(np.prod(inside)), x.shape[-1])
        best = np.argmax(flat, axis=1)
        y[each(at)] = np.take_along_axis(flat, best[:, None], 1)[:, 0]
        places = np.unravel_index(best, inside)
        whole = [p + c.start - i for p, c, i in zip(places, cover, start, strict=True)]
        index[each(at)] = np.ravel_multi_index(whole, window)
    return y, index


def _winners(index: Any, window: Ints, strides: Ints, low: Ints, inner: Ints) -> Any:
    """Indices into x of every element of y."""
    places = [np.array(p) for p in np.unravel_index(index.astype(np.int64), window)]
    outer = index.shape[1:-1]
    for at, start, _ in windows(inner, outer, window, strides, low):
        for place, i in zip(places, start, strict=True):
            place[each(at)] += i
    batch, channel = np.indices(index.shape)[[0, -1]]
    return (batch, *places, channel)


def _max_grad_ref(
    dy: Any, index: Any, window: Ints, strides: Ints, low: Ints, sizes: Ints
) -> Any:
    dx = np.zeros((dy.shape[0], *sizes, dy.shape[-1]), dy.dtype)
    np.add.at(dx, _winners(index, window, strides, low, sizes), dy)
    return dx


def _take_ref(
    x: Any, index: Any, window: Ints, strides: Ints, low: Ints, sizes: Ints
) -> Any:
    return x[_winners(index, window, strides, low, sizes_of(x))]


def _average_ref(x: Any, window: Ints, strides: Ints, low: Ints, sizes: Ints) -> Any:
    y = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    axes = tuple(range(1, x.ndim - 1))
    for at, _, cover in windows(sizes_of(x), sizes, window, strides, low):
        y[each(at)] = x[each(cover)].mean(axis=axes)
    return y


def _average_grad_ref(
    dy: Any, window: Ints, strides: Ints, low: Ints, sizes: Ints
) -> Any:
    dx = np.zeros((dy.shape[0], *sizes, dy.shape[-1]), dy.dtype)
    for at, _, cover in windows(sizes, sizes_of(dy), window, strides, low):
        count = np.prod([c.stop - c.start for c in cover])
        share = dy[each(at)] / count
        dx[each(cover)] += np.expand_dims(share, tuple(range(1, dy.ndim - 1)))
    return dx


# ---- samples -----------------------------------------------------------------------

# shape, window, strides, "same", "valid" or "adaptive" (with output sizes for strides)
CASES: tuple = (
    ((2, 6, 6, 3), (2, 2), (2, 2), "valid"),
    ((3, 7, 5, 17), (3, 3), (2, 2), "same"),
    ((1, 7, 8, 20), (3, 2), (1, 2), "valid"),
    ((2, 5, 4, 2), (2, 3), (3, 4), "same"),
    ((3, 9, 33), (3,), (2,), "same"),
    ((2, 3, 4, 3, 70), (2, 2, 2), (1, 2, 2), "same"),
    ((2, 20, 18, 1), (17, 16), (2, 1), "valid"),
    ((0, 4, 4, 3), (2, 2), (2, 2), "valid"),
    ((2, 7, 5, 19), (3, 3), (3, 3), "adaptive"),
    ((2, 2, 5, 3), (1, 4), (4, 2), "adaptive"),
)


TYPICAL: tuple = (((32, 28, 28, 64), (2, 2), (2, 2), "valid"),)


def cases(given: tuple = CASES) -> Iterator[tuple[Ints, tuple]]:
    """Shapes of x, and attributes for the forward op."""
    for shape, window, steps, padding in given:
        rank = len(window)
        if padding == "adaptive":
            yield shape, (window, (0,) * rank, (0,) * rank, steps)
        else:
            low, out = same_or_valid(shape[1:-1], window, steps, (1,) * rank, padding)
            yield shape, (window, steps, low, out)


def _forward_samples(rng: Any, dtype: str, given: tuple = CASES) -> Iterator[Sample]:
    for shape, attrs in cases(given):
        yield Sample((uniform(rng, shape, dtype, -3, 3),), attrs)


def _backward_samples(*, index: bool, outer: bool = False) -> Any:
    def make(rng: Any, dtype: str, given: tuple = CASES) -> Iterator[Sample]:
        for shape, attrs in cases(given):
            x = uniform(rng, shape, dtype, -3, 3)
            y, winners = _max_ref(x, *attrs)
            if outer:
                yield Sample((x, winners), attrs)
                continue
            dy = uniform(rng, y.shape, dtype, -3, 3)
            swapped = (*attrs[:3], shape[1:-1])
            yield Sample((dy, winners) if index else (dy,), swapped)

    return make


# ---- records -----------------------------------------------------------------------


def _cost(per_tap: float) -> Any:
    def cost(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
        sizes = (prod(s.shape) for s in (*ins, *outs))
        return per_tap * sum(sizes)

    return cost


def _grad(c: Any, dy: Any, index: Any) -> Any:
    sizes = c.shape_of("x")[1:-1]
    return c.op.max_pool_grad(dy, index, c.window, c.strides, c.low, sizes)


def _max_vjp(c: Any, dy: Any) -> Any:
    _, index = c.op.max_pool_with_index(c.x, c.window, c.strides, c.low, c.sizes)
    return _grad(c, dy, index)


op(
    "max_pool",
    inputs="x",
    attrs=WINDOW,
    infer=_forward_infer("max_pool"),
    kind=ROW,
    ref=lambda x, *attrs: _max_ref(x, *attrs)[0],
    vjp=_max_vjp,
    saves=("x",),
    samples=_forward_samples,
    typical=typical(_forward_samples, given=TYPICAL),
    tol=EXACT,
    cost=_cost(0.3),
    doc="largest element of each window; NaN wins",
)
op(
    "max_pool_with_index",
    inputs="x",
    outputs="y index",
    attrs=WINDOW,
    infer=_forward_infer("max_pool_with_index", index=True),
    kind=ROW,
    ref=_max_ref,
    vjp=lambda c, dy, dindex: None if dy is None else _grad(c, dy, c.index),
    saves=("index",),
    samples=_forward_samples,
    typical=typical(_forward_samples, given=TYPICAL),
    tol=EXACT,
    cost=_cost(0.4),
    doc="largest element of each window, and its number there; the first of equals",
)
op(
    "max_pool_grad",
    inputs="dy index",
    outputs="dx",
    attrs=WINDOW,
    infer=_backward_infer("max_pool_grad"),
    kind=ROW,
    ref=_max_grad_ref,
    vjp=lambda c, g: (
        c.op.max_pool_take(
            g, c.index, c.window, c.strides, c.low, c.shape_of("dy")[1:-1]
        ),
        None,
    ),
    saves=("index",),
    samples=_backward_samples(index=True),
    typical=typical(_backward_samples(index=True), given=TYPICAL),
    tol=ulps(16)._replace(atol=4e-6),
    cost=_cost(0.4),
    doc="zeros, with dy added where the largest element of each window was",
)
op(
    "max_pool_take",
    inputs="x index",
    attrs=WINDOW,
    infer=_backward_infer("max_pool_take", outer=True),
    kind=ROW,
    ref=_take_ref,
    vjp=lambda c, dy: (_grad(c, dy, c.index), None),
    saves=("index",),
    samples=_backward_samples(index=True, outer=True),
    typical=typical(_backward_samples(index=True, outer=True), given=TYPICAL),
    tol=EXACT,
    cost=_cost(2.0),
    doc="the element of each window that `index` names",
)
op(
    "average_pool",
    inputs="x",
    attrs=WINDOW,
    infer=_forward_infer("average_pool"),
    kind=ROW,
    ref=_average_ref,
    vjp=lambda c, dy: c.op.average_pool_grad(
        dy, c.window, c.strides, c.low, c.shape_of("x")[1:-1]
    ),
    samples=_forward_samples,
    typical=typical(_forward_samples, given=TYPICAL),
    tol=ulps(32)._replace(atol=4e-6),
    cost=_cost(0.3),
    doc="mean of each window; padding is not counted",
)
op(
    "average_pool_grad",
    inputs="dy",
    outputs="dx",
    attrs=WINDOW,
    infer=_backward_infer("average_pool_grad"),
    kind=ROW,
    ref=_average_grad_ref,
    vjp=lambda c, g: c.op.average_pool(
        g, c.window, c.strides, c.low, c.shape_of("dy")[1:-1]
    ),
    samples=_backward_samples(index=False),
    typical=typical(_backward_samples(index=False), given=TYPICAL),
    tol=ulps(32)._replace(atol=4e-6),
    cost=_cost(0.4),
    doc="each element of dy shared out equally over its window",
)
