# SPDX-License-Identifier: Apache-2.0
"""Resizing of images (batch, height, width, channels), half-pixel centres.

Output o of m samples the n inputs at s = (o + 1/2) n / m - 1/2 with a kernel k:
y[o] = sum_i k((i - s) / c) x[i] / sum_i k((i - s) / c), c = max(n / m, 1) with
antialias, else 1 (`tf.image.resize`, `jax.image.resize`). Nearest takes floor(s + 1/2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_rank
from fastnn.opset._opdef import ROW, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import typical, uniform
from fastnn.opset._spatial import check_axes, sizes_of, spatial_rank

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
ATTRS = (
    Attr("interpolation", "enum", choices=METHODS),
    Attr("antialias", "bool"),
    Attr("sizes", "static"),
)


def _infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        x, sizes = specs[0], tuple(attrs[2])
        check_rank(name, "images", x.shape, 4)
        check_axes(name, spatial_rank(name, x), sizes=sizes)
        if min(*sizes, *sizes_of(x)) < 1:
            raise ShapeError(
                f"[{name}] cannot resize images of {sizes_of(x)} to {sizes}: sizes "
                f"must be positive"
            )
        return [Spec((x.shape[0], *sizes, x.shape[-1]), x.dtype)]

    return infer


# ---- reference: dense matrices -----------------------------------------------------


def _lanczos(x: Any, radius: int) -> Any:
    return np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _cubic(x: Any) -> Any:
    """Keys's kernel with a = -1/2 (IEEE TASSP 29, 1981)."""
    a = np.abs(x)
    near = 1.5 * a**3 - 2.5 * a**2 + 1
    far = -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
    return np.where(a < 1, near, np.where(a < 2, far, 0))


_KERNELS: dict[str, Any] = {
    "bilinear": lambda x: np.maximum(1 - np.abs(x), 0),
    "bicubic": _cubic,
    "lanczos3": lambda x: _lanczos(x, 3),
    "lanczos5": lambda x: _lanczos(x, 5),
}


def matrix(n: int, m: int, interpolation: str, antialias: bool) -> Any:
    """The (m, n) weights of one axis."""
    sample = (np.arange(m)[:, None] + 0.5) * (n / m) - 0.5
    inputs = np.arange(n)
    if interpolation == "nearest":
        return (np.floor(sample + 0.5) == inputs).astype(float)
    scale = max(n / m, 1) if antialias else 1
    weights = _KERNELS[interpolation]((inputs - sample) / scale)
    return weights / weights.sum(1, keepdims=True)


def _ref(x: Any, interpolation: str, antialias: bool, sizes: Any) -> Any:
    rows, columns = (
        matrix(n, m, interpolation, antialias).astype(x.dtype)
        for n, m in zip(sizes_of(x), sizes, strict=True)
    )
    return np.einsum("ph,qw,nhwc->npqc", rows, columns, x, optimize=True)


def _grad_ref(dy: Any, interpolation: str, antialias: bool, sizes: Any) -> Any:
    rows, columns = (
        matrix(n, m, interpolation, antialias).astype(dy.dtype)
        for n, m in zip(sizes, sizes_of(dy), strict=True)
    )
    return np.einsum("ph,qw,npqc->nhwc", rows, columns, dy, optimize=True)


# ---- samples -----------------------------------------------------------------------


CASES: tuple = (
    ((2, 4, 3, 3), (8, 6)),
    ((3, 5, 7, 20), (3, 11)),
    ((1, 9, 6, 1), (4, 1)),
    ((2, 1, 5, 65), (3, 5)),
)
TYPICAL: tuple = (((8, 64, 64, 32), (128, 128)),)


def _samples(*, gradient: bool) -> Any:
    def make(
        rng: Any, dtype: str, cases: tuple = CASES, methods: tuple = METHODS
    ) -> Iterator[Sample]:
        for shape, out in cases:
            for method in methods:
                for antialias in (False, True):
                    x, sizes = shape, out
                    if gradient:
                        x, sizes = (shape[0], *out, shape[-1]), shape[1:-1]
                    array = uniform(rng, x, dtype, -3, 3)
                    yield Sample((array,), (method, antialias, sizes))
        empty = uniform(rng, (0, 2, 2, 3), dtype, -3, 3)
        yield Sample((empty,), ("bilinear", False, (4, 1)))

    return make


# Weights are computed in float64 and rounded; distances near a kernel's zeros cancel.
TOL = Tol(4e-6, 4e-14, 8e-6)


def _record(name: str, inverse: str, ref: Any, *, gradient: bool, doc: str) -> None:
    def vjp(c: Any, dy: Any) -> Any:
        sizes = c.shape_of("dy" if gradient else "x")[1:-1]
        return getattr(c.op, inverse)(dy, c.interpolation, c.antialias, sizes)

    op(
        name,
        inputs="dy" if gradient else "x",
        outputs="dx" if gradient else "y",
        attrs=ATTRS,
        infer=_infer(name),
        kind=ROW,
        ref=ref,
        vjp=vjp,
        samples=_samples(gradient=gradient),
        typical=typical(
            _samples(gradient=gradient), cases=TYPICAL, methods=("bilinear",)
        ),
        tol=TOL,
        cost=1.0,
        doc=doc,
    )


_record(
    "resize",
    "resize_grad",
    _ref,
    gradient=False,
    doc="images resampled to `sizes` with half-pixel centres (tf.image.resize)",
)
_record(
    "resize_grad",
    "resize",
    _grad_ref,
    gradient=True,
    doc="gradient of resize: the transposed weights, to images of `sizes`",
)
